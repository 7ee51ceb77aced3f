"""Vector columns in requests: lists are split as in training, and logged as columns."""

import pytest

from mlnb.methods.tables.columns import Column, Schema
from mlnb.serving.runtime.request_bodies import BadRows
from mlnb.serving.runtime.row_protection import RowProtection
from mlnb.serving.runtime.row_vectors import split_rows, vector_sizes

SCHEMA = Schema((Column("e[0]", "number"), Column("e[2]", "number"), Column("a", "number"), Column("b[0]", "text")))
NAMES = frozenset(SCHEMA.names)


def test_lists_become_the_columns_that_the_model_has() -> None:
    assert vector_sizes(SCHEMA) == {"e": 3}
    assert vector_sizes(Schema((Column("e[0]", "number"), Column("e", "number")))) == {}
    plain = [{"e[0]": 1.0, "e[2]": 3.0, "a": 2}]
    assert split_rows([{"e": [1.0, 9, 3.0], "a": 2}], {"e": 3}, NAMES) == plain
    assert split_rows(plain, {"e": 3}, NAMES) is plain
    assert split_rows([{"e": None, "a": 1}, {"a": 2}], {"e": 3}, NAMES) == [{"a": 1}, {"a": 2}]
    protection = RowProtection(SCHEMA)
    assert protection and protection.rows([{"e": [1.0, 9, 3.0], "a": 2}]) == plain


@pytest.mark.parametrize(
    ("value", "reason"), [([1, 2], "a list of 2"), (3, "no list"), ("123", "no list"), ({}, "no list")]
)
def test_other_values_are_refused_by_row(value: object, reason: str) -> None:
    with pytest.raises(BadRows, match=f"row 1, column 'e': found {reason}, expected a list of 3 numbers"):
        split_rows([{"e": [1, 2, 3]}, {"e": value}], {"e": 3}, NAMES)
