"""Checkpoints: a job continues after its last whole part, another job begins anew."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from mlnb.errors import UsageError
from mlnb.serving.batch.job_checkpoints import BadRow, Checkpoint, Counts, JobKey

JOB = JobKey(files=[["rows.csv", "1"]], model="small:1", keep=[], quarantine=True, workers=1)
BAD = BadRow(4, "age", "'forty'", "a finite number", {"age": "forty"})


@pytest.fixture
def folder(tmp_path):
    """A folder with two parts of a job."""
    checkpoint = Checkpoint(tmp_path / "parts", JOB)
    checkpoint.add([pa.table({"row": [0, 1]})], [BAD], (0, 50), Counts(3, 2, 1))
    checkpoint.add([pa.table({"row": [2]}), pa.table({"row": [3]})], [], (1, 0), Counts(5, 4, 1))
    return checkpoint.folder


def test_the_same_job_continues(folder):
    checkpoint = Checkpoint(folder, JOB)
    assert (checkpoint.position, checkpoint.counts) == ((1, 0), Counts(5, 4, 1))
    assert len(checkpoint.parts) == 2


def test_a_part_without_its_position_does_not_count(folder):
    (folder / "000001.json").unlink()
    checkpoint = Checkpoint(folder, JOB)
    assert (checkpoint.position, checkpoint.counts) == ((0, 50), Counts(3, 2, 1))


def test_another_job_begins_anew(folder):
    checkpoint = Checkpoint(folder, replace(JOB, model="small:2"))
    assert (checkpoint.position, checkpoint.counts, checkpoint.parts) == ((0, 0), Counts(), [])


def test_parts_become_one_output(folder, tmp_path):
    Checkpoint(folder, JOB).finish(tmp_path / "out.csv", tmp_path / "bad.jsonl")
    assert pc.read_csv(tmp_path / "out.csv")["row"].to_pylist() == [0, 1, 2, 3]
    assert json.loads((tmp_path / "bad.jsonl").read_text()) == {
        "row": 4, "column": "age", "found": "'forty'", "expected": "a finite number", "values": {"age": "forty"},
    }  # fmt: skip
    assert not folder.exists()


def test_columns_that_differ_in_their_types_have_one_that_holds_all(tmp_path):
    checkpoint = Checkpoint(tmp_path / "parts", JOB)
    checkpoint.add([pa.table({"row": [0], "id": pa.nulls(1)})], [], (0, 1), Counts(1, 1))
    checkpoint.add([pa.table({"row": [1], "id": [7]}), pa.table({"row": [2], "id": [2.5]})], [], (0, 3), Counts(3, 3))
    with pytest.raises(UsageError, match="--keep id: found double and string in different files"):
        checkpoint.add([pa.table({"row": [3], "id": [0.5]}), pa.table({"row": [4], "id": ["x"]})], [], (1, 0), Counts())
    checkpoint.finish(tmp_path / "out.parquet", None)
    assert pq.read_table(tmp_path / "out.parquet").column("id").to_pylist() == [None, 7.0, 2.5]


def test_a_line_names_the_file_of_several():
    assert json.loads(replace(BAD, file="a.csv").to_line())["file"] == "a.csv"
