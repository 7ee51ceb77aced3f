"""Calibration and threshold curves agree with scikit-learn on the test predictions of a run."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from mlnb.reports.prediction_charts import (
    ScoredRows,
    calibration_chart,
    read_scored,
    threshold_charts,
    threshold_table,
)

RANDOM = np.random.default_rng(0)
SCORE = RANDOM.random(400)
TRUTH = (RANDOM.random(400) < SCORE).astype(float)


def scored(**more):
    values = {"truth": TRUTH, "score": SCORE, "positive": "yes", "target": "churn", "threshold": 0.3, "costs": None}
    return ScoredRows(**(values | more))


def test_the_table_has_the_ratios_of_each_threshold_and_marks_that_of_the_model():
    rows = threshold_table(scored(costs=((0.0, 1.0), (5.0, 0.0))))
    assert [row.threshold for row in rows if row.chosen] == [0.3] and len(rows) == 9
    for row in rows:
        chosen = row.threshold <= SCORE
        assert row.precision == pytest.approx(precision_score(TRUTH, chosen))
        assert row.recall == pytest.approx(recall_score(TRUTH, chosen))
        assert row.f1 == pytest.approx(f1_score(TRUTH, chosen))
        assert row.cost == pytest.approx(np.where(TRUTH == 1, 5.0 * ~chosen, 1.0 * chosen).mean())
    nobody = threshold_table(scored(score=np.zeros(400), threshold=0.5))[0]
    assert nobody.precision is None and nobody.recall == 0 and nobody.cost is None


def test_calibration_has_the_observed_share_of_each_bin():
    chart = calibration_chart([("A", scored()), ("B", scored(score=np.full(400, 0.55)))])
    first, second = chart.series
    assert first.values[2] == pytest.approx(TRUTH[(SCORE >= 0.2) & (SCORE < 0.3)].mean())
    assert [value is not None for value in second.values] == [at == 5 for at in range(10)]
    numbers = calibration_chart([("A", scored(positive="", truth=SCORE * 10, score=SCORE * 10))])
    assert np.allclose(numbers.x, numbers.series[0].values) and numbers.x_label == "predicted churn"
    assert calibration_chart([("A", scored()), ("B", scored(positive="no"))]) is None
    assert calibration_chart([("A", scored(positive="", score=np.ones(400)))]) is None


def test_one_run_has_one_chart_and_several_runs_one_for_precision_and_one_for_recall():
    (one,) = threshold_charts([("model", scored())])
    assert [line.label for line in one.series] == ["precision", "recall"]
    two = threshold_charts([("A", scored()), ("B", scored())])
    assert [[line.label for line in chart.series] for chart in two] == [["A", "B"]] * 2
    assert threshold_charts([("A", scored(positive=""))]) == [] == threshold_table(scored(positive=""))


def test_runs_are_read_whatever_is_missing(tmp_path, example):
    project = example.make_project(tmp_path / "shop")
    rows = read_scored(example.make_run(project))
    assert (rows.positive, rows.target, len(rows.truth)) == ("1", "survived", 60) and set(rows.truth) == {0, 1}
    assert read_scored(example.make_run(project, "20260314-092500-train-c3d4", upto="train")) is None
    numbers = read_scored(example.make_run(project, "20260314-093500-train-e5f6", task="regression"))
    assert numbers.positive == "" and numbers.target == "mpg"


def test_classes_are_read_whatever_their_type_in_the_table(tmp_path, example):
    project = example.make_project(tmp_path / "shop")
    before = read_scored(example.make_run(project))
    for number, kind in enumerate(("str", "category", "int64", "object")):

        def retyped(table, kind=kind):
            truth = table["truth"].astype(str).astype(kind)
            return table.assign(truth=truth.where(truth != truth[0]) if kind == "object" else truth)

        run = example.make_run(project, f"20260314-09250{number}-train-c3d4", change={"predictions": retyped})
        rows = read_scored(run)
        assert np.array_equal(rows.score, before.score)
        missing = kind == "object" and before.truth[0] == 1  # then no row is of the positive class
        assert np.array_equal(rows.truth, np.zeros(60) if missing else before.truth)
