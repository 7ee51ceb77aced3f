"""The commit behind `mlnb --version`: from git in a checkout, from a file in a wheel."""

import re
import subprocess
from pathlib import Path

import pytest

import mlnb
from mlnb import build_revision
from mlnb.cli.main import main


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_checkout_has_its_commit_and_whether_files_differ(tmp_path: Path) -> None:
    assert build_revision.checkout_revision(tmp_path) == ""
    git(tmp_path, "init", "--quiet")
    assert build_revision.checkout_revision(tmp_path) == "", "no commit yet"
    (tmp_path / "a.txt").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "Start")
    commit = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    assert build_revision.checkout_revision(tmp_path) == commit
    (tmp_path / "b.txt").write_text("untracked files do not count")
    (tmp_path / "inner").mkdir()
    assert build_revision.checkout_revision(tmp_path / "inner") == "", "a repository around it does not count"
    (tmp_path / "a.txt").write_text("2")
    assert build_revision.checkout_revision(tmp_path) == f"{commit}, with local changes"


def test_a_wheel_has_its_commit_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mlnb, "__file__", str(tmp_path / "mlnb" / "__init__.py"))
    (tmp_path / "mlnb").mkdir()
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mlnb {mlnb.__version__}\n"
    (tmp_path / "mlnb" / build_revision.FILE).write_text("0123456789ab\n")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mlnb {mlnb.__version__} (commit 0123456789ab)\n"


def test_version_without_git_is_still_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert re.fullmatch(r"|[0-9a-f]{12}", build_revision.build_revision())
