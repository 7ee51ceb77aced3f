"""Broken columns, performance, changed relations and service behavior of a window, and the verdict on them."""

import numpy as np
import pytest

from mlnb.methods.contracts.evaluations import DecidingMetric
from mlnb.methods.contracts.monitoring_records import (
    BrokenColumn,
    ChangedRelation,
    ColumnDrift,
    DriftReport,
    EmbeddingDrift,
    JointDrift,
    Loss,
    MonitoringWindow,
    Performance,
    ServiceBehavior,
)
from mlnb.methods.operations.labeled_feedback import Evidence
from mlnb.methods.operations.monitoring_verdict import (
    as_scored,
    changed_relations,
    decide_verdict,
    find_broken,
    implied_metric,
    label_maturity,
    loss_against,
    mean_cost,
    score_evidence,
    service_behavior,
    service_warnings,
)
from mlnb.methods.tables.columns import Column, Schema

SCHEMA = Schema(
    (
        Column("age", "number"),
        Column("fee", "number"),
        Column("plan", "category", categories=("a", "b")),
        Column("x", "number"),
    )
)
HOURS = np.arange(0, 20 * 86_400, 3600.0)
NAMES = ["a", "b", "c", "d"]
SPAN = MonitoringWindow(version="churn:a1", rows=500, until=0.0, days=7.0)
AUC = DecidingMetric(name="roc_auc", direction="maximize", value=0.86, low=0.84, high=0.88)
WORSE = Loss(value=0.08, low=0.03, high=0.13)
PERHAPS = Loss(value=0.02, low=-0.01, high=0.05)
CALM = ColumnDrift(
    column="age", kind="number", test="Kolmogorov-Smirnov", p=0.4, effect=0.02, stability=0.01, missing_before=0.0,
    missing_after=0.0, missing_p=1.0,
)  # fmt: skip
DRIFTED = ColumnDrift(
    column="age", kind="number", test="Kolmogorov-Smirnov", p=1e-9, effect=0.4, stability=0.3, missing_before=0.0,
    missing_after=0.0, missing_p=1.0, adjusted=1e-8, drifted=True, reason="its values moved by 0.40",
)  # fmt: skip
RELATION = ChangedRelation(column="a", effect=0.2, p=1e-6)


@pytest.fixture
def rows():
    """A function that returns rows of a window, some columns replaced."""
    random = np.random.default_rng(0)

    def draw(count, **changed):
        plan = np.array(["a", "b"], dtype=object)[random.integers(0, 2, count)]
        values = {"age": random.normal(40, 9, count), "fee": random.normal(size=count), "plan": plan}
        return {**values, "x": random.normal(size=count), **changed}

    return draw


@pytest.fixture(scope="module")
def classified():
    """True classes of 1,500 rows, and good and bad probabilities."""
    random = np.random.default_rng(1)
    truth = random.integers(0, 2, 1500)
    sure = np.clip(truth + random.normal(0, 0.45, 1500), 0.01, 0.99)
    return truth, np.stack([1 - sure, sure], 1), np.stack([np.full(1500, 0.5), random.random(1500)], 1)


@pytest.fixture(scope="module")
def learned():
    """Rows, what a model predicts of them, true classes that follow it, and true classes that do not."""
    random = np.random.default_rng(2)
    X = random.normal(size=(1000, 4))
    p = 1 / (1 + np.exp(-1.5 * X[:, 0]))
    other = random.random(1000) < 1 / (1 + np.exp(-0.5 * X[:, 0] - 1.2 * X[:, 2]))
    return X, p, (random.random(1000) < p).astype(int), other.astype(int)


@pytest.fixture(scope="module")
def unusual():
    """A service with many refusals and few rows."""
    refusals = np.linspace(HOURS[-1] - 86_400, HOURS[-1], 100)
    return service_behavior(HOURS[: 15 * 24], np.full(360, 2.0), refusals, HOURS[-1], 5.0)


def score(truth, prediction, metric, units=None, **fields):
    """Return the metric of rows, each its own bootstrap unit unless there are others."""
    return score_evidence(
        Evidence(truth, prediction, np.arange(len(truth)) if units is None else units, **fields), metric
    )


def both(p):
    """Return the probabilities of both classes."""
    return np.stack([1 - p, p], 1)


def decide(inputs=(), broken=(), joint=None, tolerance=0.0, warnings=(), embeddings=(), **measured):
    """Return the verdict on a window of which only that is known."""
    service = ServiceBehavior(rows_per_day=24.0, rows_per_day_before=24.0, refused=0.0)
    report = DriftReport(inputs=tuple(inputs), broken=tuple(broken), joint=joint, embeddings=tuple(embeddings))
    performance = Performance(reference=AUC, service=service, **measured)
    return decide_verdict(report, performance, SPAN, "roc_auc", tolerance, warnings)


def test_rows_like_those_of_training_have_no_broken_column(rows):
    assert find_broken(rows(2000), rows(500), SCHEMA) == []
    assert find_broken(rows(2000), rows(0), SCHEMA) == []


def test_emptied_constant_and_renamed_columns_are_broken(rows):
    renamed = np.array(["A", "b"], dtype=object)[np.random.default_rng(3).integers(0, 2, 500)]
    window = rows(500, age=np.full(500, np.nan), fee=np.zeros(500), plan=renamed)
    broken = find_broken(rows(2000), window, SCHEMA)
    assert [one.column for one in broken] == ["age", "fee", "plan"] and "unknown from training" in broken[2].fault


def test_a_loss_is_measured_against_a_reference(classified):
    truth, good, bad = classified
    before, after = score(truth, good, "roc_auc"), score(truth, bad, "roc_auc")
    assert before.low < before.value < before.high
    assert loss_against(after, before, "roc_auc").low > 0.2 and loss_against(before, before, "roc_auc").low < 0


def test_one_class_has_no_curve_and_no_loss(classified):
    truth, good, _ = classified
    undefined = score(np.zeros(50, dtype=int), good[:50], "roc_auc")
    assert undefined.value is None and loss_against(undefined, score(truth, good, "roc_auc"), "roc_auc") is None


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "brier_score"])
def test_calibrated_probabilities_imply_the_metric(metric):
    random = np.random.default_rng(4)
    p = random.random(20_000)
    truth = (random.random(20_000) < p).astype(int)
    assert abs(implied_metric(both(p), metric) - score(truth, both(p), metric).value) < 0.01


def test_probabilities_imply_no_curve(classified):
    assert implied_metric(classified[1], "roc_auc") is None


def test_the_share_of_labels_is_counted_by_age():
    aged = label_maturity(np.array([0.5, 2, 2, 40, 100]), np.array([False, False, True, True, True]))
    assert [(one.rows, one.share) for one in aged] == [(1, 0.0), (2, 0.5), (1, 1.0), (1, 1.0)]


def test_metrics_of_classes_evaluate_the_predicted_class():
    doubtful = np.array([[0.4, 0.6], [0.8, 0.2]])  # both "no" by a high threshold
    assert as_scored(doubtful, ["no", "no"], ["no", "yes"], "f1").tolist() == [[1, 0], [1, 0]]
    assert as_scored(doubtful, ["no", "no"], ["no", "yes"], "roc_auc") is doubtful
    values = np.arange(3.0)
    assert as_scored(values, [], None, "rmse") is values


def test_dependent_rows_widen_the_interval(classified):
    truth, good, _ = classified
    single, wide = score(truth, good, "roc_auc"), score(truth, good, "roc_auc", np.repeat(np.arange(50), 30))
    assert wide.value == single.value and wide.deviation > 0.5 * single.deviation


def test_rankings_are_scored_by_query(classified):
    truth, good, _ = classified
    queries = np.repeat(np.arange(100), 15)
    ordered = score(truth * 3.0, good[:, 1], "ndcg@5", queries, groups=queries)
    assert 0.9 < ordered.low < ordered.value <= 1


def test_rows_count_by_their_weight(classified):
    truth, good, _ = classified
    heavy = score(truth, good, "accuracy", weights=np.where(truth == 1, 1.0, 0.0))
    assert abs(heavy.value - (good[truth == 1, 1] >= 0.5).mean()) < 1e-9


def test_relations_that_hold_are_not_reported(learned):
    X, p, same, _ = learned
    assert changed_relations(X, NAMES, same, both(p)) == []


def test_changed_relations_are_reported_the_largest_first(learned):
    X, p, _, other = learned
    relations = changed_relations(X, NAMES, other, both(p))
    effects = {one.column: one.effect for one in relations}
    assert effects["c"] > 0.3 and effects["a"] < -0.3
    assert sorted(map(abs, effects.values()), reverse=True) == list(map(abs, effects.values()))


def test_changed_relations_are_found_despite_missing_values(learned):
    X, p, _, other = learned
    holes = np.where(np.random.default_rng(5).random(X.shape) < 0.3, np.nan, X)
    assert "c" in {one.column for one in changed_relations(holes, NAMES, other, both(p))}


def test_probabilities_that_are_too_low_are_reported(learned):
    X, p, same, _ = learned
    relations = changed_relations(X[:, 1:2], ["b"], same, both(p**2))
    assert {one.column for one in relations} & {"the prediction", "all rows"}


def test_changed_relations_of_values_are_reported(learned):
    X = learned[0]
    values = X[:, 0] + np.random.default_rng(6).normal(size=1000)
    assert changed_relations(X, NAMES, values, X[:, 0]) == []
    assert changed_relations(X, NAMES, values + 0.5 * X[:, 1], X[:, 0])[0].column == "b"


def test_fifty_rows_are_too_few_for_relations(learned):
    X, p, same, _ = learned
    assert changed_relations(X[:50], NAMES, same[:50], both(p[:50])) == []


def test_steady_traffic_gives_no_warning():
    service = service_behavior(HOURS, np.full(len(HOURS), 2.0), np.zeros(0), HOURS[-1], 5.0)
    assert abs(service.rows_per_day - 24) < 1 and abs(service.rows_per_day_before - 24) < 1
    assert (service.median_ms, service.p99_ms) == (2, 2)
    assert service_warnings(service) == []


def test_refusals_and_few_rows_give_a_warning_each(unusual):
    assert len(service_warnings(unusual)) == 2 and unusual.rows_per_day < 3 and unusual.refused > 0.4


def test_a_service_without_rows_gives_no_warning():
    assert service_warnings(service_behavior(np.zeros(0), np.zeros(0), np.zeros(0), 0.0, 1.0)) == []


def test_decisions_cost_on_average():
    assert mean_cost(np.array([0, 1, 1]), np.array([0, 0, 1]), [[0, 1], [10, -2]]) == (0 + 10 - 2) / 3


def test_without_drift_and_certain_loss_the_model_is_kept():
    verdict = decide([CALM], lost=PERHAPS)
    assert (verdict.outcome, verdict.reasons) == ("keep", ())


def test_drift_without_loss_is_watched():
    assert decide([DRIFTED], lost=PERHAPS).outcome == "watch"


def test_a_loss_leads_to_retraining_and_comes_first():
    broken = BrokenColumn(column="age", fault="missing in 100% of the rows, 0% in training", share=1.0)
    joint = JointDrift(area=0.9, p=0.0, drifted=True, columns={"age": 1.0})
    verdict = decide([DRIFTED], [broken], joint, lost=WORSE)
    assert verdict.outcome == "retrain" and verdict.reasons[0].kind == "performance"
    assert sum("age" in reason.text for reason in verdict.reasons) == 1  # broken, and not drifted as well


def test_a_tolerated_loss_is_kept():
    assert decide([CALM], lost=WORSE, tolerance=0.05).outcome == "keep"


def test_a_version_worse_than_the_one_before_is_rolled_back():
    assert decide(lost=WORSE, fell_back=WORSE).outcome == "roll back"


def test_an_unusual_service_is_watched(unusual):
    assert decide(warnings=service_warnings(unusual)).outcome == "watch"


def test_a_changed_relation_leads_to_retraining_with_a_loss_and_is_watched_without():
    assert decide(lost=PERHAPS, relations=(RELATION,)).outcome == "retrain"
    assert decide(relations=(RELATION,)).outcome == "watch"


def test_joint_drift_names_its_columns():
    joint = JointDrift(area=0.7, p=0.0, drifted=True, columns={"a": 0.6, "b": 0.4})
    verdict = decide([CALM], joint=joint)
    assert verdict.outcome == "watch" and verdict.reasons[0].text.endswith("by a, b")


def test_drifted_embeddings_are_watched():
    changed = EmbeddingDrift(column="note", distance=0.2, area=0.83, p=0.0, drifted=True)
    verdict = decide(embeddings=[changed])
    text = "note: a classifier separates its embeddings with an area of 0.83"
    assert verdict.outcome == "watch" and [reason.text for reason in verdict.reasons] == [text]
