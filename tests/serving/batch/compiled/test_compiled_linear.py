"""Compiled linear models: the bits of `numpy_models`, with and without llvmlite."""

import pyarrow as pa
import pytest
from small_models import make_model

from mlnb.serving.batch.batch_scorer import Scorer
from mlnb.serving.batch.compiled import compiled_linear
from mlnb.serving.batch.compiled.compiled_linear import CompiledLinear, compile_linear
from mlnb.serving.batch.compiled.llvm_functions import can_compile


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("quantiles", [False, True])
@pytest.mark.parametrize("compiles", [False, True])
def test_sums_have_the_same_bits(task, quantiles, compiles, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled_linear, "can_compile", lambda: compiles and can_compile())
    folder = make_model(tmp_path / "model", "linear", task, quantiles=quantiles)
    original, compiled = Scorer(folder, compile_after=None), Scorer(folder, compile_after=1)
    assert ("knots" in original.parts.model.native) == quantiles
    table = pa.Table.from_pylist(rows)
    compiled.score(table, 0)
    assert isinstance(compiled.compiled, CompiledLinear)
    assert (compiled.compiled.functions is not None) == (compiles and can_compile())
    assert compiled.score(table, 0).good.equals(original.score(table, 0).good)


def test_other_models_have_no_compiled_linear_model(model):
    assert compile_linear(Scorer(model).parts.model, [1]) is None
