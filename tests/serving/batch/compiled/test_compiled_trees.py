"""Compiled trees: LightGBM's bits for its own models, and for any tree those of a row-by-row reference."""

import numpy as np
import pyarrow as pa
import pytest
from random_trees import make_tree, score_row_by_row
from small_models import make_model

from mlnb.serving.batch.batch_scorer import Scorer
from mlnb.serving.batch.compiled import compiled_trees, large_tree_layout, threshold_ranks
from mlnb.serving.batch.compiled.compiled_trees import CompiledTrees, choose_layout, compile_trees, find_exp
from mlnb.serving.batch.compiled.threshold_ranks import rank_nodes
from mlnb.serving.batch.encoded_columns import EncodedColumn
from mlnb.serving.edge.lightgbm_text import BoostedTrees

pytest.importorskip("llvmlite")


def assert_same_bits(folder, rows, kind):
    """Assert that the model has a compiled form of this kind, whose predictions equal the original's."""
    original, compiled = Scorer(folder, compile_after=None), Scorer(folder, compile_after=1)
    table = pa.Table.from_pylist(rows)
    compiled.score(table, 0)
    assert original.compiled is None
    assert isinstance(compiled.compiled, kind)
    assert compiled.score(table, 0).good.equals(original.score(table, 0).good)


@pytest.mark.parametrize(
    ("family", "task"), [("lightgbm", "binary"), ("lightgbm", "multiclass"), ("hist_gradient_boosting", "regression")]
)
@pytest.mark.parametrize("large", [False, True])
def test_boosters_have_the_same_bits(family, task, large, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled_trees, "SMALL_LEAVES", 0 if large else 256)
    assert_same_bits(make_model(tmp_path / "model", family, task, text=True), rows, CompiledTrees)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_forests_have_the_same_bits(task, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled_trees, "SMALL_LEAVES", 16)
    assert_same_bits(make_model(tmp_path / "model", "random_forest", task), rows, CompiledTrees)


@pytest.mark.parametrize(
    ("leaves", "deep", "lane"),
    [([1, 2, 31, 7, 9, 4, 5, 6, 3, 31], True, "i8"), ([300, 1, 40], True, "i16"), ([300, 1, 500, 2], False, "i16")],
)
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(("rows", "outputs"), [(1, 1), (511, 1), (1025, 2)])
def test_any_tree_has_the_bits_of_the_reference(leaves, deep, lane, large, rows, outputs, monkeypatch):
    """Chains, single leaves, missing values that go either way, signed zeros."""
    rng = np.random.default_rng(rows)
    monkeypatch.setattr(compiled_trees, "SMALL_LEAVES", 0 if large else 256)
    monkeypatch.setattr(large_tree_layout, "BLOCK_ROWS", 256)  # several blocks
    boosted = BoostedTrees(outputs, "identity", 1.0, False, [make_tree(rng, 4, n, deep) for n in leaves * outputs])
    layout = choose_layout(boosted)
    assert layout.lane == ("i16" if large else lane)
    numbers = [rng.normal(size=(rows, 2)), rng.normal(size=(6, 2))]
    for matrix in numbers:
        matrix[rng.random(matrix.shape) < 0.2] = np.nan
        matrix[rng.random(matrix.shape) < 0.1] = -0.0
    codes = rng.integers(0, 6, rows).astype(np.int32)
    compiled = CompiledTrees(boosted, layout, [2, 2], find_exp())
    expected = score_row_by_row(boosted, np.hstack([numbers[0], numbers[1][codes]]))
    encoded = [EncodedColumn(numbers[0], None), EncodedColumn(numbers[1], codes)]
    assert np.array_equal(compiled.predict(encoded, rows, "regression").reshape(rows, -1), expected)


@pytest.mark.parametrize("large", [False, True])
def test_a_feature_with_more_thresholds_than_ranks_has_several_columns(large, monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(compiled_trees, "SMALL_LEAVES", 0 if large else 256)
    monkeypatch.setattr(threshold_ranks, "MAX_THRESHOLDS", 5)
    boosted = BoostedTrees(1, "identity", 1.0, False, [make_tree(rng, 3, 40, False) for _ in range(9)])
    assert max(segment for _, segment in rank_nodes(boosted).thresholds) > 10
    X = rng.normal(size=(300, 3))
    X[rng.random(X.shape) < 0.2] = np.nan
    compiled = CompiledTrees(boosted, choose_layout(boosted), [3], find_exp())
    actual = compiled.predict([EncodedColumn(X, None)], len(X), "regression")
    assert np.array_equal(actual, score_row_by_row(boosted, X)[:, 0])


def test_trees_without_nodes_have_no_layout():
    rng = np.random.default_rng(0)
    assert choose_layout(BoostedTrees(1, "identity", 1.0, False, [make_tree(rng, 3, 1, False)])) is None


def test_other_models_and_machines_without_llvmlite_have_no_compiled_trees(tmp_path, monkeypatch):
    linear = Scorer(make_model(tmp_path / "linear", "linear")).parts.model
    assert compile_trees(linear, tmp_path, [1]) is None
    folder = make_model(tmp_path / "trees")
    model = Scorer(folder).parts.model
    assert compile_trees(model, folder / "fitted", [1] * model.features) is not None
    monkeypatch.setattr(compiled_trees, "can_compile", lambda: False)
    assert compile_trees(model, folder / "fitted", [1] * model.features) is None
