"""The run whose bento is meant, and its bento, built again when BentoML's store has lost it."""

from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.errors import UnknownRun
from mlnb.serving.packaging.bento_stores import Built, build_bento, certify
from mlnb.serving.packaging.bundles import Bundle

LATEST = "latest"


def find_winner(project: Project, ref: str = LATEST) -> runs.Run:
    """Return the run that `ref` names; for "latest" the newest that proved a bento.

    Raises `UnknownRun` when there is none, or when the run named did not get as far.
    """
    if ref == LATEST:
        for run in runs.list_runs(project):
            if run.has("certificate"):
                return run
        raise UnknownRun(f"No run in {project.runs} has proven a bento yet. Make one: `mlnb run`.")
    run = runs.open_run(project, ref)
    if not run.has("certificate"):
        raise UnknownRun(
            f"Run {run.id} has no proven bento: it ended {run.state} before stage `package` did. "
            "`mlnb run` goes on where it stopped; `mlnb serve` without a run takes the newest that has one."
        )
    return run


def build_winner(run: runs.Run) -> tuple[Bundle, Built]:
    """Return a run's bundle and its bento; raises `ServingError` when it cannot be built."""
    bundle = Bundle.read(run.load("service"))
    built = build_bento(bundle)
    certify(built, run.load("certificate"))
    return bundle, built
