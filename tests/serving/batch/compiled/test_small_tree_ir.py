"""The IR around small trees: ranks, expansion and exponentials; `score` is tested in test_compiled_trees.py."""

import math

import numpy as np
import pytest

from mlnb.serving.batch.compiled.compiled_trees import _FUNCTIONS, _pad, find_exp
from mlnb.serving.batch.compiled.llvm_functions import CompiledFunctions
from mlnb.serving.batch.compiled.small_tree_ir import SEARCH, write_module, write_score

pytest.importorskip("llvmlite")


@pytest.fixture(scope="module", params=["i8", "i16"])
def functions(request):
    return request.param, CompiledFunctions(write_module(request.param, write_score(request.param)), _FUNCTIONS)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 100])
def test_ranks_count_the_thresholds_below(functions, count):
    lane, compiled = functions
    thresholds = np.sort(np.random.default_rng(count).normal(size=count))
    numbers = np.r_[thresholds, np.nextafter(thresholds, np.inf), np.nan, -np.inf, np.inf, -0.0, 0.0]
    padded, half = _pad(thresholds)
    ranks = np.zeros(len(numbers) + SEARCH, f"u{int(lane[1:]) // 8}")
    compiled.call["rank"](numbers.ctypes.data, 1, len(numbers), padded.ctypes.data, half, ranks.ctypes.data)
    expected = np.where(np.isnan(numbers), 0, np.searchsorted(thresholds, numbers))
    assert ranks[: len(numbers)].tolist() == expected.tolist()


def test_rows_get_the_ranks_of_their_codes(functions):
    lane, compiled = functions
    table = np.array([7, 200, 3], f"u{int(lane[1:]) // 8}")
    codes, ranks = np.array([2, 0, 1, 1], np.int32), np.zeros(4, table.dtype)
    compiled.call["expand"](table.ctypes.data, codes.ctypes.data, 4, ranks.ctypes.data)
    assert ranks.tolist() == [3, 7, 200, 200]


def test_exponentials_are_the_c_library_s(functions):
    values = np.random.default_rng(0).normal(size=1000) * 10
    expected = [math.exp(value) for value in values.tolist()]
    functions[1].call["exponential"](find_exp(), values.ctypes.data, len(values))
    assert values.tolist() == expected
