"""What the stages of a run have made so far, and what of it each stage was given.

An artifact can be read as soon as it is saved, while the stage that made it still draws and tells: what is saved is
addressed by its bytes, so whatever is made of it is true of those bytes, however that stage ends. Where an artifact is
large, a stage waits until those before it have ended and let go of their memory.
"""

from collections.abc import Container
from typing import Any

from mlnb.engine.graph import Graph
from mlnb.engine.plan import Outputs
from mlnb.engine.store import Store

LARGE = 32 << 20  # bytes in the store of an artifact from which on memory counts for more than seconds


class Artifacts:
    """Kept by one run, in one thread."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._made: dict[str, Outputs] = {}  # of stages that have ended well
        self._saved: dict[str, Outputs] = {}  # of stages that run
        self._given: dict[str, dict[str, str]] = {}  # stage -> artifact -> digest

    def save(self, stage: str, outputs: Outputs) -> None:
        """Take in what a stage that runs has saved by now."""
        self._saved[stage] = outputs

    @property
    def large(self) -> bool:
        """Whether there is a table so large that two stages should not hold it at once."""
        return any(
            record["bytes"] >= LARGE
            for outputs in (*self._made.values(), *self._saved.values())
            for record in outputs.values()
        )

    def ready(self, stage: str, unsettled: Container[str]) -> bool:
        """Return whether all that a stage reads is there; `unsettled` are stages that have not ended."""
        if self.large:
            return not any(maker in unsettled for maker in self.graph.parents(stage))
        made = set(self.graph.stages[stage].reads) & self.graph.producers.keys()
        makers = {artifact: self.graph.producers[artifact] for artifact in made}
        return all(maker not in unsettled or name in self._saved.get(maker, {}) for name, maker in makers.items())

    def known(self, stage: str) -> dict[str, Outputs | None]:
        """Return by parent of a stage what it has made; None for one that has made nothing."""
        return {name: self._made.get(name, self._saved.get(name)) for name in self.graph.parents(stage)}

    def record(self, artifact: str) -> dict[str, Any]:
        """Return the record of an artifact: given by another pipeline's run, or made in this one."""
        record = self.graph.given.get(artifact)
        if record is None:
            maker = self.graph.producers[artifact]
            record = self._made.get(maker, self._saved.get(maker, {}))[artifact]
        return dict(record)

    def give(self, stage: str) -> dict[str, dict[str, Any]]:
        """Return the record of each artifact that a stage reads, and remember which they were."""
        given = {artifact: self.record(artifact) for artifact in self.graph.stages[stage].reads}
        self._given[stage] = {artifact: record["digest"] for artifact, record in given.items()}
        return given

    def given(self, stage: str) -> dict[str, str]:
        """Return the digest of each artifact that a stage was given."""
        return self._given[stage]

    def settle(self, stage: str, outputs: Outputs) -> list[str]:
        """Take in what a stage has made in all; return the stages that were given other bytes than these.

        That happens when its kernel died after it had saved, and the notebook was run once more.
        """
        self._made[stage] = outputs
        self._saved.pop(stage, None)
        return [
            reader
            for reader, digests in self._given.items()
            if any(digests.get(artifact, record["digest"]) != record["digest"] for artifact, record in outputs.items())
        ]

    def drop(self, stage: str) -> None:
        """Forget what a stage has made: it failed, or has to make it again."""
        for kept in (self._made, self._saved, self._given):
            kept.pop(stage, None)

    def damaged(self, stage: str, store: Store) -> list[str]:
        """Return the stages before one whose artifacts in the store are not what they were."""
        return [
            other
            for other in self.graph.ancestors(stage)
            if not all(store.intact(o["digest"], o["format"] == "tree") for o in self._made.get(other, {}).values())
        ]
