"""Encoded columns: the same numbers, of distinct values or of the rows."""

import numpy as np

from mlnb.serving.batch.encoded_columns import EncodedColumn


def test_codes_stand_for_rows():
    numbers = np.array([[1.0, 2.0], [3.0, 4.0]])
    column = EncodedColumn(numbers, np.array([1, 1, 0], np.int32))
    assert column.width == 2
    assert column.expand().tolist() == [[3.0, 4.0], [3.0, 4.0], [1.0, 2.0]]
    assert column.head(1).expand().tolist() == [[3.0, 4.0]]


def test_without_codes_the_numbers_are_the_rows():
    column = EncodedColumn(np.arange(6.0).reshape(3, 2), None)
    assert column.head(2).expand().tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert len(column.expand()) == 3
