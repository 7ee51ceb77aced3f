"""The graph follows reads and writes; an invalid one is refused with names."""

from pathlib import Path

import pytest

from mlnb.engine.graph import build_graph, unproduced
from mlnb.engine.notebook import StageNotebook
from mlnb.engine.run_records import OutputRecord
from mlnb.errors import GraphError


def stages(**contracts: tuple[list[str], list[str] | dict[str, str]]) -> dict[str, StageNotebook]:
    notebooks = {}
    for number, (name, (reads, writes)) in enumerate(contracts.items()):
        notebooks[name] = StageNotebook(
            name=name,
            number=number,
            path=Path(f"{number}_{name}.ipynb"),
            title=name,
            description="",
            parameters=(),
            reads=tuple(reads),
            writes=writes if isinstance(writes, dict) else dict.fromkeys(writes, "description"),
            cells=(),
            code_digest="",
            imports=frozenset(),
        )
    return notebooks


def output(digest: str, description: str) -> OutputRecord:
    return OutputRecord(digest=digest, format="json", bytes=1, description=description)


def test_the_order_follows_artifacts_and_then_stage_numbers() -> None:
    notebooks = stages(late=(["b"], ["c"]), side=([], ["s"]), first=([], ["a"]), second=(["a"], ["b"]))
    graph = build_graph(notebooks, list(notebooks))
    assert list(graph.stages) == ["side", "first", "second", "late"]
    assert graph.ancestors("late") == {"first", "second"} and graph.descendants("first") == {"second", "late"}


@pytest.mark.parametrize(
    ("notebooks", "message"),
    [
        (stages(a=([], ["x"]), b=([], ["x"])), "Both 'a' and 'b' write 'x'"),
        (stages(a=(["tabel"], []), b=([], ["table"])), "Did you mean 'table'"),
        (stages(a=(["y"], ["x"]), b=(["x"], ["y"])), "cycle: a reads 'y' of b, b reads 'x' of a"),
        (stages(a=(["x"], ["x"])), "cycle: a reads 'x' of a"),
        (
            stages(split=([], {"test": "held-out: rows"}), a=(["test"], []), b=(["test"], [])),
            "'test' is held out",
        ),
    ],
)
def test_an_invalid_graph_is_refused(notebooks: dict[str, StageNotebook], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        build_graph(notebooks, list(notebooks))


def test_inputs_from_another_run_need_no_producer() -> None:
    notebooks = stages(
        ingest=([], ["table"]), train=(["table"], ["model"]), watch=(["model", "seen"], []), see=([], ["seen"])
    )
    inputs = {"model": output("ab", "a model"), "table": output("cd", "rows")}
    graph = build_graph(notebooks, ["see", "watch"], inputs)
    assert graph.parents("watch") == ("see",) and graph.inputs == inputs
    assert build_graph(notebooks, ["ingest", "train"], inputs).inputs == {}  # the pipeline makes them itself
    with pytest.raises(GraphError, match="is held out"):
        build_graph(notebooks, ["see", "watch"], {"model": output("ab", "held-out: rows")})


def test_a_pipeline_must_name_existing_stages_and_all_producers() -> None:
    notebooks = stages(ingest=([], ["table"]), train=(["table"], []))
    with pytest.raises(GraphError, match="Did you mean 'train'"):
        build_graph(notebooks, ["ingest", "trian"])
    with pytest.raises(GraphError, match="producer 'ingest' is not in the pipeline"):
        build_graph(notebooks, ["train"])


def test_artifacts_of_other_pipelines_are_those_that_no_named_stage_writes():
    notebooks = stages(first=([], ["a"]), second=(["a", "b"], ["c"]), third=(["c"], []))
    assert unproduced(notebooks, ["first", "second", "third", "unknown"]) == {"b"}
    assert unproduced(notebooks, ["third"]) == {"c"} and unproduced(notebooks, ["first"]) == set()
