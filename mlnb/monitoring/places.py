"""Where a project keeps what is seen of a model in service."""

from pathlib import Path

from mlnb.engine.project import Project


def log_folder(project: Project, model: str) -> Path:
    """Return the folder of a model's prediction log."""
    return project.store_root / "predictions" / model


def label_database(project: Project, model: str) -> Path:
    """Return the file of a model's late labels."""
    return project.store_root / "labels" / f"{model}.db"
