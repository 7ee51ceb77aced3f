"""The graph is read from reads and writes; what cannot be run is refused with names."""

from pathlib import Path

import pytest

from mlnb.engine.graph import build_graph
from mlnb.engine.notebook import StageNotebook
from mlnb.errors import GraphError


def stages(**contracts: tuple[list[str], list[str] | dict[str, str]]) -> dict[str, StageNotebook]:
    found = {}
    for number, (name, (reads, writes)) in enumerate(contracts.items()):
        told = writes if isinstance(writes, dict) else dict.fromkeys(writes, "what it is")
        found[name] = StageNotebook(name, number, Path(f"{number}_{name}.ipynb"), name, "", (), tuple(reads), told, ())
    return found


def test_order_follows_the_artifacts_then_the_numbers() -> None:
    known = stages(late=(["b"], ["c"]), side=([], ["s"]), first=([], ["a"]), second=(["a"], ["b"]))
    graph = build_graph(known, list(known))
    assert list(graph.stages) == ["side", "first", "second", "late"]
    assert graph.ancestors("late") == {"first", "second"} and graph.descendants("first") == {"second", "late"}


@pytest.mark.parametrize(
    ("known", "says"),
    [
        (stages(a=([], ["x"]), b=([], ["x"])), "Both 'a' and 'b' write 'x'"),
        (stages(a=(["tabel"], []), b=([], ["table"])), "Did you mean 'table'"),
        (stages(a=(["y"], ["x"]), b=(["x"], ["y"])), "circle: a reads 'y' of b, b reads 'x' of a"),
        (stages(a=(["x"], ["x"])), "circle: a reads 'x' of a"),
        (
            stages(split=([], {"test": "sealed: rows"}), a=(["test"], []), b=(["test"], [])),
            "'test' is sealed",
        ),
    ],
)
def test_what_cannot_run_is_refused(known: dict[str, StageNotebook], says: str) -> None:
    with pytest.raises(GraphError, match=says):
        build_graph(known, list(known))


def test_what_another_run_gives_needs_no_producer() -> None:
    known = stages(
        ingest=([], ["table"]), train=(["table"], ["model"]), watch=(["model", "seen"], []), see=([], ["seen"])
    )
    given = {"model": {"digest": "ab", "description": "a model"}, "table": {"digest": "cd", "description": "rows"}}
    graph = build_graph(known, ["see", "watch"], given)
    assert graph.parents("watch") == ("see",) and graph.given == given
    assert build_graph(known, ["ingest", "train"], given).given == {}  # what is made here is not taken from there
    with pytest.raises(GraphError, match="is sealed"):
        build_graph(known, ["see", "watch"], {"model": {"digest": "ab", "description": "sealed: rows"}})


def test_a_pipeline_names_stages_that_exist_and_all_it_needs() -> None:
    known = stages(ingest=([], ["table"]), train=(["table"], []))
    with pytest.raises(GraphError, match="Did you mean 'train'"):
        build_graph(known, ["ingest", "trian"])
    with pytest.raises(GraphError, match="producer 'ingest' is not in the pipeline"):
        build_graph(known, ["train"])
