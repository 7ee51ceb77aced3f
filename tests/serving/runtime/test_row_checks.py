"""Problems of rows: as many as a response lists, those of the first rows first, without lists and objects."""

import time

from mlnb.methods.tables.columns import Column, Schema, check_rows
from mlnb.serving.runtime.request_bodies import SHOWN
from mlnb.serving.runtime.row_checks import find_row_problems, shift_rows

SCHEMA = Schema(tuple(Column(f"column {number}", "number") for number in range(200)))


def test_the_first_problems_are_those_of_all_rows():
    rows = [{"column 1": 1.0}] * 100 + [{"column 2": "x"}, {"other": 1}, {"column 3": True}] * 100
    assert find_row_problems(rows, SCHEMA) == check_rows(rows, SCHEMA)[:SHOWN]
    assert find_row_problems(rows[:100], SCHEMA) == []


def test_many_unknown_columns_take_little_time():
    rows = [{f"colunm {number}" + "x" * 200: number for number in range(50_000)}] * 3
    began = time.process_time()
    problems = find_row_problems(rows, SCHEMA)
    assert time.process_time() - began < 1
    assert len(problems) == SHOWN and max(len(problem.column) for problem in problems) <= 103


def test_lists_and_objects_are_named_by_their_type():
    texts = [problem.found for problem in find_row_problems([{"column 1": [1]}, {"column 1": {"a": "b"}}], SCHEMA)]
    assert texts == ["a list", "an object"]


def test_rows_of_a_slice_get_the_numbers_of_the_request():
    problems = find_row_problems([{}, {"other": 1}], SCHEMA)
    assert [problem.row for problem in shift_rows(problems, 1000)] == [1001]
