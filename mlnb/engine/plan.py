"""The plan: for every stage whether it runs or is reused, and why."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlnb.engine import runs
from mlnb.engine.code_sources import Sources, python_version
from mlnb.engine.digests import digest_value
from mlnb.engine.graph import Graph
from mlnb.engine.notebook import read_known
from mlnb.engine.parameter_values import Value, Values
from mlnb.engine.project import Project
from mlnb.engine.snapshot_keys import Living, States, kept, newest, states
from mlnb.errors import NotebookError, UnknownRun

MODULES = 3  # changed modules that a reason names

Outputs = dict[str, dict[str, Any]]  # artifact -> {"digest", "format", "bytes", "description"}


@dataclass(frozen=True)
class Step:
    """What happens to one stage: `run`, `maybe` (known once its inputs are), `reuse`, `given` or `skip`."""

    name: str
    action: str
    why: str
    key: str | None = None
    basis: dict[str, Any] = field(default_factory=dict)
    entry: dict[str, Any] | None = None  # what is reused
    states: States | None = None  # those that it passes through
    wake: int | None = None  # the cell at which it goes on from a state that was kept


@dataclass(frozen=True)
class Selection:
    """Which stages were asked for, and which of them must run whatever is known."""

    chosen: frozenset[str]
    forced: frozenset[str] = frozenset()


def select(
    graph: Graph,
    upto: str | None = None,
    since: str | None = None,
    only: Iterable[str] = (),
    force: Iterable[str] | None = None,
) -> Selection:
    """Return the stages that `--upto`, `--from`, `--only` leave, and those that `--force` names (none named: all).

    Raises `GraphError` for a name that is no stage of the pipeline.
    """
    chosen = set(graph.stages)
    if upto is not None:
        chosen &= graph.ancestors(graph.check_name(upto)) | {upto}
    if since is not None:
        chosen &= graph.descendants(graph.check_name(since)) | {since}
    names = [graph.check_name(name) for name in only]
    if names:
        chosen &= set(names)
    forced = {graph.check_name(name) for name in force or ()} if force is not None else set()
    return Selection(frozenset(chosen), frozenset(forced or (chosen if force is not None else ())))


class Planner:
    """Decides, stage by stage, from the project as it is now."""

    def __init__(
        self,
        project: Project,
        graph: Graph,
        values: Values,
        selection: Selection,
        living: Callable[[Project], Living] = lambda project: {},
    ) -> None:
        """`living` returns the states that are kept, by name; it is asked when a stage is to run."""
        self.project = project
        self._ask_living = living
        self._living: Living | None = None
        self.graph = graph
        self.values = values
        self.selection = selection
        self.sources = Sources(project)
        self._behind: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        self._history: list[runs.Run] | None = None

    def plan(self) -> list[Step]:
        """Return a step for every stage of the pipeline, in order."""
        steps: dict[str, Step] = {}
        for name in self.graph.stages:
            outputs: dict[str, Outputs | None] = {
                parent: (steps[parent].entry or {}).get("outputs") for parent in self.graph.parents(name)
            }
            steps[name] = self.step(name, outputs)
        self.project.sources.save()
        self.project.files.save()
        self.project.store.seen.save()
        return list(steps.values())

    def refresh(self, name: str) -> None:
        """Take in the code of a stage as it is now that it is about to run: it may have been edited since the plan.

        Raises `NotebookError` when that breaks what the run stands on: the names of parameters, reads and writes.
        """
        planned = self.graph.stages[name]
        now = read_known(planned.path, self.project.sources)
        names = [[parameter.name for parameter in stage.parameters] for stage in (planned, now)]
        if names[0] != names[1] or now.contract_digest != planned.contract_digest:
            raise NotebookError(
                f"{planned.path.name}: its parameters, reads or writes were changed while the run went on. "
                "Give the command again: it goes on from what is finished."
            )
        self.graph.stages[name] = now
        self.sources = Sources(self.project)
        self._behind.pop(name, None)

    def step(self, name: str, outputs: Mapping[str, Outputs | None], fresh: bool = False) -> Step:
        """Return what happens to a stage, given what its parents made; None for a parent that has yet to run.

        `fresh` refuses what is in the store, as something there turned out to be damaged.
        """
        if name not in self.selection.chosen:
            return self._outside(name, outputs)
        waiting = [parent for parent, made in outputs.items() if made is None]
        basis = self.basis(name, outputs)
        forced = "forced" if name in self.selection.forced else "what the store had was damaged" if fresh else ""
        if waiting:
            why = self._why(name, basis)
            if forced or why:
                return Step(name, "run", forced or why, basis=basis)
            return Step(name, "maybe", f"after {', '.join(waiting)}", basis=basis)
        key = digest_value(basis)
        if forced:
            return self._resumed(Step(name, "run", forced, key, basis), from_top=True)
        entry = self.project.store.result(key)
        if entry is None:
            return self._resumed(Step(name, "run", self._why(name, basis) or "never finished", key, basis))
        if not self.project.store.whole(entry):
            return self._resumed(Step(name, "run", "its artifacts are missing or damaged in the store", key, basis))
        return Step(name, "reuse", "unchanged", key, basis, entry)

    def _resumed(self, step: Step, from_top: bool = False) -> Step:
        """Return a step that runs with its states, and the one that it goes on from unless it must start at the top."""
        if kept(self.project) == "off":
            return step
        stage = self.graph.stages[step.name]
        found = states(stage, step.basis, self.sources)
        if self._living is None:
            self._living = self._ask_living(self.project)
        cell = None if from_top else newest(found, self._living)
        if cell is None:
            return replace(step, states=found)
        heading = next(one.heading for one in stage.cells if one.index == cell)
        place = f"cell {cell + 1} ({heading})"  # in the executed notebook, which has one more
        why = f"{step.why}; goes on from {place}, the state before it is alive"
        return replace(step, states=found, wake=cell, why=why)

    def alive(self, state: str) -> dict[str, Any]:
        """Return what is told of a state that was found alive."""
        return (self._living or {})[state]

    def basis(self, name: str, outputs: Mapping[str, Outputs | None]) -> dict[str, Any]:
        """Return all that a stage's outputs depend on; inputs that are not known yet are left out."""
        stage = self.graph.stages[name]
        if name not in self._behind:
            self._behind[name] = self.sources.behind(stage.imports)
        modules, libraries = self._behind[name]
        inputs: dict[str, str] = {}
        for artifact in stage.reads:
            if artifact in self.graph.given:
                inputs[artifact] = self.graph.given[artifact]["digest"]
                continue
            made = outputs.get(self.graph.producers[artifact])
            if made is not None and artifact in made:
                inputs[artifact] = made[artifact]["digest"]
        return {
            "contract": stage.contract_digest,
            "code": stage.code_digest,
            "parameters": {
                parameter.name: self._counted(self.values[name][parameter.name], parameter.is_file)
                for parameter in stage.parameters
                if parameter.name != "run"
            },
            "modules": modules,
            "libraries": libraries,
            "python": python_version(),
            "inputs": inputs,
        }

    def _counted(self, value: Value, is_file: bool) -> Any:
        """Return what counts of a value: of a file its bytes and the end of its name, else the value."""
        named = value.value if is_file and isinstance(value.value, str) else ""
        if named.startswith("sqlite:///"):
            place, _, query = named.removeprefix("sqlite:///").partition("::")
            path = self.project.root / place
            return {"file": self.project.files.digest(path), "query": query} if path.is_file() else named
        if not named or "://" in named or "${" in named:
            return value.value
        path = self.project.root / named
        if not path.exists():  # a part of the built-in project, as its service is
            path = self.project.home / named
        if path.is_file():
            return {"file": self.project.files.digest(path), "suffix": "".join(path.suffixes[-2:])}
        if path.is_dir():
            parts = sorted(part for part in path.rglob("*") if part.is_file())
            return {"folder": {part.relative_to(path).as_posix(): self.project.files.digest(part) for part in parts}}
        return value.value

    def _outside(self, name: str, outputs: Mapping[str, Outputs | None]) -> Step:
        """A stage that was not asked for: given from the store or the last run when a chosen stage reads it."""
        if not any(name in self.graph.ancestors(chosen) for chosen in self.selection.chosen):
            return Step(name, "skip", "not asked for")
        if all(made is not None for made in outputs.values()):
            key = digest_value(basis := self.basis(name, outputs))
            entry = self.project.store.result(key)
            if entry is not None and self.project.store.whole(entry):
                return Step(name, "given", "unchanged", key, basis, entry)
        last = runs.last_stage(self._runs(), name)
        if last is None:
            raise UnknownRun(
                f"Stage {name!r} was left out, but no run has made its artifacts yet; `mlnb run` makes them."
            )
        entry = self.project.store.result(last["key"])
        if entry is None or not self.project.store.whole(entry):
            raise UnknownRun(f"Stage {name!r} was left out, but its artifacts are gone from the store; leave it in.")
        return Step(name, "given", f"as run {last['from_run']} made it, out of date", last["key"], last["basis"], entry)

    def _runs(self) -> list[runs.Run]:
        if self._history is None:
            self._history = runs.list_runs(self.project)
        return self._history

    def _why(self, name: str, basis: dict[str, Any]) -> str:
        """Return what has changed since the stage last finished, as one line; empty when nothing that is known yet."""
        last = runs.last_stage(self._runs(), name)
        return "never run" if last is None else explain(last["basis"], basis)


def explain(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return what differs between two bases, in words, as `lags changed: [1, 24] -> [1, 2, 24]`."""
    reasons = []
    for name, value in new["parameters"].items():
        before = old["parameters"].get(name)
        if name not in old["parameters"]:
            reasons.append(f"parameter {name} is new")
        elif before != value:
            reasons.append(f"{name} changed: {_short(before)} -> {_short(value)}")
    if old["code"] != new["code"]:
        reasons.append("its code changed")
    if old["contract"] != new["contract"]:
        reasons.append("its reads or writes changed")
    modules = _differing(old["modules"], new["modules"])
    if len(modules) > MODULES:
        reasons.append(f"{', '.join(modules[:MODULES])} and {len(modules) - MODULES} more modules changed")
    else:
        reasons += [f"{name} changed" for name in modules]
    reasons += [
        f"{name} {old['libraries'].get(name, 'none')} -> {new['libraries'].get(name, 'none')}"
        for name in _differing(old["libraries"], new["libraries"])
    ]
    if old["python"] != new["python"]:
        reasons.append(f"Python {old['python']} -> {new['python']}")
    known = {name: digest for name, digest in old["inputs"].items() if name in new["inputs"]}
    changed = _differing(known, new["inputs"])
    if changed:
        reasons.append(f"input{'s' * (len(changed) > 1)} {', '.join(changed)} changed")
    return "; ".join(reasons)


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _short(value: Any) -> str:
    if isinstance(value, dict) and "file" in value:
        return f"file {value['file'][:8]}"
    text = str(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def twin(project: Project, pipeline: str, steps: Iterable[Step]) -> runs.Run | None:
    """Return a finished run that is exactly this plan, when no stage would run; else None."""
    steps = list(steps)
    if any(step.action in ("run", "maybe") for step in steps):
        return None
    path = plan_path(project, pipeline, {step.name: step.key for step in steps})
    try:
        run = runs.open_run(project, path.read_text())
    except (OSError, UnknownRun):
        return None
    return run if run.state == "finished" else None


def plan_path(project: Project, pipeline: str, keys: Mapping[str, str | None]) -> Path:
    """Return the file that names the run of a pipeline with these keys."""
    return project.store_root / "plans" / digest_value([pipeline, dict(keys)])[:32]
