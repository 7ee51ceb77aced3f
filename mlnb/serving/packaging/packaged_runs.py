"""Runs that packaged a model: which one a reference names, and its bento, built again when BentoML's store lost it."""

import os
from pathlib import Path

from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.errors import UnknownRun
from mlnb.methods.contracts.certificates import ParityCertificate
from mlnb.serving.packaging.bento_stores import BuiltBento, build_bento, write_certificate
from mlnb.serving.packaging.bundles import Bundle
from mlnb.settings import ProcessSettings

LATEST = "latest"


def find_packaged_run(project: Project, ref: str = LATEST) -> runs.Run:
    """Return the run that `ref` names; for "latest" the newest with a verified bento.

    Raises:
        UnknownRun: there is none, or the run did not reach the end of stage `package`.
    """
    if ref == LATEST:
        for run in runs.list_runs(project):
            if run.has("certificate"):
                return run
        raise UnknownRun(f"No run in {project.runs} has a verified bento yet. Make one: `mlnb run`.")
    run = runs.open_run(project, ref)
    if not run.has("certificate"):
        raise UnknownRun(
            f"Run {run.id} has no verified bento: it is {run.state}, and stage `package` is not finished. "
            "`mlnb run` continues it; `mlnb serve` without a run takes the newest run with a bento."
        )
    return run


def build_packaged_run(run: runs.Run) -> tuple[Bundle, BuiltBento]:
    """Return a run's bundle and its bento. Raises `ServingError` when the bento cannot be built."""
    bundle = Bundle.read(run.load("service"))
    built = build_bento(bundle)
    write_certificate(built, run.load("certificate", ParityCertificate))
    return bundle, built


def use_project_files(project: Project) -> None:
    """Let this process and its children read files that models or rows name: in `MLNB_FILES`, else in the project."""
    folder = Path(ProcessSettings().files or project.root).absolute()  # a service has another working directory
    os.environ[ProcessSettings.files.variable] = str(folder)
