"""Output that is kept while nothing that was read has changed, and what makes it invalid or is never kept."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toys

from mlnb.cli import kept_result
from mlnb.engine.digests import StatCache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file that is read, one that is missed, and one whose signature is looked up."""
    (tmp_path / "data").mkdir()
    for name in ("read.txt", "data/looked_up.txt", "data/other.txt"):
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["mlnb", "run"])
    monkeypatch.setattr(kept_result, "RACE", -(10**18))
    return tmp_path


def keep(folder: Path) -> None:
    (folder / "cache" / "mlnb" / "results").mkdir(parents=True, exist_ok=True)
    recording = kept_result.start_recording()
    (folder / "read.txt").read_text()
    with pytest.raises(OSError):
        (folder / "data" / "missed.txt").read_text()
    StatCache(folder / "none.json").get(Path("data/looked_up.txt"))
    recording.end(str(folder), "Nothing to do.\n\nnext", "note\n")


def test_the_output_is_printed_again_while_nothing_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not kept_result.print_kept()
    keep(folder)
    assert kept_result.print_kept() and kept_result.print_kept()
    assert capsys.readouterr() == (2 * "Nothing to do.\n\nnext\n", 2 * "note\n")
    (file,) = (folder / "cache/mlnb/results").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    (folder / "data" / "other.txt").write_text("nobody has read it")
    assert kept_result.print_kept()


@pytest.mark.parametrize(
    "change",
    [
        lambda: Path("read.txt").write_text("READ.txt"),
        lambda: Path("read.txt").unlink(),
        lambda: Path("data/missed.txt").touch(),
        lambda: Path("data/looked_up.txt").write_text("x"),
        lambda: Path("new.txt").touch(),
        lambda: os.environ.update(ANY="1"),
        lambda: sys.argv.append("--json"),
        lambda: os.chdir("data"),
        lambda: next(Path("cache/mlnb/results").iterdir()).write_text("9"),
        lambda: next(Path("cache/mlnb/results").iterdir()).write_bytes(b"\xff"),
    ],
)
def test_any_change_makes_it_invalid(folder: Path, monkeypatch: pytest.MonkeyPatch, change) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(os, "environ", os.environ.copy())
    keep(folder)
    change()
    assert not kept_result.print_kept()


def test_what_has_no_signature_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect() -> None:
        with socket.socket() as client, pytest.raises(OSError):
            client.connect(("127.0.0.1", 1))

    for use in (connect, lambda: subprocess.run(["true"], check=True), lambda: sys.audit("mlnb.warning")):
        recording = kept_result.start_recording()
        use()
        recording.end(str(folder), "", "")
        assert not kept_result.print_kept()
    kept_result.start_recording().end(None, "there is something to do", "")
    assert not kept_result.print_kept()
    monkeypatch.setattr(sys, "argv", ["mlnb", "run", "--data", "https://user:word@example.org/a.csv"])
    kept_result.start_recording().end(str(folder), "", "")
    assert not kept_result.print_kept() and not (folder / "cache").exists()


def test_files_that_are_too_young_and_too_many_results(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_result, "MOST", 2)
    for number in range(4):
        sys.argv[2:] = [str(number)]
        keep(folder)
    assert len([*(folder / "cache/mlnb/results").iterdir()]) == 2 and kept_result.print_kept()
    monkeypatch.setattr(kept_result, "RACE", 2_000_000_000)
    (folder / "read.txt").touch()
    sys.argv[2:] = ["young"]
    keep(folder)
    assert not kept_result.print_kept()


def test_a_user_without_a_home_folder_keeps_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    keep(folder)
    assert not kept_result.print_kept() and not (folder / "relative").exists()


RUN = """
import sys
sys.argv = ["mlnb", "run", "--no-report"]
from mlnb.cli.main import main
code = main()
print("checked" if "mlnb.engine.plan" in sys.modules else "kept", code)
"""


def test_a_run_with_nothing_to_do_is_checked_once(toy_root: Path, tmp_path: Path) -> None:
    root = toys.project(toy_root, {"10_one": toys.stage("one", 'stage.save("one", 1)', writes={"one": "a number"})})
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}

    def run() -> list[str]:
        command = [sys.executable, "-c", RUN]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    assert run()[-1] == "checked 0"
    time.sleep(2.1)  # until its files are old enough
    run()  # it may write what it has derived from them
    time.sleep(2.1)
    first, second = run(), run()
    assert "Nothing to do" in first[0] and first[:-1] == second[:-1] and second[-1] == "kept 0"
    toys.edit(root, "10_one", "1", "2")
    assert run()[-1] == "checked 0"
    assert len([*(root / "runs").glob("*/run.json")]) == 2
