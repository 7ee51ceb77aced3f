"""Sets up git for notebooks: a filter that commits them without outputs, and nbdime for diffs where it is installed.

The attributes are in the project's .gitattributes, or in those of the clone; programs are configured in the clone.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mlnb.engine.project import Project
from mlnb.lab import clean_notebook

FOLDERS = ("nbs/stages", "nbs/models")  # of the notebooks of a new project
ATTRIBUTES = "filter=mlnb diff=jupyternotebook merge=jupyternotebook"
COMMENT = "# Notebooks are committed without outputs and metadata of editors; `mlnb lab` sets up the filter in a clone."
NBDIME = {
    "diff.jupyternotebook.command": ("git-nbdiffdriver", "diff"),
    "merge.jupyternotebook.driver": ("git-nbmergedriver", "merge %O %A %B %L %P"),
}
SECONDS = 20.0


def attributes_text(folders: Sequence[str] = FOLDERS) -> str:
    """Return the lines of .gitattributes for the notebooks of folders."""
    return "\n".join([COMMENT, *(f"/{folder}/*.ipynb {ATTRIBUTES}" for folder in folders)]) + "\n"


def configure_git(project: Project) -> bool:
    """Set up the filter, and nbdime where it is installed; return whether the project is in a git repository.

    Attributes that the project has already, such as `-filter` or another filter, stay as they are.
    """
    root = project.root
    if shutil.which("git") is None or _git(root, "rev-parse", "--is-inside-work-tree") != "true":
        return False
    words = [sys.executable, "-I", str(Path(clean_notebook.__file__))]
    _configure(root, "filter.mlnb.clean", f"{shlex.join(words)} %f")
    for key, (program, arguments) in NBDIME.items():
        path = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
        if path and not _git(root, "config", "--get", key):
            _configure(root, key, f"{shlex.quote(path)} {arguments}")
    folders = [path.relative_to(root).as_posix() for path in (project.notebooks, project.models)]
    state = _git(root, "check-attr", "filter", "--", f"{folders[0]}/10_stage.ipynb").rpartition(": ")[2]
    if state == "unspecified":
        top = Path(_git(root, "rev-parse", "--show-toplevel"))
        file = root / _git(root, "rev-parse", "--git-path", "info/attributes")
        file.parent.mkdir(parents=True, exist_ok=True)
        inside = root.resolve().relative_to(top.resolve())
        with file.open("a", encoding="utf-8") as attributes:
            attributes.write(attributes_text([(inside / folder).as_posix() for folder in folders]))
    return True


def _configure(root: Path, key: str, value: str) -> None:
    if _git(root, "config", "--local", "--get", key) != value:
        _git(root, "config", "--local", key, value)


def _git(root: Path, *arguments: str) -> str:
    """Return what git prints, without its last line end; empty when it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return os.fsdecode(done.stdout).rstrip("\n") if done.returncode == 0 else ""
