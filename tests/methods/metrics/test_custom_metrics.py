"""Metrics of a project: in search, threshold, intervals, gate, monitoring and comparison; faults name them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from custom_metrics import CODE, FILE
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.codec import decode, encode
from mlnb.engine.project import Project
from mlnb.errors import DataError, MetricError, ParameterError
from mlnb.methods.contracts.problems import MetricCode, ProblemContract
from mlnb.methods.decisions.decision_thresholds import learn_threshold
from mlnb.methods.evaluation.test_evaluation import evaluate, make_gate
from mlnb.methods.metrics.custom_metrics import declare_metric, load_metric, register_metrics, use_metrics
from mlnb.methods.metrics.metric_interface import CustomMetric
from mlnb.methods.metrics.weighted_metrics import metrics_of, score, score_many
from mlnb.methods.models.search_spaces import default_params
from mlnb.methods.operations.labeled_feedback import Evidence
from mlnb.methods.operations.monitoring_verdict import score_evidence
from mlnb.methods.problem.problem_contract import state
from mlnb.methods.problem.task_contracts import complete_anomaly, complete_ranking
from mlnb.methods.tasks.task_traits import Task
from mlnb.methods.training_data.cross_validation import Fold
from mlnb.methods.tuning.hyperparameter_search import tune
from mlnb.methods.tuning.trials import Objective, TrialProposal, run_trial
from mlnb.registry.model_versions import summarize_problem
from mlnb.registry.version_comparison import EvaluatedModel, _difference

PROFIT = MetricCode(name="profit", file=FILE, code=CODE)
NAN = MetricCode(name="profit", file=FILE, code=CODE.replace("np.average(gain, weights=weights)", "np.nan"))


class FirstIsRelevant(CustomMetric):
    name, tasks, direction, needs, low, high = "first_is_relevant", ("ranking",), "maximize", "value", 0.0, 1.0

    def score(self, y: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> float:
        return float(np.mean(y[prediction == prediction.max()] > 0))


class NanOfOne(FirstIsRelevant):
    name = "nan_of_one"

    def score(self, y: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> float:
        return float("nan") if len(y) == 1 else 1.0


class AlertsPerAnomaly(FirstIsRelevant):
    name, tasks = "top_is_anomaly", ("anomaly",)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Forget the metrics that a test registered."""
    yield
    use_metrics([])


def rows(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return class codes, and probabilities that are below one half for most of the positive rows."""
    random = np.random.default_rng(0)
    y = (random.random(count) < 0.3).astype(int)
    positive = np.clip(0.25 + 0.2 * y + 0.1 * random.normal(size=count), 0.01, 0.99)
    return y, np.stack([1 - positive, positive], axis=1)


def test_the_contract_carries_the_code_and_reading_it_runs_nothing() -> None:
    broken = MetricCode(name="profit", file=FILE, code="1 / 0")
    contract = ProblemContract(task=Task.BINARY, metric="profit", custom_metrics=(broken,))
    again = decode(ProblemContract, encode(contract))
    assert again == contract
    with pytest.raises(MetricError, match=f"{FILE} cannot be imported: ZeroDivisionError.* in `1 / 0`"):
        use_metrics(again.custom_metrics)


def test_it_decides_with_interval_gate_and_threshold() -> None:
    use_metrics([PROFIT])
    y, p = rows()
    threshold, measured = learn_threshold(p, y, metric="profit")
    assert threshold is not None and threshold < 0.45 and "better than one half" in measured.reason
    decided = np.eye(2)[(p[:, 1] >= threshold).astype(int)]
    predictions = {"model": p, "dummy": np.full((len(y), 2), [0.7, 0.3])}
    metrics = evaluate(y, predictions, "binary", "profit", resamples=60, decided={"model": decided})
    deciding = metrics.deciding
    assert deciding.low < deciding.value < deciding.high and deciding.value > score("profit", y, p)
    contract = ProblemContract(task=Task.BINARY, metric="profit", bound=0.5, limits={"profit": 9.0})
    gate = make_gate(contract, metrics)
    assert [line.passed for line in gate.lines] == [True, False, True]
    assert "profit on 400 test rows" in gate.lines[0].check


def test_it_is_optimized_and_a_bad_score_ends_the_search_with_its_name() -> None:
    use_metrics([PROFIT])
    random = np.random.default_rng(0)
    X = random.normal(size=(80, 2))
    y = (X[:, 0] + random.normal(size=80) > 0.5).astype(int)
    folds = [Fold(X[40:], y[40:], X[:40], y[:40], rows=np.arange(40)), Fold(X[:40], y[:40], X[40:], y[40:])]
    result = tune(folds[:1], "binary", "profit", 2, families=["linear"], trials=2, ensemble=False, workers=1)
    assert result.best.metric == "profit" and result.best.direction == "maximize" and result.best.score > 0
    use_metrics([NAN])
    with pytest.raises(MetricError, match=r"nbs/metrics/profit.ipynb: metric 'profit': score returned nan for 40 rows"):
        run_trial(TrialProposal("linear", default_params("linear"), "none"), folds, Objective("binary", 2, "profit"))


def test_a_metric_of_rankings_is_optimized_and_has_an_interval_over_queries() -> None:
    declared = declare_metric(FirstIsRelevant)
    register_metrics([declared])
    random = np.random.default_rng(0)
    queries, X = np.repeat(np.arange(30), 6), random.normal(size=(180, 2))
    y = (X[:, 0] > 0.3).astype(float)
    table = pd.DataFrame({"q": queries.astype(str), "y": y})
    contract = complete_ranking(state("y", "ranking", "first_is_relevant", details={"query": "q"}), table, "y")
    assert contract.metric == "first_is_relevant" and contract.direction == "maximize"
    train, test = queries < 20, queries >= 20
    fold = Fold(X[train], y[train], X[test], y[test], groups=queries[train], valid_groups=queries[test])
    result = tune([fold], "ranking", "first_is_relevant", 0, families=["linear"], trials=1, ensemble=False, workers=1)
    assert result.best.metric == "first_is_relevant" and result.best.score > 0.9
    predictions = {"model": random.random(180) + X[:, 0], "dummy": random.random(180)}
    deciding = evaluate(y, predictions, "ranking", "first_is_relevant", resamples=60, groups=queries).deciding
    assert deciding.low < deciding.value < 1.0 and deciding.value > score("first_is_relevant", y, -X[:, 0], queries)
    with pytest.raises(ValueError, match="found no query for each of the 180 rows"):
        score("first_is_relevant", y, X[:, 0])
    register_metrics([declare_metric(NanOfOne)])
    with pytest.raises(MetricError, match="score returned nan for 1 rows"):
        score("nan_of_one", np.ones(1), np.zeros(1), np.zeros(1))


def test_a_metric_of_anomalies_judges_the_labeled_rows() -> None:
    register_metrics([declare_metric(AlertsPerAnomaly)])
    y, scores = np.array([1.0, 0.0, np.nan, 1.0]), np.array([0.9, 0.1, 0.8, 0.2])
    assert score("top_is_anomaly", y, scores) == 1.0 and score("top_is_anomaly", y, -scores) == 0.0
    table = pd.DataFrame({"x": np.arange(40.0), "bad": ["yes", "no", "no", "no"] * 10})
    stated = state("bad", "anomaly", "top_is_anomaly")
    assert complete_anomaly(stated, table, "bad").metric == "top_is_anomaly"
    with pytest.raises(DataError, match="needs labels"):
        complete_anomaly(state(task="anomaly", metric="top_is_anomaly"), table)
    with pytest.raises(MetricError, match="a separate class for anomaly"):
        declare_metric(type("Both", (AlertsPerAnomaly,), {"tasks": ("regression", "anomaly")}))


def test_monitoring_measures_it_on_decided_labels() -> None:
    use_metrics([PROFIT])
    y, p = rows(120)
    seen = score_evidence(Evidence(y, np.eye(2)[(p[:, 1] > 0.3).astype(int)], np.arange(120)), "profit")
    assert seen.value is not None and seen.low < seen.value < seen.high


def test_other_code_of_the_same_name_is_another_problem() -> None:
    contracts = [ProblemContract(task=Task.BINARY, metric="profit", custom_metrics=(one,)) for one in (PROFIT, NAN)]
    assert summarize_problem(contracts[0]) != summarize_problem(contracts[1])
    assert summarize_problem(contracts[0]) == summarize_problem(contracts[0])


def test_looking_at_runs_runs_no_code(tmp_path: Path) -> None:
    broken = MetricCode(name="profit", file=FILE, code="1 / 0")
    contract = ProblemContract(task=Task.BINARY, metric="profit", custom_metrics=(broken,))
    model = EvaluatedModel(Project.find(tmp_path), summarize_problem(contract), "digest", "digest")
    reason = _difference(False, model, model)
    assert "profit is code of a project, which is not run to look at runs" in str(reason)


def test_a_stated_metric_of_another_task_or_out_of_range_is_refused() -> None:
    with pytest.raises(ParameterError, match="unknown metric 'profit'"):
        state("y", metric="profit")
    use_metrics([PROFIT])
    assert state("y", metric="profit", bound=2).bound == 2.0 and "profit" in metrics_of("binary")
    with pytest.raises(ParameterError, match="'profit' does not support the task regression"):
        state("y", "regression", "profit")
    with pytest.raises(ParameterError, match="expected a value of profit from -1 to 5"):
        state("y", metric="profit", bound=7)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=12))
def test_weights_are_repeated_rows(table: list[tuple[int, float, int]]) -> None:
    use_metrics([PROFIT])
    y, positive, weights = (np.array(column) for column in zip(*table, strict=True))
    p = np.stack([1 - positive, positive], axis=1)
    (weighted,) = score_many("profit", y, p, weights[None])
    if not weights.any():
        assert np.isnan(weighted)
    else:
        assert weighted == pytest.approx(score("profit", np.repeat(y, weights), np.repeat(p, weights, axis=0)))


JUNK = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(), st.text(max_size=5), st.just(("binary",)))


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(["name", "tasks", "direction", "needs", "low", "high"]), JUNK, min_size=1))
def test_any_declaration_is_refused_or_can_be_registered(changed: dict[str, object]) -> None:
    kind = type("Changed", (type(load_metric(CODE, FILE).metric),), changed)
    try:
        metric = declare_metric(kind)
    except MetricError as error:
        assert str(error).startswith("Changed: class Changed ") and "; expected " in str(error)
    else:
        register_metrics([metric])
        assert metric.name in metrics_of("binary")


def test_a_class_that_cannot_be_created_is_an_error() -> None:
    class Needy(CustomMetric):
        name, tasks, direction, needs = "needy", ("regression",), "minimize", "value"

        def __init__(self, unit: float) -> None:
            self.unit = unit

        def score(self, y: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> float:
            return self.unit

    with pytest.raises(MetricError, match=r"Needy cannot be created.*expected a class without arguments"):
        declare_metric(Needy)
