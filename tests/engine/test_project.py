"""Projects: how one is found, what settings.ini may hold, and errors with suggestions."""

from pathlib import Path

import pytest

from mlnb.engine.project import Project, builtin_folder, read_project_file
from mlnb.errors import ProjectError, SettingsError

SETTINGS = "[mlnb]\nruns = out\n\n[pipeline train]\nstages = a b\n\n[pipeline watch]\nstages = c\ninputs_from = train\n"


def test_the_nearest_settings_file_above_is_used(tmp_path: Path) -> None:
    (tmp_path / "settings.ini").write_text(SETTINGS + "\n[profile quick]\na.x = 1\n\n[other tool]\nkey = 1\n")
    inner = tmp_path / "nbs" / "stages"
    inner.mkdir(parents=True)
    (tmp_path / "nbs" / "settings.ini").write_text("[DEFAULT]\nlib_name = x\n")
    project = Project.find(inner)
    assert project.root == tmp_path and not project.is_builtin and project.notebooks == inner
    assert project.runs == tmp_path / "out" and project.input_pipelines == {"watch": "train"}
    assert project.pipeline(None) == ("a", "b") and project.profile("quick") == {"a.x": "1"}
    assert project.profile(None) == {}


def test_paths_of_settings_may_start_with_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    (tmp_path / "settings.ini").write_text("[mlnb]\nruns = ~/runs\nstore = /store\nnotebooks = ~/nbs\n")
    project = Project.find(tmp_path)
    assert [str(path) for path in (project.runs, project.store_root, project.notebooks)] == [
        "/home/ann/runs",
        "/store",
        "/home/ann/nbs",
    ]
    assert project.path_of("~/events.jsonl") == Path("/home/ann/events.jsonl")
    assert project.path_of("a~b") == tmp_path / "a~b"
    with pytest.raises(SettingsError, match=r"names '~nobody-here/x'"):
        project.path_of("~nobody-here/x")


def test_without_a_settings_file_the_built_in_project_is_used(tmp_path: Path) -> None:
    project = Project.find(tmp_path)
    assert project.is_builtin and project.root == tmp_path and project.home == builtin_folder()
    assert project.runs == tmp_path / "runs" and project.import_path() == {}


def test_the_modules_of_a_project_are_imported_from_its_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.ini").write_text(SETTINGS)
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert Project.find(tmp_path).import_path() == {"PYTHONPATH": f"{tmp_path}:/elsewhere"}


def test_unknown_pipelines_and_profiles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.ini").write_text(SETTINGS)
    project = Project.find(tmp_path)
    with pytest.raises(ProjectError, match=r"No pipeline 'trian'; settings\.ini has train, watch\. Did you mean"):
        project.pipeline("trian")
    with pytest.raises(ProjectError, match=r"No profile 'quick'; settings\.ini has none"):
        project.profile("quick")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("[mlnb]\nrun = x\n", SettingsError, "Did you mean 'runs'"),
        ("[mlnb]\n[pipeline train]\nstage = a\n", ProjectError, "has key 'stage'; expected stages or inputs_from"),
        ("[mlnb]\n[pipelines train]\nstages = a\n", ProjectError, "is unknown. Did you mean 'pipeline'"),
    ],
)
def test_misspelled_keys_and_sections_are_refused(
    tmp_path: Path, text: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "settings.ini").write_text(text)
    with pytest.raises(error, match=message):
        read_project_file(tmp_path / "settings.ini")
