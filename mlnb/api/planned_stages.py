"""Stages that run on other machines: a plan is pushed to the remote store, and each stage is run by its key.

The key is the recipe of the stage, which is known before any stage has run. A worker needs mlnb with the same
libraries, the remote store, and nothing of the project.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlnb.api.run_execution import run_plans, start_listeners
from mlnb.api.run_request import GridPlan, RunRequest
from mlnb.codec import to_json
from mlnb.engine.code_sources import CodeSources
from mlnb.engine.confined_names import is_confined
from mlnb.engine.digests import digest_bytes, digest_file, digest_value
from mlnb.engine.files import make_folder, write_whole
from mlnb.engine.graph import Graph, build_graph
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.plan import Planner
from mlnb.engine.plan_reasons import explain
from mlnb.engine.plan_steps import StepAction, select
from mlnb.engine.project import Project
from mlnb.engine.recipe_keys import recipe_keys
from mlnb.engine.remote_messages import PlannedRun
from mlnb.engine.runs import Run
from mlnb.engine.stage_orders import LOCAL
from mlnb.errors import ProjectError, UnknownRun, UsageError
from mlnb.governance.source_archive import module_files, named_files
from mlnb.machine import cache_folder
from mlnb.settings import ProcessSettings, ProjectSettings
from mlnb.signing.trusted_keys import FILE as TRUSTED
from mlnb.signing.trusted_keys import required_keys

if TYPE_CHECKING:
    from mlnb.engine.events import Listener

WORKERS = "workers"  # folder of this user's cache with the projects of plans


class PlannedStage(NamedTuple):
    """A stage of a plan on this machine: its planner, which selects it alone, and its name."""

    planner: Planner
    pipeline: str
    stage: str


def push_plan(project: Project, pipeline: str, planner: Planner) -> dict[str, str]:
    """Push a plan with the results of stages that it reuses; return the key of each stage, for `mlnb stage`.

    Args:
        project: The project.
        pipeline: Name of the pipeline.
        planner: The plan.

    Raises:
        UsageError: There is no remote store.
        ProjectError: A parameter names a file outside of the project.
        RemoteError: The remote store cannot be used, or only be read.
    """
    remote = project.store.remote
    if remote is None:
        raise UsageError("There is no remote store: set `remote` in settings.ini, or MLNB_REMOTE.")
    for step in planner.plan():
        if step.result is not None and step.key is not None:
            planner.share(step.name, step.key, step.result)
    recipes = recipe_keys(planner)
    remote.push_plan(
        PlannedRun(
            pipeline=pipeline,
            values=planner.values,
            inputs=planner.graph.inputs,
            files={name: digest_file(path) for name, path in sorted(planned_files(planner).items())},
            recipes=recipes,
            key_inputs={name: planner.key_inputs(name, {}) for name in planner.graph.stages},
        )
    )
    return recipes


def planned_files(planner: Planner) -> dict[str, Path]:
    """Return the files of a project that the stages of a plan need, by path: notebooks, modules, settings and data.

    Raises:
        ProjectError: A parameter names a file outside of the project, which no other machine has.
    """
    project, graph = planner.project, planner.graph
    inputs = {name: planner.key_inputs(name, {}) for name in graph.stages}
    files = module_files(project, {module for each in inputs.values() for module in each.modules})
    if not project.is_builtin:
        paths = [project.root / "settings.ini", *project.notebooks.glob("*.ipynb")]
        files |= {path.relative_to(project.root).as_posix(): path for path in paths}
    for name, each in inputs.items():
        for parameter, fingerprint in each.parameters.items():
            for text in named_files(str(planner.values[name][parameter].value), fingerprint):
                path = project.root / text
                if not path.exists() and (project.home / text).exists():
                    continue  # of the built-in project, which every machine has
                if not is_confined(text):
                    raise ProjectError(
                        f"{name}.{parameter} names {text}, which is outside of the project: no other machine has it. "
                        "Move it into the project, or name a URL that all machines can read."
                    )
                files[text] = path
    return {name: path for name, path in files.items() if path.is_file()}


class PlanSource:
    """The plans of one remote store on this machine; what was read of the last one stays for its other stages."""

    def __init__(self, url: str, folder: Path | None = None, keys: Path | None = None) -> None:
        """Request nothing yet.

        Args:
            url: URL of the remote store.
            folder: Where the project of a plan is written; None: in this user's cache.
            keys: File with the public keys, one of which must have signed a plan; None: any plan is run.
        """
        self.url = url
        self._folder = folder
        self._keys = keys
        self._opened: _OpenedPlan | None = None

    def pull(self, key: str, force: bool = False) -> PlannedStage:
        """Return a stage of a plan, with its project in a folder of this machine.

        Args:
            key: The key that `mlnb plan --push` printed.
            force: Whether the stage runs although there is a result.

        Raises:
            UnknownRun: There is no such plan.
            RemoteError: The remote store cannot be used.
            UsageError: The file of keys is missing, damaged, or has no key.
            ProjectError: The libraries of this machine are not those of the plan, or a file of it cannot be pulled.
        """
        opened = self._opened
        if opened is None or key not in opened.plan.recipes.values():
            self.close()
            opened = self._opened = self._open(key)
        elif opened.project.store.remote is not None:
            opened.project.store.remote.forget()
        os.environ[ProcessSettings.root.variable] = str(opened.project.root)
        plan, graph = opened.plan, opened.graph
        stage = next(name for name, recipe in plan.recipes.items() if recipe == key)
        selection = select(graph, only=[stage], force=[stage] if force else None)
        planner = Planner(opened.project, graph, plan.values, selection, sources=opened.sources)
        if recipe_keys(planner).get(stage) != key:
            differences = explain(plan.key_inputs[stage], planner.key_inputs(stage, {})) or "an earlier stage differs"
            raise ProjectError(
                f"This machine would run another stage {stage!r} than the plan: {differences}. Install the libraries "
                "of the plan, with the constraints.txt of its project."
            )
        return PlannedStage(planner, plan.pipeline, stage)

    def close(self) -> None:
        """End the helper process of the last plan."""
        if self._opened is not None and self._opened.project.store.remote is not None:
            self._opened.project.store.remote.close()
        self._opened = None

    def _open(self, key: str) -> "_OpenedPlan":
        """Pull the plan of a stage and the files of its project."""
        keys = b"" if self._keys is None else required_keys(self._keys)
        workers = cache_folder() / WORKERS
        os.environ |= {ProjectSettings.remote.variable: self.url, ProjectSettings.remote_mode.variable: "rw"}
        trusted = digest_bytes(keys)  # a folder serves workers that trust the same keys
        bare = _project_of(workers / digest_bytes(f"{self.url} {trusted}".encode())[:16], keys)
        remote = bare.store.remote
        assert remote is not None
        try:
            plan = remote.find_plan(key)
            if plan is None:
                raise UnknownRun(f"{remote.url} has no plan with the key {key[:80]!r}; push one: `mlnb plan --push`.")
            folder = self._folder or workers / digest_value([to_json(plan), trusted])[:16]
            root = _project_of(folder.absolute(), keys).root
            _write_files(bare, root, plan)
        finally:
            remote.close()
        project = Project.find(root).with_settings(tracker="local", executor=LOCAL)
        notebooks = read_notebooks(project.notebooks, project.source_cache)
        graph = build_graph(notebooks, project.pipeline(plan.pipeline), plan.inputs)
        return _OpenedPlan(plan, project, graph, CodeSources(project))


class _OpenedPlan(NamedTuple):
    """A plan with its project on this machine."""

    plan: PlannedRun
    project: Project
    graph: Graph
    sources: CodeSources


def must_run(planned: PlannedStage) -> bool:
    """Return whether a stage has to be executed; a result that is on this machine alone is pushed.

    Raises:
        UnknownRun: A stage before it has no result.
    """
    planner = planned.planner
    try:
        steps = planner.plan()
    except UnknownRun as error:
        raise UnknownRun(f"A stage before {planned.stage!r} has no result in the remote store: {error}") from error
    step = next(step for step in steps if step.name == planned.stage)
    if step.action != StepAction.REUSE:
        return True
    remote = planner.project.store.remote
    assert remote is not None and step.key is not None and step.result is not None
    planner.share(step.name, step.key, step.result)
    remote.wait()
    return False


def run_stage(planned: PlannedStage, progress: "Listener | None", command: Sequence[str]) -> Run | None:
    """Run a stage that was pulled, and push its result; return the run, or None when its result is there already.

    Args:
        planned: From `PlanSource.pull`.
        progress: Receives the events.
        command: The command line, for the record.

    Raises:
        UnknownRun: A stage before it has no result.
    """
    if not must_run(planned):
        return None
    planner, project = planned.planner, planned.planner.project
    listeners = start_listeners(project, progress)
    request = RunRequest(pipeline=planned.pipeline)
    plans = [GridPlan(planner, ())]
    (run,) = run_plans(project, request, plans, listeners, lambda run, report: run, command, 1, report=False)
    return run


def _project_of(root: Path, keys: bytes) -> Project:
    """Return the built-in project in a folder of a worker, with the public keys that it trusts."""
    make_folder(root)
    if keys:
        write_whole(root / TRUSTED, keys)
    return Project(root, root)


def _write_files(bare: Project, root: Path, plan: PlannedRun) -> None:
    """Write the files of a plan into a folder; those that are there are not written again. Raises `ProjectError`."""
    missing = {
        name: digest
        for name, digest in plan.files.items()
        if name != TRUSTED and not ((root / name).is_file() and digest_file(root / name) == digest)
    }
    if not bare.store.fetch(missing.values()):
        raise ProjectError("Files of the plan's project cannot be pulled from the remote store; push the plan again.")
    for name, digest in missing.items():
        make_folder((root / name).parent)
        bare.store.copy_to(digest, root / name)
