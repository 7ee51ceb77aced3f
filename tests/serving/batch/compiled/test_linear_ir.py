"""The IR of linear models: sums in the models' own order."""

import numpy as np
import pytest

from mlnb.serving.batch.compiled.compiled_linear import _FUNCTIONS
from mlnb.serving.batch.compiled.linear_ir import ROWS_ABREAST, write_sums
from mlnb.serving.batch.compiled.llvm_functions import CompiledFunctions

pytest.importorskip("llvmlite")


def test_terms_are_added_in_order():
    compiled = CompiledFunctions(write_sums(), _FUNCTIONS)
    rng = np.random.default_rng(0)
    terms, codes = rng.normal(size=(5, 3)), rng.integers(0, 5, 19).astype(np.int32)
    sums = rng.normal(size=19 + ROWS_ABREAST)
    expected = sums[:19].copy()
    for column in terms.T:
        expected += column[codes]
    compiled.call["add_terms"](terms.ctypes.data, 3, codes.ctypes.data, 19, sums.ctypes.data)
    assert sums[:19].tolist() == expected.tolist()


def test_numbers_are_scaled_in_place():
    compiled = CompiledFunctions(write_sums(), _FUNCTIONS)
    numbers, sums = np.array([[1.0, 9.0], [np.nan, 9.0], [1e9, 9.0], [-1e9, 9.0]]), np.ones(4)
    fill, mean, scale, bound, weight = 3.0, 0.5, 0.25, 10.0, 2.0
    parameters = np.array([fill, mean, scale, -bound, bound, weight])
    compiled.call["add_numbers"](numbers.ctypes.data, 2, 4, parameters.ctypes.data, sums.ctypes.data)
    assert sums.tolist() == [1 + 2 * 2.0, 1 + 10.0 * 2, 1 + 10.0 * 2, 1 - 10.0 * 2]
