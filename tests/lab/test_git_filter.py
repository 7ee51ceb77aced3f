"""Git in a project: runs and saves change only the source; attributes of the user stay."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import toys

from mlnb.cli.main import main
from mlnb.engine.project import Project
from mlnb.lab.clean_notebook import clean_bytes
from mlnb.lab.git_filter import attributes_text, configure_git

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
STAGE = "nbs/stages/10_number.ipynb"


def git(root, *arguments):
    options = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *options, *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    root = toys.chain(tmp_path / "my project")
    for path in (root / "nbs" / "stages").iterdir():
        path.write_bytes(clean_bytes(path.read_bytes(), path.parent))
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "start")
    return Project.find(root)


def save_as_jupyterlab(path: Path, source: str = "") -> None:
    """Write a notebook as an editor does after all cells were run."""
    document = json.loads(path.read_text())
    document["metadata"] |= {"language_info": {"version": "3.11.7"}}
    document["metadata"]["kernelspec"]["display_name"] = "Python 3 (mlnb, warm)"
    for number, cell in enumerate(document["cells"]):
        cell["metadata"] |= {"execution": {"iopub.execute_input": "2026"}, "collapsed": True}
        if cell["cell_type"] == "code":
            cell |= {
                "execution_count": number,
                "outputs": [{"output_type": "stream", "name": "stdout", "text": ["3\n"]}],
            }
    if source:
        document["cells"][-1]["source"] = [source]
    path.write_text(json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n")


def test_run_and_save_change_only_the_source(project):
    assert configure_git(project) and configure_git(project)
    attributes = (project.root / ".git" / "info" / "attributes").read_text()
    assert attributes.count("/nbs/stages/*.ipynb filter=mlnb") == 1
    save_as_jupyterlab(project.root / STAGE)
    assert git(project.root, "diff") == ""
    git(project.root, "add", "-A", "nbs")
    assert git(project.root, "status", "--porcelain", "--", "nbs") == ""
    save_as_jupyterlab(project.root / STAGE, "stage.close()  # at the end")
    changed = [
        line for line in git(project.root, "diff").splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")
    ]
    assert changed == ['-    "#| stage\\n",', '-    "stage.close()"', '+    "stage.close()  # at the end"']


def test_the_project_may_be_a_folder_of_the_repository(project):
    (project.root / "inner").mkdir()
    inner = toys.chain(project.root / "inner" / "shop")
    configure_git(Project.find(inner))
    assert "/inner/shop/nbs/models/*.ipynb filter=mlnb" in (project.root / ".git" / "info" / "attributes").read_text()
    assert git(inner, "check-attr", "filter", "--", STAGE).endswith(": mlnb\n")


@pytest.mark.parametrize("attribute", ["-filter", "filter=other", "filter=mlnb"])
def test_attributes_and_settings_of_the_user_stay(project, attribute):
    (project.root / ".gitattributes").write_text(f"*.ipynb {attribute}\n")
    git(project.root, "config", "diff.jupyternotebook.command", "mine")
    configure_git(project)
    assert not (project.root / ".git" / "info" / "attributes").exists()
    assert git(project.root, "config", "diff.jupyternotebook.command") == "mine\n"


def test_nbdime_shows_diffs_where_it_is_installed(project, tmp_path, monkeypatch):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git-nbdiffdriver", "git-nbmergedriver"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    configure_git(project)
    assert git(project.root, "config", "diff.jupyternotebook.command") == f"{programs}/git-nbdiffdriver diff\n"
    assert git(project.root, "config", "merge.jupyternotebook.driver").endswith("merge %O %A %B %L %P\n")


def test_without_a_repository_nothing_is_set_up(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert not configure_git(Project.find(toys.chain(tmp_path)))


def test_a_new_project_has_the_attributes_and_the_filter(project, monkeypatch, capsys):
    monkeypatch.chdir(project.root)
    assert main(["new", "shop"]) == 0
    assert (project.root / "shop" / ".gitattributes").read_text() == attributes_text()
    assert git(project.root, "check-attr", "filter", "--", f"shop/{STAGE}").endswith(": mlnb\n")
    assert "clean_notebook.py %f" in git(project.root, "config", "filter.mlnb.clean")
