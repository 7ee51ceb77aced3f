"""The graph of a pipeline: the producer of each artifact, the order of the stages, and their dependencies."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

import msgspec

from mlnb.engine.notebook import StageNotebook
from mlnb.engine.run_records import OutputRecord, Outputs
from mlnb.engine.test_set_access import is_held_out
from mlnb.errors import GraphError
from mlnb.suggestions import did_you_mean


class Graph(msgspec.Struct, frozen=True, dict=True):
    """The stages of a pipeline and what connects them.

    Args:
        stages: The stages by name, in an order in which they can run.
        producers: The stage that makes each artifact.
        inputs: Artifacts that a run of another pipeline supplies.
    """

    stages: dict[str, StageNotebook]
    producers: dict[str, str]
    inputs: Outputs = {}

    def parents(self, name: str) -> tuple[str, ...]:
        """Return the stages whose artifacts a stage reads, each once, in order."""
        produced = (artifact for artifact in self.stages[name].reads if artifact in self.producers)
        return tuple(dict.fromkeys(self.producers[artifact] for artifact in produced))

    def ancestors(self, name: str) -> set[str]:
        """Return every stage that a stage depends on."""
        ancestors: set[str] = set()
        for parent in self.parents(name):
            ancestors |= {parent} | self.ancestors(parent)
        return ancestors

    def descendants(self, name: str) -> set[str]:
        """Return every stage that depends on a stage."""
        return {other for other in self.stages if name in self.ancestors(other)}

    @cached_property
    def priority(self) -> dict[str, int]:
        """The number of stages that depend on each stage."""
        return {name: len(self.descendants(name)) for name in self.stages}

    def by_priority(self, names: Collection[str]) -> list[str]:
        """Return stages in the order in which they should start: first those with the most descendants."""
        return sorted((name for name in self.stages if name in names), key=lambda name: -self.priority[name])

    def has_low_priority(self, name: str, unfinished: Collection[str]) -> bool:
        """Return whether an unfinished stage that is neither ancestor nor descendant has a higher priority."""
        others = set(unfinished) - self.descendants(name) - self.ancestors(name) - {name}
        return any(self.priority[other] > self.priority[name] for other in others)

    def check_name(self, name: str) -> str:
        """Return `name`. Raises `GraphError` when no stage of the pipeline has it."""
        if name not in self.stages:
            names = list(self.stages)
            raise GraphError(
                f"No stage {name!r} in this pipeline; it has {', '.join(names)}." + did_you_mean(name, names)
            )
        return name


def build_graph(
    notebooks: Mapping[str, StageNotebook], names: Sequence[str], inputs: Mapping[str, OutputRecord] | None = None
) -> Graph:
    """Return the graph of the named stages: producers come first, the stages' numbers decide the rest.

    Args:
        notebooks: All stages of the project.
        names: The stages of the pipeline.
        inputs: Artifacts of another pipeline's run, for those that no stage of this pipeline makes.

    Raises:
        GraphError: An unknown stage, two producers of an artifact, an artifact without a producer, a held-out
            artifact with more than one reader, or a cycle.
    """
    supplied = dict(inputs or {})
    for name in names:
        if name not in notebooks:
            raise GraphError(
                f"The pipeline names stage {name!r}, but no notebook declares it." + did_you_mean(name, notebooks)
            )
    producers: dict[str, str] = {}
    for name in names:
        for artifact in notebooks[name].writes:
            if artifact in producers:
                raise GraphError(
                    f"Both {producers[artifact]!r} and {name!r} write {artifact!r}; expected one producer."
                )
            producers[artifact] = name
    for name in names:
        for artifact in notebooks[name].reads:
            if artifact in producers:
                continue
            if artifact not in supplied:
                raise GraphError(
                    f"Stage {name!r} reads {artifact!r}, but {_no_producer(artifact, notebooks, producers)}"
                )
            if is_held_out(supplied[artifact].description):
                raise GraphError(
                    f"Stage {name!r} reads {artifact!r}, which is held out: no other pipeline may read it."
                )
    _check_held_out(notebooks, names, producers)
    taken = {name: record for name, record in supplied.items() if name not in producers}
    return Graph({name: notebooks[name] for name in _order(notebooks, names, producers)}, producers, taken)


def unproduced(notebooks: Mapping[str, StageNotebook], names: Sequence[str]) -> set[str]:
    """Return the artifacts that the named stages read and none of them writes."""
    declared = [notebooks[name] for name in names if name in notebooks]
    produced = {artifact for notebook in declared for artifact in notebook.writes}
    return {artifact for notebook in declared for artifact in notebook.reads} - produced


def _no_producer(artifact: str, notebooks: Mapping[str, StageNotebook], producers: Mapping[str, str]) -> str:
    makers = [stage.name for stage in notebooks.values() if artifact in stage.writes]
    if makers:
        return f"its producer {makers[0]!r} is not in the pipeline; add it to settings.ini."
    return "no stage writes that." + did_you_mean(artifact, producers)


def _check_held_out(notebooks: Mapping[str, StageNotebook], names: Sequence[str], producers: Mapping[str, str]) -> None:
    for artifact, producer in producers.items():
        readers = [name for name in names if artifact in notebooks[name].reads]
        if is_held_out(notebooks[producer].writes[artifact]) and len(readers) > 1:
            raise GraphError(
                f"{artifact!r} is held out: one stage may read it, but {' and '.join(map(repr, readers))} do. "
                "Let the first write what the others need."
            )


def _order(notebooks: Mapping[str, StageNotebook], names: Sequence[str], producers: Mapping[str, str]) -> list[str]:
    waiting = sorted(dict.fromkeys(names), key=lambda name: (notebooks[name].number, name))
    ordered: list[str] = []
    while waiting:
        ready = [n for n in waiting if all(producers[a] in ordered for a in notebooks[n].reads if a in producers)]
        if not ready:
            raise GraphError(f"These stages depend on each other in a cycle: {_cycle(notebooks, waiting, producers)}.")
        ordered.append(ready[0])
        waiting.remove(ready[0])
    return ordered


def _cycle(notebooks: Mapping[str, StageNotebook], waiting: list[str], producers: Mapping[str, str]) -> str:
    path = [waiting[0]]
    while len(path) == len(set(path)):
        path.append(next(producers[a] for a in notebooks[path[-1]].reads if producers.get(a) in waiting))
    cycle = path[path.index(path[-1]) :]
    steps = []
    for reader, producer in itertools.pairwise(cycle):
        artifact = next(a for a in notebooks[reader].reads if producers.get(a) == producer)
        steps.append(f"{reader} reads {artifact!r} of {producer}")
    return ", ".join(steps)
