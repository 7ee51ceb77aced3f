"""Selection of stages: up to, from, only and forced."""

import pytest
import toys

from mlnb.engine.graph import Graph, build_graph
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.plan_steps import select
from mlnb.errors import GraphError


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    notebooks = read_notebooks(toys.chain(tmp_path_factory.mktemp("steps")) / "nbs" / "stages")
    return build_graph(notebooks, list(notebooks))


@pytest.mark.parametrize(
    ("options", "selected", "forced"),
    [
        ({}, "number double note total", ""),
        ({"upto": "double"}, "number double", ""),
        ({"since": "double"}, "double total", ""),
        ({"upto": "double", "since": "double"}, "double", ""),
        ({"only": ["note"]}, "note", ""),
        ({"force": ["double"]}, "number double note total", "double"),
        ({"upto": "double", "force": []}, "number double", "number double"),
    ],
)
def test_options_select_stages(graph: Graph, options: dict[str, object], selected: str, forced: str) -> None:
    selection = select(graph, **options)  # type: ignore[arg-type]
    assert selection.selected == set(selected.split()) and selection.forced == set(forced.split())


@pytest.mark.parametrize("options", [{"upto": "doubl"}, {"since": "doubl"}, {"only": ["doubl"]}, {"force": ["doubl"]}])
def test_unknown_stages_are_refused(graph: Graph, options: dict[str, object]) -> None:
    with pytest.raises(GraphError, match="Did you mean 'double'"):
        select(graph, **options)  # type: ignore[arg-type]
