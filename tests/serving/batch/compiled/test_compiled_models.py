"""Compiled models: ensembles have the original's bits, families without a compiled form have none."""

import pyarrow as pa
import pytest
from small_models import make_model

from mlnb.serving.batch.batch_scorer import Scorer
from mlnb.serving.batch.compiled.compiled_models import CompiledEnsemble, CompiledTransformed, compile_model


@pytest.mark.parametrize(
    ("family", "task"),
    [("ensemble", "multiclass"), ("mixed", "binary"), ("mixed", "regression"), ("skewed", "regression")],
)
def test_ensembles_have_the_same_bits(family, task, rows, tmp_path):
    pytest.importorskip("llvmlite")
    folder = make_model(tmp_path / "model", family, task)
    original, compiled = Scorer(folder, compile_after=None), Scorer(folder, compile_after=1)
    table = pa.Table.from_pylist(rows)
    compiled.score(table, 0)
    assert isinstance(compiled.compiled, CompiledEnsemble)
    assert compiled.compiled.verify_rows == min(member.verify_rows for member in compiled.compiled.members)
    assert compiled.score(table, 0).good.equals(original.score(table, 0).good)


def test_an_inverted_logarithm_has_the_same_bits(rows, tmp_path):
    pytest.importorskip("llvmlite")
    folder = make_model(tmp_path / "model", "poisson", "regression")
    original, compiled = Scorer(folder, compile_after=None), Scorer(folder, compile_after=1)
    table = pa.Table.from_pylist(rows)
    compiled.score(table, 0)
    assert isinstance(compiled.compiled, CompiledTransformed)
    assert compiled.score(table, 0).good.equals(original.score(table, 0).good)


def test_families_without_a_compiled_form_have_none(tmp_path):
    folder = make_model(tmp_path / "model", "knn", "regression")
    model = Scorer(folder).parts.model
    assert compile_model(model, folder / "fitted", [1] * model.features) is None
