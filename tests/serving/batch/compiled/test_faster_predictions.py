"""Models with compiled trees for an evaluation: the same bits, and the original wherever that is not certain."""

import logging
from pathlib import Path

import numpy as np
import pytest

from mlnb.methods.models.fitted_models import Model, load_model, predict, save_model
from mlnb.methods.models.model_families import fit_model
from mlnb.serving.batch.compiled import faster_predictions
from mlnb.serving.batch.compiled.faster_predictions import WORTH, compile_predictions

RANDOM = np.random.default_rng(0)
X = np.where(RANDOM.random((300, 6)) < 0.1, np.nan, RANDOM.normal(size=(300, 6)))
Y = np.nan_to_num(X[:, 0]) + np.nan_to_num(X[:, 1]) ** 2 + RANDOM.normal(0, 0.3, 300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ensemble of boosted trees, a forest, a linear model, and boosted trees of a logarithm."""
    members = [
        fit_model("lightgbm", {"rounds": 10}, X, Y, "regression"),
        fit_model("extra_trees", {"n_estimators": 5}, X, Y, "regression"),
        fit_model("linear", {"alpha": 1.0}, X, Y, "regression"),
        fit_model("lightgbm", {"rounds": 5, "target_distribution": "log-normal"}, X, np.exp(Y), "regression"),
    ]
    both = Model("ensemble", "regression", 0, 6, {"members": members, "weights": [0.4, 0.3, 0.2, 0.1]})
    return save_model(both, tmp_path_factory.mktemp("faster") / "model")


def test_compiled_members_give_the_same_bits(folder: Path) -> None:
    pytest.importorskip("llvmlite")
    model = load_model(folder)
    faster = compile_predictions(model, folder, X, WORTH)
    compiled = [member.faster is not None for member in faster.native["members"][:3]]
    assert compiled == [True, True, False] and faster.native["members"][3].native["inner"].faster is not None
    assert model.native["members"][0].faster is None  # latency is measured with the original
    rows = np.where(RANDOM.random((500, 6)) < 0.5, np.nan, RANDOM.normal(size=(500, 6)))
    assert predict(faster, rows).tobytes() == predict(model, rows).tobytes()
    assert predict(faster, rows[:0]).shape == (0,)


def test_few_predictions_no_rows_and_other_families_change_nothing(folder: Path) -> None:
    model, line = load_model(folder), fit_model("linear", {"alpha": 1.0}, X, Y, "regression")
    assert compile_predictions(model, folder, X, 1000) is model
    assert compile_predictions(model, folder, X[:0], WORTH) is model
    assert compile_predictions(line, folder, X, WORTH) is line


def test_one_other_bit_keeps_the_original(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def other_bits(compiled: object, task: str) -> object:
        return lambda rows: np.where(np.isnan(rows[:, 0]), 1.0, 0.0)  # differs for missing values too

    pytest.importorskip("llvmlite")
    monkeypatch.setattr(faster_predictions, "_as_function", other_bits)
    model = load_model(folder)
    with caplog.at_level(logging.WARNING):
        assert compile_predictions(model, folder, X, WORTH) is model
    assert "LightGBM predicts" in caplog.text
