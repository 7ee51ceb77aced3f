"""Recipes of stages: what their outputs depend on, as far as it is known before any stage has run.

The stage keys of a plan depend on the outputs of earlier stages. Recipes do not, so that the remote store is requested
for all stages of a plan at once: a recipe leads to the stage key that it had, which is then compared with the real one.
"""

from collections.abc import Mapping
from typing import Protocol

from mlnb.codec import to_json
from mlnb.engine.digests import digest_value
from mlnb.engine.graph import Graph
from mlnb.engine.run_records import KeyInputs, Outputs


class KeyedGraph(Protocol):
    """A planner, of which the graph and the inputs of stage keys are used."""

    graph: Graph

    def key_inputs(self, name: str, outputs: Mapping[str, Outputs | None]) -> KeyInputs:
        """Return everything that a stage's outputs depend on; inputs that are not known yet are left out."""


def recipe_keys(planner: KeyedGraph) -> dict[str, str]:
    """Return the recipe of each stage: the digest of its key's known inputs and of the recipes of its producers."""
    recipes: dict[str, str] = {}
    for name, stage in planner.graph.stages.items():
        producers = {
            artifact: recipes[planner.graph.producers[artifact]]
            for artifact in stage.reads
            if artifact in planner.graph.producers
        }
        recipes[name] = digest_value([to_json(planner.key_inputs(name, {})), producers])
    return recipes
