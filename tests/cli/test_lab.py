"""`mlnb lab`: JupyterLab on the project, without network requests."""

import os
import sys
from pathlib import Path

import pytest

from mlnb.cli import lab
from mlnb.cli.main import main
from mlnb.engine.project import Project
from mlnb.lab.jupyter_files import prepare
from mlnb.lab.labextension import SOURCES


def test_without_a_project_the_command_to_create_one_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["lab"]) == 2
    assert "mlnb new my_project" in capsys.readouterr().err


def test_jupyterlab_runs_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.ini").write_text("[mlnb]\n")
    seen = []
    monkeypatch.setattr(os, "execv", lambda program, command: seen.append((program, command)))
    for name in ("MLNB_ROOT", "DO_NOT_TRACK", "JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "PATH"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setenv("MLNB_ROOT", str(tmp_path))
    main_args = ["lab", "--no-browser", "--port", "9001", "--", "--debug"]
    with pytest.raises(TypeError):  # the real execv does not come back
        main(main_args)
    ((program, command),) = seen
    assert program == sys.executable
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--LabApp.news_url=None" in command
    assert "--LabApp.default_url=/lab/tree/nbs/stages" in command
    assert command[-2:] == ["--no-browser", "--debug"]
    assert os.environ["PATH"].startswith(f"{Path(sys.executable).parent}{os.pathsep}")
    share = Path(os.environ["JUPYTER_PATH"].partition(os.pathsep)[0])
    assert share == tmp_path / ".mlnb" / "jupyter" / "share" / "jupyter"
    assert "mlnb.kernels.driver.jupyter_kernel" in (share / "kernels" / "python3" / "kernel.json").read_text()


def test_the_options_are_ones_that_jupyterlab_has(tmp_path: Path) -> None:
    from jupyterlab.handlers.announcements import NeverCheckForUpdate
    from jupyterlab.labapp import LabApp

    (tmp_path / "settings.ini").write_text("[mlnb]\n")
    command = lab.command(Project.find(tmp_path), 8888, True, "nbs/stages", [])
    traits = LabApp.class_traits()
    for option in (word for word in command if word.startswith("--LabApp.")):
        assert option.removeprefix("--LabApp.").partition("=")[0] in traits
    assert f"{NeverCheckForUpdate.__module__}.{NeverCheckForUpdate.__name__}" in " ".join(command)


def test_the_files_of_jupyter_follow_version_and_settings(tmp_path: Path) -> None:
    (tmp_path / "settings.ini").write_text("[mlnb]\n")
    variables = prepare(Project.find(tmp_path), tmp_path / "first")
    assert variables["JUPYTER_PATH"].split(os.pathsep)[0] == str(tmp_path / "first")
    folder = tmp_path / ".mlnb" / "jupyter"
    entry = next(folder.glob("share/jupyter/labextensions/mlnb/static/*/remote_entry.js"))
    entry.write_text("// of another version")
    kernel = folder / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
    assert kernel.is_file()
    (tmp_path / "settings.ini").write_text("[mlnb]\nkernels = standard\n")
    prepare(Project.find(tmp_path))
    assert entry.read_bytes() == (SOURCES / "remote_entry.js").read_bytes() and not kernel.exists()
    assert "announcements" in (folder / "etc" / "jupyter" / "labconfig" / "page_config.json").read_text()
