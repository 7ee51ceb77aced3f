"""Golden rows are rows that a request may have."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from mlnb.methods.evaluation.test_report import LONGEST, short_rows
from mlnb.methods.tables.columns import Column, Schema


def test_rows_with_very_long_texts_are_no_golden_rows_unless_all_are():
    schema = Schema((Column("note", "text"), Column("title", "text"), Column("size", "number")))
    table = pd.DataFrame({"note": ["short", "x" * LONGEST, None, "x" * 1_000_000], "title": "of four", "size": 1.0})
    test_set = SimpleNamespace(pipeline=SimpleNamespace(schema=schema), rows=table)
    assert short_rows(test_set, np.arange(4)).tolist() == [0, 2]
    assert short_rows(test_set, np.array([1, 3])).tolist() == [1, 3]
