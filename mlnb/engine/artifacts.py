"""Artifacts of a run while it runs: what each stage has made and was given to read.

A stage may read an artifact as soon as it is saved, while its producer still runs: a saved artifact is addressed by
its bytes, so what is derived from it is valid for those bytes. The reader is finished when the producer is. When an
artifact is large, a stage waits until all producers have ended and released their memory.
"""

from collections.abc import Container

from mlnb.engine.graph import Graph
from mlnb.engine.run_records import OutputRecord, Outputs
from mlnb.engine.store import Store

LARGE = 32 << 20  # bytes in the store from which on memory matters more than time


class RunArtifacts:
    """The artifacts of one run; used by one thread."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._finished: dict[str, Outputs] = {}  # by stage that finished
        self._saved: dict[str, Outputs] = {}  # by stage that is running
        self._inputs: dict[str, dict[str, str]] = {}  # by stage: digests of the artifacts that it was given

    def update(self, stage: str, outputs: Outputs) -> None:
        """Set what a running stage has saved so far."""
        self._saved[stage] = outputs

    @property
    def any_large(self) -> bool:
        """Whether there is an artifact so large that two stages should not hold it in memory at once."""
        return any(
            record.bytes >= LARGE
            for outputs in (*self._finished.values(), *self._saved.values())
            for record in outputs.values()
        )

    def ready(self, stage: str, unfinished: Container[str]) -> bool:
        """Return whether all that a stage reads is available; `unfinished` are stages that have not ended."""
        if self.any_large:
            return not any(producer in unfinished for producer in self.graph.parents(stage))
        produced = set(self.graph.stages[stage].reads) & self.graph.producers.keys()
        producers = {artifact: self.graph.producers[artifact] for artifact in produced}
        return all(
            producer not in unfinished or artifact in self._saved.get(producer, {})
            for artifact, producer in producers.items()
        )

    def parent_outputs(self, stage: str) -> dict[str, Outputs | None]:
        """Return the outputs of each parent of a stage; None for one that has none yet."""
        return {name: self._finished.get(name, self._saved.get(name)) for name in self.graph.parents(stage)}

    def record(self, artifact: str) -> OutputRecord:
        """Return the record of an artifact, made in this run or supplied by another pipeline's."""
        if artifact in self.graph.inputs:
            return self.graph.inputs[artifact]
        producer = self.graph.producers[artifact]
        return self._finished.get(producer, self._saved.get(producer, {}))[artifact]

    def assign_inputs(self, stage: str) -> Outputs:
        """Return the record of each artifact that a stage reads, and remember their digests."""
        inputs = {artifact: self.record(artifact) for artifact in self.graph.stages[stage].reads}
        self._inputs[stage] = {artifact: record.digest for artifact, record in inputs.items()}
        return inputs

    def input_digests(self, stage: str) -> dict[str, str]:
        """Return the digest of each artifact that a stage was given."""
        return self._inputs[stage]

    def finish(self, stage: str, outputs: Outputs) -> list[str]:
        """Set the outputs of a stage that finished; return the stages that were given other bytes.

        That happens when its kernel died after it had saved an artifact, and the notebook was executed again.
        """
        self._finished[stage] = outputs
        self._saved.pop(stage, None)
        return [
            reader
            for reader, digests in self._inputs.items()
            if any(digests.get(artifact, record.digest) != record.digest for artifact, record in outputs.items())
        ]

    def forget(self, stage: str) -> None:
        """Forget the outputs and inputs of a stage: it failed, or runs again."""
        for mapping in (self._finished, self._saved, self._inputs):
            mapping.pop(stage, None)

    def damaged(self, stage: str, store: Store) -> list[str]:
        """Return the ancestors of a stage whose artifacts in the store are missing or damaged."""
        return [
            ancestor
            for ancestor in self.graph.ancestors(stage)
            if not all(map(store.is_usable, self._finished.get(ancestor, {}).values()))
        ]
