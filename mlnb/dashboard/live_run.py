"""A run as it is now: the state of each stage, the cell it executes, what it reported last, and the verdict."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from mlnb.codec import Record
from mlnb.dashboard.project_views import ProjectView
from mlnb.dashboard.stage_timeline import draw_stages, moment
from mlnb.engine.run_records import RunState, StageFailure, StageRecord, StageState
from mlnb.engine.runs import Run
from mlnb.engine.stage_files import CellNote, ProgressNote, cell_path, progress_path, read_record
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.reports.competitors import comparison_lines
from mlnb.reports.notebook_pages import terminal_text
from mlnb.reports.pipeline_graph import draw_graph
from mlnb.reports.run_details import RunDetails, collect_details
from mlnb.reports.run_page import page_name
from mlnb.tracking import run_results
from mlnb.tracking.artifact_views import load_record
from mlnb.tracking.notebook_plots import joined

TAIL = 100_000  # bytes of the log of outputs that are read
LINE = 200  # characters of a line that are shown


class LiveStage(NamedTuple):
    """A stage: its record, the address of its executed notebook, its duration so far, its activity, and a line."""

    name: str
    record: StageRecord
    page: str
    seconds: float | None
    activity: str
    line: str


class LiveRun(Record, frozen=True, kw_only=True):
    """Everything that changes on the page of a run.

    Args:
        run: The run.
        running: Whether it goes on.
        status: One sentence for screen readers and the head of the page.
        seconds: Its duration so far.
        stages: Its stages.
        graph, timeline: Both as SVG.
        failure: Why it failed.
        verdict: Its result.
        comparison: How the result compares with its references.
        details: Evaluation, explanations and data; None while it goes on.
    """

    run: Run
    running: bool
    status: str
    seconds: float | None
    stages: list[LiveStage]
    graph: Markup
    timeline: Markup
    failure: StageFailure | None
    verdict: run_results.Verdict
    comparison: list[str]
    details: RunDetails | None


def describe_live(view: ProjectView, run: Run) -> LiveRun:
    """Return a run as it is now."""
    now, running = datetime.now(UTC), run.state == RunState.RUNNING
    shown = run_results.shown_stages(run)
    stages = [_stage(view, run, name, record, now) for name, record in shown.items()]
    active = [
        f"{stage.name}: {stage.activity or 'starts'}" for stage in stages if stage.record.state == StageState.RUNNING
    ]
    done = sum(stage.record.state.has_outputs for stage in stages)
    status = f"{run.state}, {done} of {len(stages)} stages have their results"
    test = None if running else load_record(run, "metrics", Metrics)
    contract = None if running else load_record(run, "contract", ProblemContract)
    return LiveRun(
        run=run,
        running=running,
        status="; ".join([status, *active]) if running else status,
        seconds=_elapsed(run.record.started, now) if running else run.record.seconds,
        stages=stages,
        graph=draw_graph(shown),
        timeline=draw_stages(run.stages, run.id, now),
        failure=run.record.failure,
        verdict=run_results.verdict(run),
        comparison=comparison_lines(test) if test else [],
        details=None if running else collect_details(run, contract, test),
    )


def _stage(view: ProjectView, run: Run, name: str, record: StageRecord, now: datetime) -> LiveStage:
    page = ""
    if record.notebook is not None and run.notebook_file(name) is not None:
        page = view.url("runs", run.id, *page_name(record.notebook).split("/"))
    if record.state != StageState.RUNNING or run.state != RunState.RUNNING:
        return LiveStage(name, record, page, record.seconds, "", "")
    folder = run.folder / "stages"
    activity = _activity(folder, name)
    return LiveStage(name, record, page, _elapsed(record.started, now), activity, last_line(folder, name))


def _activity(folder: Path, stage: str) -> str:
    """Return which cell a stage executes, and its progress."""
    cell, progress = (
        read_record(CellNote, cell_path(folder, stage)),
        read_record(ProgressNote, progress_path(folder, stage)),
    )
    parts = []
    if cell is not None:
        parts.append(f"cell {cell.cell + 1} of {cell.cells}" + f", {cell.heading}" * bool(cell.heading))
    if progress is not None:
        parts.append(f"{progress.text} ({progress.done:g} of {progress.total:g})".strip())
    return "; ".join(parts)


def last_line(folder: Path, stage: str) -> str:
    """Return the last line that the finished cells of a running stage have printed; empty without one."""
    path = folder / f"{stage}.outputs.jsonl"
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            logged = file.read(TAIL).splitlines()
    except OSError:
        return ""
    for entry in reversed(logged):
        try:
            outputs = json.loads(entry).get("outputs") or []
            texts = [joined(output["text"]) for output in outputs if output.get("output_type") == "stream"]
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
        ):  # the first one may be cut, the last one incomplete
            continue
        lines = [line.strip() for text in texts for line in terminal_text(text).splitlines() if line.strip()]
        if lines:
            return lines[-1][:LINE]
    return ""


def _elapsed(started: str | None, now: datetime) -> float | None:
    start = moment(started)
    return None if start is None else max(0.0, (now - start).total_seconds())
