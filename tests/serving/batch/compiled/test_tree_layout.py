"""Aligned memory; the record itself is tested with each layout."""

import pytest

from mlnb.serving.batch.compiled.tree_layout import CACHE_LINE, allocate_aligned


@pytest.mark.parametrize("count", [0, 1, 63, 64, 1000])
def test_memory_begins_at_a_cache_line(count):
    memory = allocate_aligned(count)
    assert memory.ctypes.data % CACHE_LINE == 0
    assert len(memory) >= count
    assert not memory.any()
