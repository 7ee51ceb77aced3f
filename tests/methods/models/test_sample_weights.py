"""Sample weights: weight 2 is the same as a row twice, in fits, metrics and calibration; wrong weights are an error."""

import numpy as np
import pandas as pd
import pytest
from small_fits import QUICK

from mlnb.errors import DataError
from mlnb.methods.calibration.conformal_intervals import check_interval, fit_interval
from mlnb.methods.calibration.probability_calibration import (
    calibration_error,
    fit_beta,
    fit_isotonic,
    fit_sigmoid,
    fit_temperature,
    learn_calibration,
)
from mlnb.methods.contracts.declarations import ColumnDeclaration, Declarations
from mlnb.methods.decisions.decision_thresholds import learn_threshold
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.evaluation.fairness import compare_groups
from mlnb.methods.evaluation.test_evaluation import evaluate
from mlnb.methods.metrics.weighted_metrics import METRICS, metrics_of, score
from mlnb.methods.models.bagging import assign_bags
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.search_spaces import default_params
from mlnb.methods.problem.problem_contract import state
from mlnb.methods.tables.columns import check_rows
from mlnb.methods.training_data import training_examples
from mlnb.methods.tuning.hyperparameter_search import tune
from mlnb.stages.validate import type_table

random = np.random.default_rng(0)
ROWS = 240
X = np.round(random.normal(size=(ROWS, 3)), 1)
X[::17, 1] = np.nan
WEIGHTS = random.integers(1, 4, ROWS).astype(float)
TWICE = np.repeat(np.arange(ROWS), WEIGHTS.astype(int))
VALUES = 2 * X[:, 0] + random.normal(size=ROWS)
CODES = (VALUES > 0.5).astype(int)
THREE = np.digitize(VALUES, [-1.0, 1.0])
P = 1 / (1 + np.exp(-VALUES * 0.5 - random.normal(size=ROWS)))
TARGETS = {"regression": (VALUES, 0), "binary": (CODES, 2), "multiclass": (THREE, 3)}


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize(
    ("family", "params", "tolerance"),
    [
        ("linear", default_params("linear"), 2e-3),  # the solver ends before the optimum of either
        ("baseline", {}, 1e-12),
        # LightGBM counts rows of a bin without weights and estimates those of a leaf: neither may be a limit, and
        # leaves of very few rows can be split equally well by several columns
        (
            "lightgbm",
            {
                "rounds": 20,
                "num_leaves": 4,
                "min_child_samples": 0,
                "min_sum_hessian_in_leaf": 5.0,
                "min_data_in_bin": 1,
            },
            1e-6,
        ),
    ],
)
def test_weight_two_is_a_row_twice(task, family, params, tolerance):
    y, classes = TARGETS[task]
    weighted = fit_model(family, params, X, y, task, classes, weights=WEIGHTS, counts=WEIGHTS)
    repeated = fit_model(family, params, X[TWICE], y[TWICE], task, classes)
    np.testing.assert_allclose(predict(weighted, X), predict(repeated, X), rtol=tolerance, atol=tolerance)


def quick_params(family):
    return default_params(family) | QUICK.get(family, {})


@pytest.mark.parametrize(
    "family", ["random_forest", "extra_trees", "hist_gradient_boosting", "mlp", "knn", "rbf_kernel"]
)
def test_every_other_family_uses_weights(family):
    heavy = np.where(CODES == 1, 20.0, 1.0)
    plain, weighted = (
        predict(fit_model(family, quick_params(family), X, CODES, "binary", 2, weights=w, counts=w), X)[:, 1].mean()
        for w in (None, heavy)
    )
    assert weighted > plain


def test_metrics_count_rows_by_weight():
    both = np.c_[1 - P, P]
    predictions = {"regression": VALUES + P, "binary": both, "multiclass": np.c_[1 - P, P / 2, P / 2]}
    for task, (y, _) in TARGETS.items():
        for name in metrics_of(task):
            if METRICS[name].grouped:
                continue
            prediction = predictions[task]
            weighted = score(name, y, prediction, weights=WEIGHTS)
            assert weighted == pytest.approx(score(name, y[TWICE], prediction[TWICE])), name
    groups = np.where(X[:, 2] > 0, "a", "b")
    chosen = (P > 0.5).astype(int)
    weighted = compare_groups(CODES, chosen, groups, "equalized_odds", sample_weights=WEIGHTS)
    repeated = compare_groups(CODES[TWICE], chosen[TWICE], groups[TWICE], "equalized_odds")
    assert weighted.difference.value == pytest.approx(repeated.difference.value)
    assert calibration_error(CODES, both, 1, WEIGHTS) == pytest.approx(calibration_error(CODES[TWICE], both[TWICE], 1))
    result = evaluate(CODES, {"model": both, "dummy": both * 0 + 0.5}, "binary", "roc_auc", 50, sample_weights=WEIGHTS)
    assert result.deciding.value == score("roc_auc", CODES, both, weights=WEIGHTS)
    assert result.deciding.low < result.deciding.value < result.deciding.high


def test_calibration_threshold_and_interval_count_rows_by_weight():
    both = np.c_[1 - P, P]
    for fit in (fit_sigmoid, fit_beta, fit_temperature, fit_isotonic):
        weighted, repeated = fit(both, CODES, WEIGHTS), fit(both[TWICE], CODES[TWICE])
        for field in weighted.__struct_fields__:
            assert getattr(weighted, field) == pytest.approx(getattr(repeated, field), abs=1e-6), fit
    assert fit_sigmoid(both, CODES, np.ones(ROWS)) == fit_sigmoid(both, CODES)
    rare = np.where(CODES == 1, 0.05, 1.0)  # the sample has many more positives than the population
    calibrated, _ = learn_calibration(both, CODES, weights=rare)
    assert calibrated is not None
    cut, _ = learn_threshold(both, CODES, None, "precision_at@0.1", weights=WEIGHTS)
    assert WEIGHTS[cut <= P].sum() / WEIGHTS.sum() == pytest.approx(0.1, abs=0.02)
    for metric in ("f1", "mcc", "balanced_accuracy"):
        assert learn_threshold(both, CODES, None, metric, weights=np.ones(ROWS)) == learn_threshold(
            both, CODES, None, metric
        )
    center = X[:, 0] * 2
    weighted = fit_interval("constant", center, VALUES, 0.8, WEIGHTS)
    assert weighted.high == pytest.approx(fit_interval("constant", center[TWICE], VALUES[TWICE], 0.8).high, abs=0.1)
    ends = np.c_[center - 1, center + 1]
    weighted = check_interval(VALUES, ends, 0.7, WEIGHTS)
    repeated = check_interval(VALUES[TWICE], ends[TWICE], 0.7)
    assert weighted.coverage.value == pytest.approx(repeated.coverage.value)
    assert weighted.coverage.high - weighted.coverage.low > repeated.coverage.high - repeated.coverage.low


def weighted_table(weights, **columns):
    """The contract, schema, table and findings of a table with a column of weights."""
    raw = pd.DataFrame({"x": X[:, 0], "w": weights, "y": np.where(CODES, "yes", "no"), **columns})
    declared = Declarations(
        columns={"w": ColumnDeclaration(role=("weight",)), "y": ColumnDeclaration(role=("target",))}
    )
    return type_table(raw, state(), {}, declarations=declared)


def test_a_weight_is_no_feature_and_is_used_by_folds_and_final_fit():
    contract, schema, table, findings = weighted_table(np.r_[np.zeros(10), WEIGHTS[10:]])
    assert contract.weight == "w" and [column.name for column in schema.features] == ["x"]
    assert len(table) == ROWS - 10 and "weights" in [finding.check for finding in findings]
    assert not check_rows([{"x": 1.0}], schema)
    encoder = Encoder.fit({"x": table["x"].to_numpy()}, schema)
    assert training_examples.learn_examples(contract, schema, encoder, table).weights.tolist() == WEIGHTS[10:].tolist()
    assert (
        training_examples.test_examples(contract, schema, encoder, table, table.head(3)).weights.tolist()
        == WEIGHTS[10:13].tolist()
    )
    folds = training_examples.fold_examples(contract, schema, encoder, table, np.arange(len(table)) % 3)
    assert sum(fold.valid_weights.sum() for fold in folds) == WEIGHTS[10:].sum() == table["w"].sum()
    tuned = tune(
        folds, "binary", "roc_auc", 2, families=["linear", "lightgbm"], trials=2, ensemble=False, sampler="random"
    )
    order = np.concatenate([fold.rows for fold in folds])
    at = np.split(np.arange(len(order)), np.cumsum([len(fold.rows) for fold in folds])[:-1])
    for fold, rows, value in zip(folds, at, tuned.best.fold_scores, strict=True):
        measured = score("roc_auc", fold.valid_y, tuned.predictions[rows], weights=fold.valid_weights)
        assert value == pytest.approx(measured)


@pytest.mark.parametrize("family", ["linear", "lightgbm", "mlp", "knn", "rbf_kernel"])
@pytest.mark.parametrize("factor", [1e-300, 1e-6, 1e6, 1e300])
def test_the_scale_of_relative_weights_changes_nothing(family, factor):
    relative = WEIGHTS + 0.5
    predictions = []
    for weights in (relative, relative * factor):
        contract, schema, table, _ = weighted_table(weights)
        encoder = Encoder.fit({"x": table["x"].to_numpy()}, schema)
        learned = training_examples.learn_examples(contract, schema, encoder, table)
        given = {"weights": learned.weights, "counts": learned.weights}
        fitted = fit_model(family, quick_params(family), learned.X, learned.y, "binary", 2, **given)
        predictions.append(predict(fitted, learned.X))
        assert np.ptp(predictions[-1][:, 1]) > 0.1, "nothing was learned"
    np.testing.assert_allclose(*predictions, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.r_[1e300, WEIGHTS[1:]], "240 rows with a weight in 'w' count as much as 1: the largest weight is 1e.300"),
        (np.r_[1e9, 2e9, WEIGHTS[2:]], "count as much as 1"),
        (np.r_[np.nan, WEIGHTS[1:]], "1 of 240 rows have no or an infinite weight in 'w', the first is row 0"),
        (np.r_[np.inf, WEIGHTS[1:]], "no or an infinite weight"),
        (np.r_[-1.0, WEIGHTS[1:]], "a negative weight"),
        (WEIGHTS * 0, "all weights in 'w' are 0"),
        (["much"] * ROWS, "holds values such as"),
    ],
)
def test_wrong_weights_are_an_error(weights, message):
    with pytest.raises(DataError, match=message):
        weighted_table(weights)


def test_a_part_with_all_weight_is_not_left_out():
    weights = (assign_bags(ROWS, 4, 0) == 1).astype(float)
    params = default_params("lightgbm") | QUICK.get("lightgbm", {}) | {"bags": 4}
    model = fit_model("lightgbm", params, X, VALUES, "regression", 0, weights=weights)
    assert np.isfinite(predict(model, X)).all()
