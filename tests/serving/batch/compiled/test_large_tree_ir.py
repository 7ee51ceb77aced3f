"""The IR of large trees parses for every processor; what it computes is tested in test_compiled_trees.py."""

import pytest

from mlnb.serving.batch.compiled.large_tree_ir import HEADER, ROWS_ABREAST, TILE, write_traversal
from mlnb.serving.batch.compiled.small_tree_ir import write_module

llvm = pytest.importorskip("llvmlite.binding")


def test_the_module_is_valid():
    module = llvm.parse_assembly(write_module("i16", write_traversal()))
    module.verify()
    assert {function.name for function in module.functions if not function.is_declaration} == {
        "rank", "expand", "score", "exponential",
    }  # fmt: skip


def test_a_tile_is_a_whole_number_of_steps():
    assert TILE % ROWS_ABREAST == 0
    assert HEADER % 8 == 0
