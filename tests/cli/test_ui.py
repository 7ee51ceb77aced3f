"""`mlnb ui`: which projects it shows, what it prints, and how it ends."""

import webbrowser
from pathlib import Path

import pytest

from mlnb.cli.main import main
from mlnb.dashboard import dashboard_server


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[list[Path]]:
    """The projects of each dashboard; one is interrupted as soon as it has started."""
    shown: list[list[Path]] = []

    def serve(projects, port, started):
        shown.append([project.root for project in projects])
        started("http://127.0.0.1:8790/?token=secret")
        raise KeyboardInterrupt

    monkeypatch.setattr(dashboard_server, "serve", serve)
    return shown


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.delenv("MLNB_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("churn", "prices"):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "settings.ini").write_text("[mlnb]\n")
    return [tmp_path / "churn", tmp_path / "prices"]


def test_the_project_of_the_folder_is_shown_until_ctrl_c(served, folders, monkeypatch, capsys):
    monkeypatch.chdir(folders[0] / "data")
    assert main(["ui", "--no-browser"]) == 0
    assert served == [[folders[0]]]
    assert "Dashboard of churn:\n\n  http://127.0.0.1:8790/?token=secret\n" in capsys.readouterr().out


def test_several_projects_are_shown_and_the_browser_gets_no_token(served, folders, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert main(["ui", "--project", "churn", "prices"]) == 0
    assert main(["ui", "--project", "prices", "--project", "churn"]) == 0
    assert served == [folders, folders[::-1]]
    assert len(opened) == 2 and all(url.startswith("file:") and "secret" not in url for url in opened)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--project", "nope"], "found no folder of that name"),
        (["--project", "churn/data"], "found a folder inside of a project; expected"),
        (["--port", "abc"], "invalid int value"),
    ],
)
def test_wrong_arguments_are_explained(served, folders, capsys, arguments, words):
    try:
        code = main(["ui", *arguments])
    except SystemExit as error:
        code = error.code
    assert code == 2 and words in capsys.readouterr().err and served == []
