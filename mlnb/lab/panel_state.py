"""What the side panel of JupyterLab shows: stages, the run that goes on, the last result, and the newest runs."""

import shlex
from pathlib import Path
from typing import Any

from mlnb.codec import Record, replace
from mlnb.dashboard.file_warnings import collect_warnings
from mlnb.dashboard.live_run import describe_live
from mlnb.dashboard.project_views import ProjectView
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.run_records import RunState
from mlnb.engine.runs import Run
from mlnb.errors import MlnbError
from mlnb.lab.run_process import RunProcess
from mlnb.lab.stage_graph import StageGraph, stage_graph
from mlnb.lab.stage_views import (
    StageView,
    last_run,
    live_stages,
    plan_steps,
    planned_stages,
    run_options,
    run_request,
)
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.reports import formatting
from mlnb.tracking.artifact_views import load_record

RUNS = 20  # that are listed


class ResultView(Record, frozen=True, kw_only=True):
    """The deciding metric of the last finished run, its change since the run before, and whether that is better."""

    run: str
    text: str
    change: str = ""
    better: bool | None = None


class RunView(Record, frozen=True, kw_only=True):
    """A run as a row of the list."""

    id: str
    state: str
    started: str
    pipeline: str
    metric: str


class PanelState(Record, frozen=True, kw_only=True):
    """Everything that the panel shows, except what is about the open notebook.

    Args:
        project: Name of the project.
        profile: The selected profile; empty: none.
        profiles: Names of the profiles.
        command: What the button Run runs.
        status: One sentence about the run that goes on, or the stages.
        running: Whether a run goes on or starts.
        failed: Id of the run whose failed stages are shown; empty when none failed.
        problem: Why there is no plan, or why the last command ended without a run.
        notes: What the user should know: files that are not used, options that the last run supplies.
        stages: The stages of the pipeline, in order.
        graph: Where they are drawn.
        result: The last result.
        runs: The newest runs.
    """

    project: str
    profile: str = ""
    profiles: tuple[str, ...] = ()
    command: str = ""
    status: str = ""
    running: bool = False
    failed: str = ""
    problem: str = ""
    notes: tuple[str, ...] = ()
    stages: tuple[StageView, ...] = ()
    graph: StageGraph = StageGraph()
    result: ResultView | None = None
    runs: tuple[RunView, ...] = ()


def describe_panel(folder: Path, view: ProjectView, process: RunProcess, profile: str | None = None) -> PanelState:
    """Return what the panel shows now.

    Args:
        folder: The server's; paths of notebooks are relative to it.
        view: The project.
        process: The run that the panel has started.
        profile: The selected profile; empty: none; None: that of the last run.
    """
    state, warnings = collect_warnings(lambda: _describe(folder, view, process, profile))
    return replace(state, notes=(*state.notes, *warnings))


def find_running(view: ProjectView) -> Run | None:
    """Return the newest run that goes on, or None."""
    return next((run for run in view.runs()[0] if run.state == RunState.RUNNING), None)


def _describe(folder: Path, view: ProjectView, process: RunProcess, profile: str | None) -> PanelState:
    project = view.project
    runs, damaged = view.runs()
    own = [run for run in runs if run.record.pipeline == project.settings.pipeline]
    last, running = last_run(project, runs), find_running(view)
    if profile is None or (profile and profile not in project.profiles):
        profile = (last.record.profile if last and last.record.profile in project.profiles else None) or ""
    state = PanelState(
        project=project.name,
        profile=profile,
        profiles=tuple(project.profiles),
        command=shlex.join(["mlnb", "run", *run_options(run_request(profile))]),
        running=running is not None or process.is_alive(),
        failed=last.id if last and last.state == RunState.FAILED else "",
        problem=process.problem([run.record.pid for run in runs[:RUNS]]),
        notes=tuple(damaged),
        result=last_result(view, own),
        runs=tuple(_row(view, run) for run in runs[:RUNS]),
    )
    try:
        notebooks = read_notebooks(project.notebooks, project.source_cache)
        if running is not None and running in own:
            live = describe_live(view, running)
            shown = tuple(live_stages(folder, live, notebooks))
            graph = stage_graph([stage.name for stage in shown], notebooks)
            return replace(state, failed=running.id, status=live.status, stages=shown, graph=graph)
        steps, note = plan_steps(project, run_request(profile))
    except MlnbError as error:
        return replace(state, problem=str(error), status="There is no plan.")
    stages = planned_stages(folder, steps, notebooks, last)
    recorded = any(run.record.pid == process.pid for run in runs[:RUNS])
    status = _status(stages, running, process.is_alive(), recorded)
    graph = stage_graph([stage.name for stage in stages], notebooks)
    notes = (*damaged, *filter(None, [note]))
    return replace(state, notes=notes, stages=tuple(stages), graph=graph, status=status)


def _status(stages: list[StageView], other: Run | None, alive: bool, recorded: bool) -> str:
    """Return a sentence about stages that do not run now.

    Args:
        stages: The stages.
        other: A run of another pipeline that goes on.
        alive: Whether the process that the panel has started goes on.
        recorded: Whether it has made a run.
    """
    if other is not None:
        return f"Run {other.id} of pipeline {other.record.pipeline} goes on."
    if alive:
        return "The run ends; its report is written." if recorded else "A run starts."
    current = sum(stage.state == "up to date" for stage in stages)
    return (
        "All stages are up to date." if current == len(stages) else f"{current} of {len(stages)} stages are up to date."
    )


def last_result(view: ProjectView, runs: list[Run]) -> ResultView | None:
    """Return the result of the newest finished run that has one, compared with the one before of the same metric."""
    rows = [row for run in runs if run.state == RunState.FINISHED and (row := view.row(run)).verdict.value is not None]
    if not rows:
        return None
    last = rows[0]
    text = f"{formatting.metric(last.verdict.metric)} {_value(last.verdict)}"
    before = next((row for row in rows[1:] if row.verdict.metric == last.verdict.metric), None)
    if before is None:
        return ResultView(run=last.run.id, text=text)
    moved = (last.verdict.value or 0.0) - (before.verdict.value or 0.0)
    if not moved:
        return ResultView(run=last.run.id, text=text, change=f"as in run {before.run.id}")
    contract = load_record(last.run, "contract", ProblemContract)
    better = (moved > 0) == (contract.direction == "maximize") if contract else None
    sign = "+" if moved > 0 else ""
    return ResultView(
        run=last.run.id, text=text, change=f"{sign}{formatting.number(moved)} since run {before.run.id}", better=better
    )


def _value(verdict: Any) -> str:
    return f"{formatting.number(verdict.value)} {formatting.interval(verdict)}".strip()


def _row(view: ProjectView, run: Run) -> RunView:
    verdict = view.row(run).verdict
    metric = (
        f"{formatting.metric(verdict.metric)} {formatting.number(verdict.value)}" if verdict.value is not None else ""
    )
    return RunView(
        id=run.id,
        state=run.state,
        started=formatting.moment(run.record.started).replace(" UTC", ""),
        pipeline=run.record.pipeline,
        metric=metric,
    )
