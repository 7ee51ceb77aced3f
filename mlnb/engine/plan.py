"""The plan: the key of every stage, whether the stage runs or is reused, and the reason."""

import os
from collections.abc import Callable, Mapping
from functools import wraps
from threading import RLock
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from mlnb.codec import replace, to_json
from mlnb.engine import runs
from mlnb.engine.code_sources import CodeSources
from mlnb.engine.digests import digest_value
from mlnb.engine.graph import Graph
from mlnb.engine.library_versions import python_version
from mlnb.engine.notebook import read_cached
from mlnb.engine.parameter_values import Values
from mlnb.engine.plan_reasons import explain
from mlnb.engine.plan_steps import Selection, Step, StepAction
from mlnb.engine.project import Project
from mlnb.engine.run_records import (
    KeyInputs,
    Outputs,
    ParameterFingerprint,
    ParameterValue,
    StageResult,
    digests_of,
)
from mlnb.engine.snapshot_keys import FindSnapshots, LiveSnapshot, LiveSnapshots, latest_cell, snapshot_keys
from mlnb.engine.source_files import source_files
from mlnb.engine.tombstones import erased_object
from mlnb.errors import NotebookError, UnknownRun

if TYPE_CHECKING:
    from mlnb.engine.remote_messages import SharedStage


P = ParamSpec("P")
T = TypeVar("T")
PLANNING = RLock()  # planners of several runs share what they have read of the code, and threads push their plans


def one_at_a_time(method: Callable[P, T]) -> Callable[P, T]:
    """Return a method that threads call one after the other."""

    @wraps(method)
    def locked(*args: P.args, **kwargs: P.kwargs) -> T:
        with PLANNING:
            return method(*args, **kwargs)

    return locked


def no_snapshots(project: Project) -> LiveSnapshots:
    """Return that no snapshots are kept."""
    return {}


class Planner:
    """Plans a run, stage by stage, from the project as it is now."""

    def __init__(
        self,
        project: Project,
        graph: Graph,
        values: Values,
        selection: Selection,
        find_snapshots: FindSnapshots = no_snapshots,
        sources: CodeSources | None = None,
    ) -> None:
        """Make a planner.

        Args:
            project: The project.
            graph: The pipeline.
            values: The parameters of its stages.
            selection: The selected stages.
            find_snapshots: Returns the live snapshots; it is called when the first stage is to run.
            sources: Those of a planner of the same project, which has read the code; None: it is read when needed.
        """
        self.project = project
        self.graph = graph
        self.values = values
        self.selection = selection
        self.sources = sources or CodeSources(project)
        self._find_snapshots = find_snapshots
        self._live: LiveSnapshots | None = None
        self._dependencies: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        self._history: list[runs.Run] | None = None

    @one_at_a_time
    def plan(self) -> list[Step]:
        """Return a step for every stage of the pipeline, in order."""
        steps: dict[str, Step] = {}
        for name in self.graph.stages:
            results = {parent: steps[parent].result for parent in self.graph.parents(name)}
            steps[name] = self.step(name, {parent: r.outputs if r else None for parent, r in results.items()})
        self.save_caches()
        return list(steps.values())

    @one_at_a_time
    def save_caches(self) -> None:
        """Keep what was read of code and files, so that the next plan need not read it again."""
        self.project.source_cache.save()
        self.project.file_cache.save()
        self.project.store.digests.save()

    def must_run(self) -> bool:
        """Return whether the first stage of a complete pipeline is to run: then no run has finished with this plan."""
        first = next(iter(self.graph.stages))
        return len(self.selection.selected) == len(self.graph.stages) and self.step(first, {}).action == StepAction.RUN

    @one_at_a_time
    def refresh(self, name: str) -> None:
        """Read the notebook of a stage again, as it may have been edited since the plan.

        Raises:
            NotebookError: The names of its parameters, or its reads or writes, were changed.
        """
        planned = self.graph.stages[name]
        current = read_cached(planned.path, self.project.source_cache)
        before, after = ([parameter.name for parameter in stage.parameters] for stage in (planned, current))
        if before != after or current.contract_digest != planned.contract_digest:
            raise NotebookError(
                f"{planned.path.name}: its parameters, reads or writes were changed during the run. "
                "Run the command again; finished stages are reused."
            )
        self.graph.stages[name] = current
        if not self.sources.is_current():
            self.sources = CodeSources(self.project)
        self._dependencies.pop(name, None)

    @one_at_a_time
    def step(self, name: str, outputs: Mapping[str, Outputs | None], ignore_store: bool = False) -> Step:
        """Return what happens to a stage.

        Args:
            name: The stage.
            outputs: The outputs of each of its parents; None for a parent that has yet to run.
            ignore_store: Whether the stage runs although the store has a result, as that was found damaged.
        """
        if name not in self.selection.selected:
            return self._unselected(name, outputs)
        waiting = [parent for parent, output in outputs.items() if output is None]
        inputs = self.key_inputs(name, outputs)
        forced = "forced" if name in self.selection.forced else "the stored result was damaged" if ignore_store else ""
        if waiting:
            reason = forced or self._changes(name, inputs)
            if reason:
                return Step(name=name, action=StepAction.RUN, reason=reason, key_inputs=inputs)
            return Step(name=name, action=StepAction.PENDING, reason=f"after {', '.join(waiting)}", key_inputs=inputs)
        key = stage_key(inputs)
        run = Step(name=name, action=StepAction.RUN, reason=forced, key=key, key_inputs=inputs)
        if forced:
            return self._with_snapshots(run, inputs, restore=False)
        result = self.project.store.result(key)
        if result is not None and self.project.store.is_complete(result):
            return replace(run, action=StepAction.REUSE, reason="unchanged", result=result)
        if (shared := self._shared(key)) is not None:
            reason = f"run {shared.result.run} by {shared.person}"
            return replace(run, action=StepAction.REUSE, reason=reason, result=shared.result)
        if result is None:
            return self._with_snapshots(replace(run, reason=self._changes(name, inputs) or "never finished"), inputs)
        erased = any(erased_object(self.project.store_root, digest) for digest in digests_of(result))
        reason = "artifacts were erased" if erased else "artifacts are missing or damaged in the store"
        return self._with_snapshots(replace(run, reason=reason), inputs)

    def share(self, name: str, key: str, result: StageResult) -> None:
        """Begin to push the result of a selected stage to the remote store, if there is one that lacks it."""
        remote = self.project.store.remote
        if remote is not None and name in self.selection.selected:
            remote.push(name, key, result, self)

    def _shared(self, key: str) -> "SharedStage | None":
        """Return the result of a stage key in the remote store; None when it has none, or there is no such store."""
        remote = self.project.store.remote
        return None if remote is None else remote.stage(key, self)

    def _available(self, key: str) -> StageResult | None:
        """Return the result of a stage key whose artifacts are here or in the remote store; None when there is none."""
        result = self.project.store.result(key)
        if result is not None and self.project.store.is_complete(result):
            return result
        shared = self._shared(key)
        return shared.result if shared else None

    def _with_snapshots(self, step: Step, inputs: KeyInputs, restore: bool = True) -> Step:
        """Return a step that runs with its snapshot keys and, if `restore`, the cell at which it continues."""
        if self.project.settings.snapshots == "off":
            return step
        stage = self.graph.stages[step.name]
        step = replace(step, snapshots=(keys := snapshot_keys(stage, inputs, self.sources)))
        if self._live is None:
            self._live = self._find_snapshots(self.project)
        cell = latest_cell(keys, self._live) if restore else None
        if cell is None:
            return step
        heading = next(item.heading for item in stage.cells if item.index == cell)
        position = f"cell {cell + 1} ({heading})"  # of the executed notebook, which has one cell more
        return replace(step, restore_cell=cell, reason=f"{step.reason}; continues at {position} from a snapshot")

    def live_snapshot(self, key: str) -> LiveSnapshot:
        """Return a snapshot that was found alive."""
        return (self._live or {})[key]

    @one_at_a_time
    def key_inputs(self, name: str, outputs: Mapping[str, Outputs | None]) -> KeyInputs:
        """Return everything that a stage's outputs depend on; inputs that are not known yet are left out."""
        stage = self.graph.stages[name]
        if name not in self._dependencies:
            self._dependencies[name] = self.sources.stage_dependencies(stage, self.values[name])
        modules, libraries = self._dependencies[name]
        inputs: dict[str, str] = {}
        for artifact in stage.reads:
            if artifact in self.graph.inputs:
                inputs[artifact] = self.graph.inputs[artifact].digest
                continue
            output = outputs.get(self.graph.producers[artifact])
            if output is not None and artifact in output:
                inputs[artifact] = output[artifact].digest
        return KeyInputs(
            contract=stage.contract_digest,
            code=stage.code_digest,
            parameters={
                parameter.name: self._fingerprint(self.values[name][parameter.name], parameter.is_file)
                for parameter in stage.parameters
                if parameter.name != "run"
            },
            modules=modules,
            libraries=libraries,
            python=python_version(),
            inputs=inputs,
        )

    def _fingerprint(self, parameter: ParameterValue, is_file: bool) -> ParameterFingerprint:
        text = parameter.value if is_file and isinstance(parameter.value, str) else ""
        plain = ParameterFingerprint(value=parameter.value)
        digest = self.project.file_cache.digest
        if text.startswith("sqlite:///"):
            location, _, query = text.removeprefix("sqlite:///").partition("::")
            path = self.project.root / location
            return ParameterFingerprint(file=digest(path), query=query) if path.is_file() else plain
        if files := source_files(self.project.root, text) if text and "${" not in text else []:
            named = {os.path.relpath(path, self.project.root): digest(path) for path in files}
            return ParameterFingerprint(folder=named, query=text)
        if not text or "://" in text or "${" in text:
            return plain
        path = self.sources.path_of(text)
        if path.is_file():
            return ParameterFingerprint(file=digest(path), suffix="".join(path.suffixes[-2:]))
        if path.is_dir():
            files = sorted(part for part in path.rglob("*") if part.is_file())
            return ParameterFingerprint(folder={part.relative_to(path).as_posix(): digest(part) for part in files})
        return plain

    def _unselected(self, name: str, outputs: Mapping[str, Outputs | None]) -> Step:
        """Return the step of a stage that is not selected: its stored outputs when a selected stage depends on it."""
        if not any(name in self.graph.ancestors(selected) for selected in self.selection.selected):
            return Step(name=name, action=StepAction.SKIP, reason="not selected")
        step = Step(name=name, action=StepAction.INPUT, reason="unchanged")
        if all(output is not None for output in outputs.values()):
            key = stage_key(inputs := self.key_inputs(name, outputs))
            result = self._available(key)
            if result is not None:
                return replace(step, key=key, key_inputs=inputs, result=result)
        last = runs.latest_stage_record(self._runs(), name)
        if last is None or last.key is None:
            raise UnknownRun(
                f"Stage {name!r} is not selected, and no run has its artifacts; run it: `mlnb run --upto {name}`."
            )
        result = self._available(last.key)
        if result is None:
            raise UnknownRun(
                f"Stage {name!r} is not selected, and its artifacts are not in the store any more. Select it, too."
            )
        reason = f"outdated, from run {last.from_run}"
        return replace(step, reason=reason, key=last.key, key_inputs=last.key_inputs, result=result)

    def _runs(self) -> list[runs.Run]:
        if self._history is None:
            self._history = runs.list_runs(self.project)
        return self._history

    def _changes(self, name: str, inputs: KeyInputs) -> str:
        """Return what has changed since the stage last finished; empty when no change is known yet."""
        last = runs.latest_stage_record(self._runs(), name)
        return "never run" if last is None or last.key_inputs is None else explain(last.key_inputs, inputs)


def stage_key(inputs: KeyInputs) -> str:
    """Return the stage key: the digest of everything that the outputs depend on."""
    return digest_value(to_json(inputs))
