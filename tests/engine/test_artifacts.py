"""Artifacts of a running pipeline: when a stage may start, which bytes it gets, and who must run again."""

import pytest
import toys

from mlnb.engine.artifacts import LARGE, RunArtifacts
from mlnb.engine.graph import build_graph
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.run_records import OutputRecord


@pytest.fixture
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> RunArtifacts:
    notebooks = read_notebooks(toys.chain(tmp_path_factory.mktemp("artifacts")) / "nbs" / "stages")
    return RunArtifacts(build_graph(notebooks, list(notebooks)))


def record(digest: str, size: int = 1) -> OutputRecord:
    return OutputRecord(digest=digest, format="json", bytes=size, description="a number")


def test_a_stage_is_ready_when_its_inputs_are_saved(artifacts: RunArtifacts) -> None:
    assert not artifacts.ready("double", unfinished={"number"})
    artifacts.update("number", {"number": record("a")})
    assert artifacts.ready("double", unfinished={"number"})
    assert not artifacts.ready("total", unfinished={"double", "note"})


def test_with_a_large_artifact_a_stage_waits_for_the_end_of_its_producers(artifacts: RunArtifacts) -> None:
    artifacts.update("number", {"number": record("a", LARGE)})
    assert artifacts.any_large and not artifacts.ready("double", unfinished={"number"})
    artifacts.finish("number", {"number": record("a", LARGE)})
    assert artifacts.ready("double", unfinished=set())


@pytest.mark.parametrize(("digest", "readers"), [("a", []), ("b", ["double"])])
def test_readers_of_other_bytes_are_returned(artifacts: RunArtifacts, digest: str, readers: list[str]) -> None:
    artifacts.update("number", {"number": record("a")})
    assert artifacts.assign_inputs("double") == {"number": record("a")}
    assert artifacts.input_digests("double") == {"number": "a"}
    assert artifacts.finish("number", {"number": record(digest)}) == readers
    assert artifacts.parent_outputs("double") == {"number": {"number": record(digest)}}


def test_a_stage_that_failed_is_forgotten(artifacts: RunArtifacts) -> None:
    artifacts.update("number", {"number": record("a")})
    artifacts.forget("number")
    assert artifacts.parent_outputs("double") == {"number": None}
    assert not artifacts.ready("double", unfinished={"number"})
