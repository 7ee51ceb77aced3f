"""The project of a folder that a caller names."""

from pathlib import Path

from mlnb.engine.project import Project
from mlnb.errors import ProjectError


def find_project(folder: Path | str | None) -> Project:
    """Return the project that a folder belongs to.

    Args:
        folder: the project's folder or one below it; None: the working directory.

    Raises:
        ProjectError: the folder does not exist, or the settings of the project cannot be read.
    """
    if folder is not None and not Path(folder).is_dir():
        raise ProjectError(f"folder: there is no folder {str(folder)!r}; expected that of a project, or one below it.")
    return Project.find(None if folder is None else Path(folder))
