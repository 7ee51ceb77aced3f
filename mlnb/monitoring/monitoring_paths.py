"""Where a project stores prediction logs and labels."""

from pathlib import Path

from mlnb.engine.project import Project
from mlnb.monitoring.prediction_table import mirror
from mlnb.settings import ServiceSettings
from mlnb.url_passwords import expand_url

LOGS = "predictions"  # folder in the store with a folder for each model


def log_folder(project: Project, model: str) -> Path:
    """Return the folder of a model's prediction log; new segments in object storage are copied there first."""
    folder = project.store_root / LOGS / model
    url = shipped(project, model)
    if url:
        mirror(url, folder)
    return folder


def shipped(project: Project, model: str) -> str:
    """Return the URL of a model's finished segments in object storage, by the setting `predictions`; empty: none.

    For an empty name it is that of the folder with those of all models.
    """
    base = expand_url(project.settings.predictions).rstrip("/")
    return f"{base}/{model}" if base else ""


def log_environment(project: Project, model: str = "") -> dict[str, str]:
    """Return the environment variables for the prediction log of a service.

    Args:
        project: The project.
        model: The model; empty: the service has several, and adds the name of each to folder and URL.
    """
    return {
        ServiceSettings.log.variable: str(log_folder(project, model) if model else project.store_root / LOGS),
        ServiceSettings.log_to.variable: shipped(project, model),
        ServiceSettings.log_mask.variable: ",".join(project.settings.predictions_masked),
    }


def label_database(project: Project, model: str) -> Path:
    """Return the file of a model's labels."""
    return project.store_root / "labels" / f"{model}.db"
