"""The graph of a pipeline: who makes what, in which order, and what depends on what."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mlnb.engine.notebook import StageNotebook
from mlnb.engine.parameters import nearest
from mlnb.engine.test_set_access import is_sealed
from mlnb.errors import GraphError


@dataclass(frozen=True)
class Graph:
    """Stages in an order that can be run, and the producer of every artifact."""

    stages: dict[str, StageNotebook]
    producers: dict[str, str]  # artifact -> stage
    given: dict[str, dict[str, Any]] = field(default_factory=dict)  # artifact -> its record in another pipeline's run

    def parents(self, name: str) -> tuple[str, ...]:
        """Return the stages whose artifacts a stage reads, each once, in order."""
        made = (artifact for artifact in self.stages[name].reads if artifact in self.producers)
        return tuple(dict.fromkeys(self.producers[artifact] for artifact in made))

    def ancestors(self, name: str) -> set[str]:
        """Return every stage that a stage depends on."""
        found: set[str] = set()
        for parent in self.parents(name):
            found |= {parent} | self.ancestors(parent)
        return found

    def descendants(self, name: str) -> set[str]:
        """Return every stage that depends on a stage."""
        return {other for other in self.stages if name in self.ancestors(other)}

    @cached_property
    def rank(self) -> dict[str, int]:
        """The number of stages that wait for each."""
        return {name: len(self.descendants(name)) for name in self.stages}

    def by_urgency(self, names: Collection[str]) -> list[str]:
        """Return stages in the order in which they should be started: first those that most others wait for."""
        return sorted((name for name in self.stages if name in names), key=lambda name: -self.rank[name])

    def aside(self, name: str, unsettled: Collection[str]) -> bool:
        """Return whether more stages wait for another unsettled one, which neither leads to this nor comes from it."""
        others = set(unsettled) - self.descendants(name) - self.ancestors(name) - {name}
        return any(self.rank[other] > self.rank[name] for other in others)

    def check_name(self, name: str) -> str:
        """Return `name`; raises `GraphError` when no stage of the pipeline has it."""
        if name not in self.stages:
            names = list(self.stages)
            raise GraphError(f"No stage {name!r} in this pipeline; it has {', '.join(names)}." + nearest(name, names))
        return name


def build_graph(
    known: Mapping[str, StageNotebook], chosen: Sequence[str], given: Mapping[str, dict[str, Any]] | None = None
) -> Graph:
    """Return the graph of the chosen stages, in an order where producers come first and numbers decide the rest.

    An artifact that none of them makes is taken from `given`, artifacts of another pipeline's run.

    Raises `GraphError` for an unknown stage, two producers, an artifact that nobody makes, a sealed artifact
    with more than one reader, and a circle.
    """
    for name in chosen:
        if name not in known:
            raise GraphError(
                f"The pipeline names stage {name!r}, but no notebook is that stage." + nearest(name, list(known))
            )
    producers: dict[str, str] = {}
    for name in chosen:
        for artifact in known[name].writes:
            if artifact in producers:
                raise GraphError(
                    f"Both {producers[artifact]!r} and {name!r} write {artifact!r}; expected one producer."
                )
            producers[artifact] = name
    for name in chosen:
        for artifact in known[name].reads:
            if artifact not in producers and is_sealed((given or {}).get(artifact, {})):
                raise GraphError(f"Stage {name!r} reads {artifact!r}, which is sealed: no other pipeline may read it.")
            if artifact not in producers and artifact not in (given or {}):
                raise GraphError(f"Stage {name!r} reads {artifact!r}, but {_who(artifact, known, producers)}")
    _check_seals(known, chosen, producers)
    taken = {name: record for name, record in (given or {}).items() if name not in producers}
    return Graph({name: known[name] for name in _order(known, chosen, producers)}, producers, taken)


def _who(artifact: str, known: Mapping[str, StageNotebook], producers: Mapping[str, str]) -> str:
    makers = [stage.name for stage in known.values() if artifact in stage.writes]
    if makers:
        return f"its producer {makers[0]!r} is not in the pipeline; add it to settings.ini."
    return "no stage writes that." + nearest(artifact, list(producers))


def _check_seals(known: Mapping[str, StageNotebook], chosen: Sequence[str], producers: Mapping[str, str]) -> None:
    for artifact, producer in producers.items():
        readers = [name for name in chosen if artifact in known[name].reads]
        if is_sealed({"description": known[producer].writes[artifact]}) and len(readers) > 1:
            raise GraphError(
                f"{artifact!r} is sealed: one stage may read it, but {' and '.join(map(repr, readers))} do. "
                "Let the first write what the others need."
            )


def _order(known: Mapping[str, StageNotebook], chosen: Sequence[str], producers: Mapping[str, str]) -> list[str]:
    waiting = sorted(dict.fromkeys(chosen), key=lambda name: (known[name].number, name))
    ordered: list[str] = []
    while waiting:
        ready = [n for n in waiting if all(producers[a] in ordered for a in known[n].reads if a in producers)]
        if not ready:
            raise GraphError(f"These stages wait for each other in a circle: {_circle(known, waiting, producers)}.")
        ordered.append(ready[0])
        waiting.remove(ready[0])
    return ordered


def _circle(known: Mapping[str, StageNotebook], waiting: list[str], producers: Mapping[str, str]) -> str:
    path = [waiting[0]]
    while len(path) == len(set(path)):
        path.append(next(producers[a] for a in known[path[-1]].reads if producers.get(a) in waiting))
    circle = path[path.index(path[-1]) :]
    steps = []
    for reader, producer in itertools.pairwise(circle):
        artifact = next(a for a in known[reader].reads if producers.get(a) == producer)
        steps.append(f"{reader} reads {artifact!r} of {producer}")
    return ", ".join(steps)
