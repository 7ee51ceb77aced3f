"""Inputs, predictions and refusals of a log as columns and text."""

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.operations.production_window import describe_refusals, input_rows, prediction_columns
from mlnb.methods.tables.columns import Column, Schema


def test_a_column_that_was_not_sent_is_missing():
    schema = Schema((Column("age", "number"), Column("city", "category")))
    rows = input_rows(pd.DataFrame({"in.age": [1.0, np.nan]}), schema)
    assert rows == [{"age": 1.0, "city": None}, {"age": None, "city": None}]


@pytest.mark.parametrize(
    ("task", "classes", "shape", "names"),
    [
        ("binary", ("no", "yes"), (2, 2), ["prediction: yes"]),
        ("multiclass", ("a", "b", "c"), (4, 3), ["prediction: a", "prediction: b", "prediction: c"]),
        ("regression", None, (4,), ["prediction"]),
    ],
)
def test_predictions_are_columns(task, classes, shape, names):
    columns = prediction_columns(np.ones(shape), ProblemContract(task=task, classes=classes))
    assert list(columns) == names and {values.shape for values in columns.values()} == {shape[:1]}


def test_refusals_are_described_with_the_columns_that_caused_most():
    refused = pd.DataFrame({"refused": ["b, a", "b", None]})
    assert describe_refusals(refused).strip() == "3 requests were refused, because of 'b', 'a'."
    assert describe_refusals(pd.DataFrame({"refused": []})) == ""
