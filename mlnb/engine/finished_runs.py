"""Finished runs by their stage keys, here and in the remote store; runs that are pulled from it and pushed to it."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from mlnb.engine import runs
from mlnb.engine.digests import digest_value
from mlnb.engine.files import PRIVATE, write_whole
from mlnb.engine.plan import Planner
from mlnb.engine.plan_steps import Step, StepAction
from mlnb.engine.project import Project
from mlnb.engine.run_records import RunState
from mlnb.errors import SchemaError


def matching_run(project: Project, pipeline: str, steps: Iterable[Step]) -> runs.Run | None:
    """Return a finished run with exactly the stage keys of a plan in which no stage runs; else None.

    One that is in the remote store alone is pulled.
    """
    steps = list(steps)
    if any(step.action in (StepAction.RUN, StepAction.PENDING) for step in steps):
        return None
    keys = {step.name: step.key for step in steps}
    path, remote = plan_path(project, pipeline, keys), project.store.remote
    with suppress(OSError, UnicodeDecodeError):
        if (run := _finished_run(project, path.read_text(), keys)) is not None:
            return run
    shared = remote.find_run(plan=path.name) if remote is not None else None
    if remote is None or shared is None or not remote.pull_run(shared):
        return None
    run = _finished_run(project, shared.id, keys)
    if run is not None:
        write_whole(path, run.id.encode(), PRIVATE)
    return run


def _finished_run(project: Project, name: str, keys: Mapping[str, str | None]) -> runs.Run | None:
    """Return a run when it has finished with these stage keys; else None."""
    with suppress(SchemaError):
        run = runs.open_exact(project, name)
        if run is not None and run.state == RunState.FINISHED:
            return run if {name: stage.key for name, stage in run.stages.items()} == keys else None
    return None


def note_finished(run: runs.Run) -> None:
    """Note that a run has finished, for `matching_run`."""
    keys = {name: stage.key for name, stage in run.stages.items()}
    write_whole(plan_path(run.project, run.record.pipeline, keys), run.id.encode(), PRIVATE)


def plan_path(project: Project, pipeline: str, keys: Mapping[str, str | None]) -> Path:
    """Return the file that names the run of a pipeline with these stage keys."""
    return project.store_root / "plans" / digest_value([pipeline, dict(keys)])[:32]


def pull_run(project: Project, reference: str) -> runs.Run | None:
    """Return the run with an id, or a part of one, that was pulled from the remote store; None when it has none."""
    remote = project.store.remote
    shared = remote.find_run(reference) if remote is not None else None
    if remote is None or shared is None or not remote.pull_run(shared):
        return None
    return runs.open_exact(project, shared.id)


def share_run(planner: Planner, run: runs.Run, archives: Callable[[runs.Run], list[str]]) -> int:
    """Push a run that has ended, with the results of its stages; return the number of stages and runs that were pushed.

    Nothing is pushed without a remote store, when that is used read-only, and when it has the run.

    Args:
        planner: The plan of the run.
        run: The run.
        archives: Returns the digests of the archives of its source code.
    """
    remote = planner.project.store.remote
    if remote is None or not remote.lacks_run(run.id):
        return 0
    for name, stage in run.stages.items():
        result = planner.project.store.result(stage.key) if stage.key and stage.state.has_outputs else None
        if stage.key and result is not None:
            planner.share(name, stage.key, result)
    keys = {name: stage.key for name, stage in run.stages.items()}
    finished = run.state == RunState.FINISHED
    plan = plan_path(planner.project, run.record.pipeline, keys).name if finished else ""
    return remote.share(run.id, plan, archives(run))
