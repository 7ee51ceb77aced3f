"""The hyperparameter searches of a project: the trials of the newest runs that have different ones."""

from typing import NamedTuple

from mlnb.dashboard.project_views import ProjectView
from mlnb.engine.runs import Run
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.reports.run_page import collect_trials
from mlnb.reports.run_page_sections import TrialSection
from mlnb.tracking.artifact_views import load_record

NEWEST = 10  # searches that are shown


class Study(NamedTuple):
    """A hyperparameter search, the run that made it, and the address of the run."""

    run: Run
    url: str
    trials: TrialSection


def newest_studies(view: ProjectView) -> list[Study]:
    """Return the newest searches."""
    studies = []
    for run in runs_with_trials(view):
        trials = collect_trials(run, load_record(run, "contract", ProblemContract))
        if trials is not None:
            studies.append(Study(run, view.run_url(run), trials))
    return studies


def runs_with_trials(view: ProjectView) -> list[Run]:
    """Return the newest runs that have trials; those that reused the trials of another one are left out."""
    chosen: dict[str, Run] = {}
    for run in view.runs()[0]:
        output = run.output("trials")
        if output is not None:
            chosen[output.digest] = run  # the oldest one made them
    return list(chosen.values())[:NEWEST]
