"""The runs and models of a project, by reference."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

from mlnb.api.last_run import with_last_data
from mlnb.api.progress import progress_listener
from mlnb.api.project_folders import find_project
from mlnb.api.recorded_run import RecordedRun, RunList
from mlnb.api.run_execution import push_run, run_plans, start_listeners
from mlnb.api.run_request import RunRequest, match_plan, plan_request
from mlnb.api.segment_requests import names_files
from mlnb.api.segment_training import MOST, SegmentOptions
from mlnb.engine.project import Project
from mlnb.engine.run_records import RunState
from mlnb.engine.runs import Run, list_runs, set_latest
from mlnb.errors import StageError, UsageError, error_class
from mlnb.registry.run_references import open_referenced, run_reference
from mlnb.serving.packaging.packaged_runs import LATEST, find_packaged_run

if TYPE_CHECKING:
    from mlnb.api.packaged_model import PackagedModel
    from mlnb.api.segment_runs import SegmentRuns


@overload
def run(
    pipeline: str | None = None,
    *,
    data: Path | str | None = None,
    target: str | None = None,
    params: Mapping[str, object] | None = None,
    profile: str | None = None,
    upto: str | None = None,
    force: Sequence[str] | None = None,
    workers: int | None = None,
    report: bool = True,
    progress: bool = True,
    folder: Path | str | None = None,
) -> RecordedRun: ...


@overload
def run(
    pipeline: str | None = None,
    *,
    data: Path | str | None = None,
    target: str | None = None,
    params: Mapping[str, object] | None = None,
    profile: str | None = None,
    upto: str | None = None,
    force: Sequence[str] | None = None,
    workers: int | None = None,
    report: bool = True,
    progress: bool = True,
    folder: Path | str | None = None,
    each: str,
    with_global: bool = False,
    least_rows: int | None = None,
    most: int = MOST,
) -> "SegmentRuns": ...


def run(
    pipeline: str | None = None,
    *,
    data: Path | str | None = None,
    target: str | None = None,
    params: Mapping[str, object] | None = None,
    profile: str | None = None,
    upto: str | None = None,
    force: Sequence[str] | None = None,
    workers: int | None = None,
    report: bool = True,
    progress: bool = True,
    folder: Path | str | None = None,
    each: str | None = None,
    with_global: bool = False,
    least_rows: int | None = None,
    most: int = MOST,
) -> "RecordedRun | SegmentRuns":
    """Run a pipeline as `mlnb run` does: unchanged stages are reused, and without changes nothing runs.

    Args:
        pipeline: name of a pipeline of settings.ini; None: the setting `pipeline`.
        data: data set: a file, a URL, SQL, sklearn:NAME or source:NAME; None: as `mlnb run` without --data.
        target: column to predict; None: as `mlnb run` without --target.
        params: values by name, as {"tune.trials": 60, "seed": 7}; a name without a stage sets it in every stage.
        profile: name of a profile of settings.ini, such as "smoke".
        upto: a stage: it and the stages it depends on are run.
        force: stages that run though unchanged; an empty list: all.
        workers: number of stages that run at once; None: the setting.
        report: whether to write the HTML report.
        progress: whether to print a line per stage.
        folder: as for `runs`.
        each: column: one model is trained for each of its values; or a pattern of files: one for each of them.
        with_global: with a column: whether one model of all rows is trained, too, and compared with the others.
        least_rows: with `each`: rows that a model needs; None: 50.
        most: with `each`: models that may be trained.

    Returns:
        The finished run; an earlier one when nothing has changed since. With `each` the runs of the segments: one that
        has failed leaves the others finished, and is in `failed`.

    Raises:
        UsageError: the project, a name or a value is wrong; nothing was run, or the stages that segments share.
        GateFailed: the model does not meet a requirement of its gate.
        StageError: a stage failed (`CellFailed`: by an exception); the message names cell and executed notebook.
        KeyboardInterrupt: the run was interrupted; finished stages are kept.
    """
    _check_type("data", data, (str, Path), "a path, a URL or the name of a data set (save a data frame as a file)")
    _check_type("target", target, str, "the name of a column, or its position as text, counted from 1")
    _check_type("params", params, Mapping, "a dict of values by name")
    project = find_project(folder)
    number = count_workers(project, workers)
    request = RunRequest(
        pipeline=pipeline,
        data=None if data is None else str(data),
        target=target,
        values=params or {},
        profile=profile,
        upto=upto,
        force=force,
    )
    if each is not None:
        options = SegmentOptions(
            each=each, with_global=with_global, least_rows=least_rows, most=most, workers=number, report=report
        )
        return _run_segments(project, request, options, progress)
    if with_global or least_rows is not None or most != MOST:
        _check_count("least_rows", least_rows)
        _check_count("most", most)
        raise UsageError("with_global, least_rows and most are for several models; expected each, too.")
    request, _ = with_last_data(project, request)
    return run_request(project, request, number, report, progress)


def count_workers(project: Project, workers: int | None) -> int:
    """Return the number of stages that run at once; None: the setting. Raises `UsageError` for one below 1."""
    number = project.settings.workers if workers is None else workers
    _check_count("workers", number)
    return number


def run_request(project: Project, request: RunRequest, workers: int, report: bool, progress: bool) -> RecordedRun:
    """Return the finished run of a request without a grid; an earlier one when nothing has changed since.

    Args:
        project: the project.
        request: what to run.
        workers: number of stages that run at once.
        report: whether to write the HTML report.
        progress: whether to print a line per stage.

    Raises:
        StageError, GateFailed, KeyboardInterrupt: as `run`.
    """
    (plan,) = plan_request(project, request)
    finished = match_plan(project, request, plan)
    if finished is not None:
        set_latest(finished)
        push_run(plan.planner, finished)
        return RecordedRun(finished)
    listeners = start_listeners(project, progress_listener(as_json=False) if progress else None)
    (recorded,) = run_plans(project, request, [plan], listeners, _conclude, request.command(), workers, report)
    return recorded


def runs(folder: Path | str | None = None) -> RunList:
    """Return the runs of a project, newest first.

    Args:
        folder: the project's folder or one below it; None: the working directory.

    Raises:
        ProjectError: the folder does not exist, or the settings of the project cannot be read.
    """
    return RunList([RecordedRun(run) for run in list_runs(find_project(folder))])


def latest(folder: Path | str | None = None) -> RecordedRun:
    """Return the latest run of a project.

    Args:
        folder: as for `runs`.

    Raises:
        UnknownRun: there is none.
    """
    return open_recorded_run(LATEST, folder)


def open_recorded_run(reference: str, folder: Path | str | None = None) -> RecordedRun:
    """Return a run.

    Args:
        reference: an id, a unique start or end of one, "latest", or a version such as "@champion".
        folder: as for `runs`.

    Raises:
        UnknownRun: no run, or more than one, has that id.
        UsageError: the reference is no text, or the folder does not exist.
    """
    _check_reference(reference)
    project = find_project(folder)
    return RecordedRun(open_referenced(project, reference))


def load_model(model: "str | Path | RecordedRun" = LATEST, folder: Path | str | None = None) -> "PackagedModel":
    """Return a packaged model, which predicts data frames with the numbers of its service.

    Args:
        model: "latest" (the newest packaged run), a run's id, a version such as "@champion" or "churn-classifier:3",
            a run, or the folder of a service bundle or of its model.
        folder: as for `runs`; not used for a run or a path.

    Raises:
        UnknownRun: there is no such run, or it has no packaged model.
        UsageError: a path is not the folder of a model.
        ServingError: the model does not return the notebook's predictions in this process.
    """
    if isinstance(model, RecordedRun):
        return model.load_model()
    if isinstance(model, Path):
        from mlnb.api.packaged_model import PackagedModel

        contents = next((path for path in (model, model / "model") if (path / "contract.json").is_file()), None)
        if contents is None:
            raise UsageError(
                f"{model} holds no model; expected the folder of a service bundle, with model/contract.json."
            )
        return PackagedModel(contents)
    _check_reference(model)
    project = find_project(folder)
    return RecordedRun(find_packaged_run(project, run_reference(project, model))).load_model()


def _run_segments(project: Project, request: RunRequest, options: SegmentOptions, progress: bool) -> "SegmentRuns":
    """Return the runs of segments; raise the error of the stages that they share."""
    from mlnb.api.segment_runs import run_segments

    _check_type("each", options.each, str, "the name of a column, or a pattern of files")
    for name, number in (("least_rows", options.least_rows), ("most", options.most)):
        _check_count(name, number)
    if not names_files(options.each):  # the files are the data
        request, _ = with_last_data(project, request)
    command = (*request.command(), *options.words())
    result = run_segments(project, request, replace(options, command=command), progress)
    if isinstance(result, Run):
        _conclude(result, None)
        raise StageError(
            f"Run {result.id} of the stages that the segments share has not finished: it is {result.state}."
        )
    return result


def _conclude(run: Run, report: Path | None) -> RecordedRun:
    """Return a finished run; raise the error of one that failed."""
    if run.record.state == RunState.INTERRUPTED:
        raise KeyboardInterrupt(f"Run {run.id} was interrupted; the same call continues it.")
    failure = run.record.failure
    if run.record.state == RunState.FINISHED or failure is None:
        return RecordedRun(run)
    cell = f", cell {failure.cell}" if failure.cell is not None else ""
    notebook = f" The executed notebook: {run.folder / failure.notebook}." if failure.notebook else ""
    message = f"Run {run.id}: stage {failure.stage}{cell} failed: {failure.message}.{notebook}"
    raised = StageError if failure.error == KeyboardInterrupt.__name__ else error_class(failure.error)
    raise (StageError if issubclass(raised, UsageError) else raised)(message)


def _check_reference(reference: object) -> None:
    expected = 'the id of a run, "latest", or a version such as "@champion"'
    if reference is None:
        raise UsageError(f"Found None; expected {expected}.")
    _check_type("reference", reference, str, expected)


def _check_type(name: str, value: object, kinds: type | tuple[type, ...], expected: str) -> None:
    """Raise `UsageError` for an argument that is neither None nor of some types."""
    if value is not None and not isinstance(value, kinds):
        raise UsageError(f"{name} is of type {type(value).__name__}; expected {expected}.")


def _check_count(name: str, value: object) -> None:
    """Raise `UsageError` for an argument that is neither None nor a whole number of 1 or more."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{name} is {value!r}; expected a whole number, 1 or more.")
    if value < 1:
        raise UsageError(f"{name} is {value}; expected 1 or more.")
