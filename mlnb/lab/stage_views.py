"""The stages as the side panel shows them: of the run that goes on, or of the plan of the next one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mlnb.api.last_run import last_data
from mlnb.api.run_request import RunRequest, plan_request
from mlnb.codec import Record
from mlnb.dashboard.live_run import LiveRun
from mlnb.engine.files import read_json
from mlnb.engine.notebook import StageNotebook
from mlnb.engine.plan_steps import Step, StepAction
from mlnb.engine.project import Project
from mlnb.engine.run_records import ParameterValue, RunState, StageRecord, StageState
from mlnb.engine.runs import Run
from mlnb.errors import MlnbError
from mlnb.reports import formatting

NEVER = "never run"
PLANNED = {  # what is shown for what the next run does with a stage
    StepAction.RUN: "outdated",
    StepAction.PENDING: "undecided",
    StepAction.REUSE: "up to date",
    StepAction.INPUT: "up to date",
    StepAction.SKIP: "not selected",
}
ENDED = (StageState.FAILED, StageState.INTERRUPTED)


class StageView(Record, frozen=True, kw_only=True):
    """One stage.

    Args:
        name, title: Of the stage.
        notebook: Path relative to the server's folder; empty when there is none in it.
        state: One of `PLANNED`, never run, or a state of the run that goes on or has failed.
        reason: Why it runs, or is reused.
        activity: The cell that it executes, and its progress.
        line: The last line that it has printed.
        duration: As text; empty without one.
        error: Why it failed.
    """

    name: str
    title: str
    notebook: str
    state: str
    reason: str
    activity: str = ""
    line: str = ""
    duration: str = ""
    error: str = ""


def last_run(project: Project, runs: Sequence[Run]) -> Run | None:
    """Return the last run of the default pipeline: the one whose command ended last, also when it reused everything.

    Args:
        project: The project.
        runs: All runs, newest first.
    """
    own = [run for run in runs if run.record.pipeline == project.settings.pipeline and run.state != RunState.RUNNING]
    pointer = read_json(project.runs / "latest.json")
    latest = pointer.get("id") if isinstance(pointer, dict) else None
    return next((run for run in own if run.id == latest), next(iter(own), None))


def run_request(profile: str, upto: str = "", force: str = "") -> RunRequest:
    """Return what a button of the panel requests; an empty text is left out."""
    return RunRequest(profile=profile or None, upto=upto or None, force=[force] if force else None)


def run_options(request: RunRequest) -> list[str]:
    """Return the options of `mlnb run` for what a button requests."""
    options = [f"--profile={request.profile}"] * bool(request.profile)
    options += [f"--upto={request.upto}"] * bool(request.upto)
    return options + [f"--force={name}" for name in request.force or ()]


def plan_steps(project: Project, request: RunRequest) -> tuple[list[Step], str]:
    """Return what a run does with each stage, and a note about the data that the last run supplies.

    Raises:
        MlnbError: A notebook, a setting or a parameter is wrong.
    """
    last = last_data(project, request)
    (plan,) = plan_request(project, last.request)
    return plan.planner.plan(), last.note


def planned_values(project: Project, path: Path, profile: str) -> Mapping[str, ParameterValue]:
    """Return the parameters of a stage in the next run; empty when there is no plan, or the stage is not in it.

    Args:
        project: The project.
        path: The stage's notebook.
        profile: The selected profile; empty: none.
    """
    try:
        (plan,) = plan_request(project, last_data(project, run_request(profile)).request)
    except MlnbError:  # the panel shows it
        return {}
    stages = plan.planner.graph.stages.values()
    return next((plan.planner.values[stage.name] for stage in stages if stage.path == path), {})


def live_stages(folder: Path, live: LiveRun, notebooks: Mapping[str, StageNotebook]) -> list[StageView]:
    """Return the stages of a run that goes on.

    Args:
        folder: The server's.
        live: The run.
        notebooks: All stages of the project.
    """
    return [
        StageView(
            name=stage.name,
            title=stage.record.title,
            notebook=notebook_path(folder, notebooks.get(stage.name)),
            state=stage.record.state,
            reason=stage.record.reason,
            activity=stage.activity,
            line=stage.line,
            duration=formatting.seconds(stage.seconds) if stage.seconds is not None else "",
            error=_first_line(stage.record),
        )
        for stage in live.stages
    ]


def planned_stages(
    folder: Path, steps: list[Step], notebooks: Mapping[str, StageNotebook], last: Run | None
) -> list[StageView]:
    """Return the stages as the next run finds them.

    Args:
        folder: The server's.
        steps: The plan.
        notebooks: All stages of the project.
        last: The last run of the pipeline that has ended; what failed in it is shown.
    """
    records = last.stages if last is not None else {}
    return [_planned(folder, step, notebooks[step.name], records.get(step.name)) for step in steps]


def _planned(folder: Path, step: Step, notebook: StageNotebook, record: StageRecord | None) -> StageView:
    state = NEVER if step.reason.startswith(NEVER) else PLANNED[step.action]
    ended = record is not None and record.state in ENDED
    reuses = "unchanged: the next run reuses an earlier result" if ended else ""
    seconds = step.result.seconds if step.result else None
    return StageView(
        name=step.name,
        title=notebook.title,
        notebook=notebook_path(folder, notebook),
        state=record.state if record is not None and ended else state,
        reason=reuses if step.reason == "unchanged" else step.reason,
        duration=formatting.seconds(seconds) if seconds is not None else "",
        error=_first_line(record) if record is not None and ended else "",
    )


def notebook_path(folder: Path, notebook: StageNotebook | None) -> str:
    """Return the path of a stage's notebook relative to the server's folder; empty when it is not in it."""
    if notebook is None or not notebook.path.is_relative_to(folder):
        return ""
    return notebook.path.relative_to(folder).as_posix()


def _first_line(record: StageRecord) -> str:
    return record.error.message.partition("\n")[0] if record.error else ""
