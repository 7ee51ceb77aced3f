"""Worker processes: results in the order of the input, one error where one is killed."""

from collections import deque
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import pyarrow as pa
import pytest

from mlnb.errors import ServingError, UsageError
from mlnb.serving.batch import batch_workers, unit_tables
from mlnb.serving.batch.batch_scorer import Scorer
from mlnb.serving.batch.batch_workers import Worker, WorkerOptions, score_units
from mlnb.serving.batch.input_files import find_files
from mlnb.serving.batch.input_units import Unit, split_files


def test_several_workers_give_the_same_file(score, files, tmp_path):
    for workers in (1, 2):
        score([files / "rows.parquet"], tmp_path / f"{workers}.csv", workers=workers)
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


def test_units_are_scored_in_order(model, files, rows):
    inputs = find_files([str(files / "rows.parquet")])
    options = WorkerOptions(model, inputs, (), 1, compile_after=None)
    scorer = Scorer(model, ignore_unknown=True)
    results = list(score_units(options, scorer, split_files(inputs, (0, 0), 1)))
    assert [unit.group for unit, _ in results] == [0, 1, 2, 3, 4]
    assert sum(scored.rows for _, scored in results) == len(rows)


def test_a_killed_worker_is_an_error_with_the_next_command():
    future: Future = Future()
    future.set_exception(BrokenProcessPool("killed"))
    with pytest.raises(ServingError, match=r"A worker process was killed.*run the same command again to continue"):
        batch_workers._next(deque([(Unit(0, (1, 0)), future)]))


def test_lines_of_other_lengths_are_an_error(model, tmp_path):
    (tmp_path / "in.csv").write_text("age,sex\n1,f\n1,f,3\n")
    inputs = find_files([str(tmp_path / "in.csv")])
    worker = Worker(Scorer(model), inputs)
    with pytest.raises(UsageError, match=r"in.csv cannot be split into rows: the row '1,f,3' has 3 cells, the first 2"):
        worker.score(next(split_files(inputs, (0, 0), 1)))


def test_tables_hold_at_most_so_many_rows(model, files, monkeypatch):
    monkeypatch.setattr(unit_tables, "ROWS", 250)
    inputs = find_files([str(files / "rows.csv")])
    unit = next(split_files(inputs, (0, 0), 1))
    tables = list(unit_tables.read_tables(inputs[0], unit, ("number",), ["age"]))
    assert {len(table) for table in tables} == {250}
    assert all(table.schema.types == [pa.string()] * 2 for table in tables)
