"""A command that cannot write its output reports it before it works."""

import errno
import os
from pathlib import Path

import pytest

from mlnb.cli.main import main
from mlnb.cli.output_location import check_output
from mlnb.errors import UsageError


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_path_with_missing_folders_is_accepted_and_nothing_is_left(tmp_path: Path, is_folder: bool) -> None:
    check_output(tmp_path / "a" / "b", is_folder)
    (tmp_path / "old.zip").write_text("")
    check_output(tmp_path / "old.zip", False)
    assert [path.name for path in tmp_path.iterdir()] == ["old.zip"]


@pytest.mark.parametrize(
    ("path", "is_folder", "message"),
    [
        ("file/x.onnx", False, r"file/x.onnx cannot be written: .*/file is a file; expected a folder\.$"),
        ("file/a/b/x.onnx", False, "/file is a file"),
        ("file", True, "/file is a file"),
        ("folder", False, "folder is a folder; expected the path of a file"),
        ("nothing/x", True, "nothing takes no files"),
        ("/proc/x.onnx", False, "/proc takes no files"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path, path: str, is_folder: bool, message: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "nothing").symlink_to(tmp_path / "missing")
    with pytest.raises(UsageError, match=message):
        check_output(tmp_path / path, is_folder)


def test_a_read_only_file_system_is_refused_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_files(monkeypatch)
    with pytest.raises(UsageError, match=rf"{tmp_path}: read-only file system; expected a folder that you may write"):
        check_output(tmp_path / "dist" / "edge", True)


def refuse_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: int) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(os, "open", refuse)


COMMANDS = [
    ("export", "--to", "onnx", "--out", "file/x.onnx"),
    ("export", "--to", "onnx", "--out", "/proc/x.onnx"),
    ("export", "--to", "text", "--out", "file"),
    ("export", "--to", "onnx", "--all", "--out", "file"),
    ("deploy", "lambda", "--out", "file/x"),
    ("deploy", "lambda", "--all", "--out", "file"),
    ("deploy", "kubernetes", "--out", "file"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_refuses_its_output_before_it_looks_for_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    (tmp_path / "settings.ini").write_text("[mlnb]\n")  # without a run: a command that looked for one would report it
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    assert main(list(words)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and f"The output {words[-1]} cannot be written" in lines[0]


@pytest.mark.parametrize(
    "words",
    [("export", "--to", "onnx"), ("export", "--to", "text", "--all"), ("deploy", "lambda", "--all"), COMMANDS[-1][:2]],
    ids=" ".join,
)
def test_a_default_output_is_checked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    (tmp_path / "settings.ini").write_text("[mlnb]\n")
    (tmp_path / "dist").write_text("")
    monkeypatch.chdir(tmp_path)
    assert main(list(words)) == 2
    assert f"{tmp_path}/dist is a file" in capsys.readouterr().err
