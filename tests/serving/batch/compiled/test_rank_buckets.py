"""Ranks by buckets are those of a binary search, for every number and for thresholds however they are spread."""

import numpy as np
import pytest

from mlnb.serving.batch.compiled.llvm_functions import CompiledFunctions
from mlnb.serving.batch.compiled.rank_buckets import CROWD, FUNCTION, make_buckets, write_bucket_rank
from mlnb.serving.batch.compiled.small_tree_ir import SEARCH

NORMAL = np.unique(np.random.default_rng(0).normal(size=200))
SPREAD = {
    "normal": NORMAL,
    "even": np.arange(255.0),
    "two": np.array([-1e300, 1e300]),
    "tiny": np.array([5e-324, 1e-310, 3e-310]),
    "beyond zero": 1e6 + NORMAL,
}


@pytest.fixture(scope="module", params=["i8", "i16"])
def compiled(request):
    return np.dtype(f"u{int(request.param[1:]) // 8}"), CompiledFunctions(write_bucket_rank(request.param), FUNCTION)


@pytest.mark.parametrize("name", SPREAD)
def test_ranks_are_those_of_a_search(compiled, name):
    dtype, functions = compiled
    thresholds = SPREAD[name]
    buckets = make_buckets(thresholds)
    if buckets is None:
        assert name in ("two", "tiny"), "the range, or buckets per unit, is infinite"
        return
    near = [np.nextafter(thresholds, side) for side in (-np.inf, np.inf)]
    between = np.linspace(thresholds[0], thresholds[-1], 9_999)
    numbers = np.r_[thresholds, *near, between, np.nan, -np.inf, np.inf, -0.0, 1e308, -1e308]
    both = np.column_stack([np.zeros(len(numbers)), numbers])  # every second number
    ranks = np.full(len(numbers) + SEARCH, 99, dtype)
    source = both.ctypes.data + both.itemsize
    functions.call["bucket_rank"](source, 2, len(numbers), *buckets.arguments, ranks.ctypes.data)
    expected = np.where(np.isnan(numbers), 0, np.searchsorted(thresholds, numbers))
    assert ranks[: len(numbers)].tolist() == expected.tolist()


@pytest.mark.parametrize("thresholds", [[], [3.0], [0.0, 1.0, 1e9, 1e12] + [2.0 + n for n in range(CROWD)]])
def test_few_or_crowded_thresholds_have_no_buckets(thresholds):
    assert make_buckets(np.sort(np.array(thresholds))) is None
