"""The session of a stage: declared artifacts only, metrics as numbers, and what closing requires.

Interactive sessions are used, which need no run.
"""

from pathlib import Path

import pandas
import pytest
import toys

from mlnb.engine import formats
from mlnb.engine import stage as stage_module
from mlnb.engine.interactive_stage import InteractiveStage
from mlnb.engine.project import Project
from mlnb.errors import ContractBroken, UnknownRun
from mlnb.parquet_table import ParquetTable


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.find(toys.chain(tmp_path))


def open_stage(project: Project, name: str, reads: list[str], writes: dict[str, str]) -> InteractiveStage:
    return InteractiveStage(project, name, "draft", reads, writes)


def test_a_draft_is_read_by_the_next_stage(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    first = open_stage(project, "number", [], {"number": "a number"})
    first.save("number", 3)
    first.log(number=3)
    first.close()
    second = open_stage(project, "double", ["number"], {"double": "twice the number"})
    assert second.load("number") == 3
    assert "number: from the draft of number" in capsys.readouterr().out


def test_an_artifact_that_no_run_has_names_the_command(project: Project) -> None:
    with pytest.raises(UnknownRun, match=r"No run has made 'number'.*mlnb run --upto"):
        open_stage(project, "double", ["number"], {}).load("number")


def test_undeclared_artifacts_are_refused_with_a_suggestion(project: Project) -> None:
    stage = open_stage(project, "double", ["number"], {"double": "twice the number"})
    with pytest.raises(ContractBroken, match=r"loads 'numbr' .* Did you mean 'number'"):
        stage.load("numbr")
    with pytest.raises(ContractBroken, match=r"saves 'doubel' .*Did you mean 'double'"):
        stage.save("doubel", 1)


def test_a_declared_artifact_must_be_saved(project: Project) -> None:
    stage = open_stage(project, "double", [], {"double": "twice the number"})
    with pytest.raises(ContractBroken, match="double"):
        stage.close()


@pytest.mark.parametrize("value", ["three", None])
def test_a_metric_is_a_number(project: Project, value: object) -> None:
    with pytest.raises((ContractBroken, TypeError, ValueError)):
        open_stage(project, "double", [], {}).log(score=value)  # type: ignore[arg-type]


def test_scratch_is_deleted_at_the_end(project: Project) -> None:
    stage = open_stage(project, "double", [], {})
    (stage.scratch / "half").touch()
    stage.close()
    assert not (stage.folder / "double.scratch").exists()


def test_columns_of_a_long_table_are_read_when_they_are_used(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "LONG", 3)
    short, long = pandas.DataFrame({"a": [1, 2]}), pandas.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})
    long.to_parquet(tmp_path / "long.parquet", compression="zstd")
    writer = open_stage(project, "one", [], {"short": "rows", "long": "rows", "file": "rows", "held": "held-out: rows"})
    for name, table in (("short", short), ("long", long), ("held", long)):
        writer.save(name, table)
    writer.save("file", ParquetTable(tmp_path / "long.parquet"))
    assert writer.outputs["file"].format == "table" and writer.outputs["file"].digest == writer.outputs["long"].digest
    writer.close()
    reader = open_stage(project, "two", ["short", "long", "held"], {})
    assert reader.open_table("short").equals(short)
    table = reader.open_table("long")
    assert isinstance(table, ParquetTable) and table["b"].equals(long["b"]) and reader.load("long").equals(long)
    with pytest.raises(ContractBroken, match=r"load it: stage.load\('held'\)"):
        reader.open_table("held")
    with pytest.raises(ContractBroken, match="Did you mean 'long'"):
        reader.open_table("lang")


def test_a_table_that_does_not_fit_in_memory_is_held_in_files(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(formats, "LONG", 2)
    monkeypatch.setattr(stage_module, "LARGE", 0)
    frame = pandas.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", None]})
    first = open_stage(project, "number", [], {"number": "a table"})
    first.save("number", frame)
    first.close()
    tiny = project.with_settings(memory=0.0001)
    second = open_stage(tiny, "double", ["number"], {})
    assert second.load("number").equals(frame) and second.column_files.written > 0
    second.close()
    assert second.metrics["mapped_mb"] > 0 and "held in files" in capsys.readouterr().out
    third = open_stage(project, "double", ["number"], {})
    assert third.load("number").equals(frame) and third.column_files.written == 0
    third.close()
    assert "mapped_mb" not in third.metrics
