"""What JupyterLab shows in an open stage notebook: what its draft reads, and the cell that failed."""

from collections.abc import Sequence
from pathlib import Path

from mlnb.codec import Record
from mlnb.dashboard.project_views import ProjectView
from mlnb.dashboard.stage_timeline import moment
from mlnb.engine.draft_artifacts import newest_draft
from mlnb.engine.notebook import StageNotebook, read_notebooks
from mlnb.engine.runs import DRAFT, Run
from mlnb.lab.failed_cell import FailedCell, find_failed_cell
from mlnb.lab.stage_views import last_run


class DraftInput(Record, frozen=True, kw_only=True):
    """Artifacts that a draft reads from one place.

    Args:
        source: The run, or the draft of a stage.
        run: Id of the run; empty for a draft.
        artifacts: Their names.
        warning: Why they may be outdated; empty when they are not.
    """

    source: str
    run: str
    artifacts: tuple[str, ...]
    warning: str = ""


class OpenNotebook(Record, frozen=True, kw_only=True):
    """What is shown in a notebook.

    Args:
        stage: The stage; empty for a notebook that is none.
        inputs: What its draft reads.
        failed: The cell that failed in the last run.
    """

    stage: str = ""
    inputs: tuple[DraftInput, ...] = ()
    failed: FailedCell | None = None


def describe_notebook(folder: Path, view: ProjectView, path: str) -> OpenNotebook:
    """Return what is shown in a notebook.

    Args:
        folder: The server's.
        view: The project.
        path: Of the notebook, relative to the folder.

    Raises:
        MlnbError: A stage notebook is wrong.
    """
    project = view.project
    wanted = folder / path
    if wanted.parent != project.notebooks:
        return OpenNotebook()
    stage = next(
        (s for s in read_notebooks(project.notebooks, project.source_cache).values() if s.path == wanted), None
    )
    if stage is None:
        return OpenNotebook()
    runs, _ = view.runs()
    return OpenNotebook(
        stage=stage.name,
        inputs=tuple(draft_inputs(runs, stage, project.runs / DRAFT)),
        failed=_failed(folder, last_run(project, runs), stage),
    )


def draft_inputs(runs: Sequence[Run], stage: StageNotebook, draft: Path) -> list[DraftInput]:
    """Return what the draft of a stage reads, grouped by run or draft.

    Args:
        runs: All runs, newest first.
        stage: The stage.
        draft: Folder of the draft.
    """
    sources: dict[tuple[str, str, str], list[str]] = {}
    for artifact in stage.reads:
        sources.setdefault(_source(runs, artifact, draft), []).append(artifact)
    return [
        DraftInput(source=source, run=run, artifacts=tuple(artifacts), warning=warning)
        for (source, run, warning), artifacts in sources.items()
    ]


def _source(runs: Sequence[Run], artifact: str, draft: Path) -> tuple[str, str, str]:
    """Return where a draft reads an artifact from, the id of the run, and a warning."""
    latest = next((run for run in runs if run.has(artifact)), None)
    saved = newest_draft(draft, artifact)
    if saved is not None:
        started = moment(latest.record.started) if latest else None
        older = latest is not None and started is not None and saved.saved < started.timestamp()
        return f"the draft of {saved.stage}", "", f"older than run {latest.id}" if older and latest else ""
    if latest is None:
        return "no run", "", "no run has made it yet"
    same = next((run for run in runs if run.record.pipeline == latest.record.pipeline), latest)
    warning = f"the last run, {same.id}, has none ({same.state})" if same is not latest else ""
    return f"run {latest.id}", latest.id, warning


def _failed(folder: Path, last: Run | None, stage: StageNotebook) -> FailedCell | None:
    """Return the failed cell of a stage in the last run; None when it did not fail."""
    record = last.stages.get(stage.name) if last else None
    return find_failed_cell(folder, last, stage.name) if last and record and record.error else None
