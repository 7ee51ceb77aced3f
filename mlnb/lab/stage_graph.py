"""The stages as a graph for the side panel: a row for each depth, columns side by side where stages are independent."""

from collections.abc import Mapping, Sequence

from msgspec import field

from mlnb.codec import Record
from mlnb.engine.notebook import StageNotebook
from mlnb.reports.pipeline_graph import lay_out

Place = tuple[int, int]  # row and column, from 0


class StageGraph(Record, frozen=True, kw_only=True):
    """Where the panel draws stages and arrows.

    Args:
        places: The place of each stage.
        arrows: The places that each arrow goes through, from a stage to one that reads its artifacts.
        parents: The stages that each stage depends on directly, for those who cannot see the arrows.
    """

    places: dict[str, Place] = field(default_factory=dict)
    arrows: tuple[tuple[Place, ...], ...] = ()
    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)


def stage_graph(names: Sequence[str], notebooks: Mapping[str, StageNotebook]) -> StageGraph:
    """Return the graph of stages; an arrow that a longer path implies is left out.

    Args:
        names: The stages, in an order in which they can run.
        notebooks: All stages of the project.
    """
    present = [name for name in names if name in notebooks]
    producers = {artifact: name for name in present for artifact in notebooks[name].writes}
    parents: dict[str, list[str]] = {}
    for name in present:
        read = (producers.get(artifact) for artifact in notebooks[name].reads)
        parents[name] = [one for one in dict.fromkeys(read) if one in parents]
    layout = lay_out(parents)
    direct: dict[str, list[str]] = {}
    for first, second in layout.arrows:
        direct.setdefault(second, []).append(first)
    return StageGraph(
        places=layout.places,
        arrows=tuple(
            (layout.places[first], *lanes, layout.places[second]) for (first, second), lanes in layout.arrows.items()
        ),
        parents={name: tuple(direct.get(name, ())) for name in present},
    )
