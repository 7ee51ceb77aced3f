"""The graph of a run's stages as SVG: columns by depth, without arrows that longer paths imply."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from mlnb.engine.run_records import StageRecord, StageState
from mlnb.reports.formatting import seconds

WIDTH, HEIGHT = 97, 46  # of a box
COLUMN, ROW = 117, 66  # from one box to the next


@dataclass(frozen=True)
class Layout:
    """Positions of the stages, as (column, row), and of each arrow in the columns that it crosses."""

    places: dict[str, tuple[int, int]]
    arrows: dict[tuple[str, str], list[tuple[int, int]]]


def lay_out(parents: Mapping[str, list[str]]) -> Layout:
    """Return the layout of a graph.

    An arrow that a longer path implies is left out; one over several columns gets a separate row.

    Args:
        parents: The parents of each stage, in an order in which parents come first.
    """
    ancestors: dict[str, set[str]] = {}
    depth: dict[str, int] = {}
    for name, direct in parents.items():
        ancestors[name] = set(direct).union(*(ancestors[parent] for parent in direct))
        depth[name] = 1 + max((depth[parent] for parent in direct), default=-1)
    weight = {name: sum(name in others for others in ancestors.values()) for name in parents}
    edges = [
        (parent, name)
        for name, direct in parents.items()
        for parent in direct
        if not any(parent in ancestors[other] for other in direct if other != parent)
    ]
    places: dict[str, tuple[int, int]] = {}
    lanes: dict[tuple[str, str], list[tuple[int, int]]] = {edge: [] for edge in edges}
    for column in range(max(depth.values(), default=-1) + 1):
        taken: set[int] = set()
        here = [name for name in parents if depth[name] == column]
        for name in sorted(here, key=lambda name: -weight[name]):
            wanted = min((_last(places, lanes, edge) for edge in edges if edge[1] == name), default=0)
            places[name] = (column, _free(wanted, taken))
        for edge in edges:
            if depth[edge[0]] < column < depth[edge[1]]:
                lanes[edge].append((column, _free(max(1, _last(places, lanes, edge)), taken)))
    return Layout(places, lanes)


def draw_graph(stages: Mapping[str, StageRecord]) -> Markup:
    """Return the stages of a run, in the order of execution, as an SVG; empty without stages."""
    if not stages:
        return Markup("")
    parents = {
        name: [p for p in dict.fromkeys(record.producers.values()) if p in stages and p != name]
        for name, record in stages.items()
    }
    layout = lay_out(parents)
    rows = 1 + max(
        row for _, row in [*layout.places.values(), *(step for way in layout.arrows.values() for step in way)]
    )
    columns = 1 + max(column for column, _ in layout.places.values())
    width, height = COLUMN * (columns - 1) + WIDTH + 4, ROW * (rows - 1) + HEIGHT + 4
    parts = [_arrow(layout, edge, way) for edge, way in layout.arrows.items()]
    parts += [_box(name, stages[name], layout.places[name]) for name in stages]
    head = f'<svg class="graph" viewBox="0 0 {width} {height}" style="width:{width}px" role="group"'
    return Markup(head + ' aria-label="graph of the stages">' + "".join(parts) + "</svg>")


def _free(wanted: int, taken: set[int]) -> int:
    while wanted in taken:
        wanted += 1
    taken.add(wanted)
    return wanted


def _last(
    places: Mapping[str, tuple[int, int]],
    lanes: Mapping[tuple[str, str], list[tuple[int, int]]],
    edge: tuple[str, str],
) -> int:
    return lanes[edge][-1][1] if lanes[edge] else places[edge[0]][1]


def _arrow(layout: Layout, edge: tuple[str, str], way: list[tuple[int, int]]) -> str:
    column, row = layout.places[edge[0]]
    x, y = 2 + column * COLUMN + WIDTH, 2 + row * ROW + HEIGHT / 2
    path = f"M{x} {y}"
    for column, row in [*way, layout.places[edge[1]]]:
        target_x, target_y = 2 + column * COLUMN, 2 + row * ROW + HEIGHT / 2
        bend = (target_x - x) / 2
        path += f"C{x + bend} {y} {target_x - bend} {target_y} {target_x} {target_y}"
        x, y = target_x + WIDTH, target_y
        if (column, row) != layout.places[edge[1]]:
            path += f"L{x} {y}"
    return f'<path class="arrow" d="{path}"/>'


def _box(name: str, record: StageRecord, position: tuple[int, int]) -> str:
    x, y = 2 + position[0] * COLUMN, 2 + position[1] * ROW
    state = record.state
    below = seconds(record.seconds) if state == StageState.FINISHED else state
    tip = " · ".join(part for part in (record.title, state, record.reason) if part)
    label = name if len(name) <= 13 else name[:12] + "…"
    return (
        f'<a href="#stage-{escape(name)}"><g class="stage {escape(state)}"><title>{escape(tip)}</title>'
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="7"/>'
        f'<text class="name" x="{x + WIDTH / 2}" y="{y + 20}">{escape(label)}</text>'
        f'<text class="time" x="{x + WIDTH / 2}" y="{y + 36}">{escape(below)}</text></g></a>'
    )
