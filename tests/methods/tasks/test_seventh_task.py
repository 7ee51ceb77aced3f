"""A problem type that is defined in this module alone runs from the contract to the response and to monitoring.

Counts: whole numbers from 0, whose predictions are rounded. It defines the differences from a regression only.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from mlnb.codec import decode, encode
from mlnb.methods.contracts.candidates import Candidate
from mlnb.methods.contracts.decisions import Decision, FittedDecision
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import to_wire
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.evaluation.fitted_pipeline import FittedPipeline
from mlnb.methods.evaluation.reference_models import collect_references
from mlnb.methods.evaluation.scored_test_set import sample_training, score_test_set
from mlnb.methods.evaluation.test_report import table_predictions
from mlnb.methods.metrics.goals import suited_tasks
from mlnb.methods.models.search_spaces import default_params, searched_families
from mlnb.methods.problem.problem_contract import encode_target, state
from mlnb.methods.tables.columns import to_arrays
from mlnb.methods.tables.type_inference import clean
from mlnb.methods.tasks import responders, training_strategies
from mlnb.methods.tasks.evaluation_strategies import evaluation_strategy
from mlnb.methods.tasks.monitoring_strategies import evidence_of, monitoring_strategy
from mlnb.methods.tasks.problem_strategies import problem_strategy
from mlnb.methods.tasks.responders import ResponseColumns, ResponseForm, respond
from mlnb.methods.tasks.task_traits import TRAITS, Task, TaskTraits, register
from mlnb.methods.training_data.cross_validation import encode_folds
from mlnb.methods.training_data.data_splits import choose_kind, make_folds, split_rows
from mlnb.methods.training_data.training_plan import plan_for
from mlnb.methods.tuning.final_fit import fit_winner
from mlnb.serving.runtime.served_tasks import find_served_task
from mlnb.serving.runtime.tabular_handler import TabularHandler

COUNTS = TaskTraits(
    title="counts", model_kind="counter", response="count", metrics=("numbers", "values"), default_metric="mae"
)


class CountForm(ResponseForm):
    """A whole number of at least 0."""

    def by_column(
        self, final: np.ndarray, contract: ProblemContract, decision: Decision, groups: np.ndarray | None = None
    ) -> ResponseColumns:
        return ResponseColumns(values=np.maximum(np.round(final), 0.0))


@pytest.fixture
def counts() -> Iterator[Task]:
    """The problem type, taken out again after the test."""
    responders.FORMS["count"] = CountForm()
    training_strategies.LEARNERS["count"] = lambda contract, held_out: FittedDecision(decision=Decision())
    yield register("counts", COUNTS)
    for table, name in ((TRAITS, "counts"), (responders.FORMS, "count"), (training_strategies.LEARNERS, "count")):
        del table[name]


def test_new_problem_type_runs_from_contract_to_response_and_monitoring(counts: Task) -> None:
    random = np.random.default_rng(0)
    raw = pd.DataFrame({"size": random.uniform(0, 5, 400), "city": random.choice(["a", "b"], 400)})
    raw["visits"] = random.poisson(2 * raw["size"] + (raw["city"] == "a"))

    problem = state("visits", "counts")
    strategy = problem_strategy(problem.task)
    table, schema, _ = clean(raw, "visits")
    contract = strategy.complete(problem, table, "visits")
    schema, findings, skills = strategy.audit(table, schema, contract)
    assert (contract.task, contract.metric, contract.direction) == ("counts", "mae", "minimize")
    assert decode(ProblemContract, encode(contract)) == contract  # as an artifact and in a bundle
    assert set(skills) == {"size", "city"} and not [finding for finding in findings if finding.severity == "error"]

    kind, _ = choose_kind(contract, schema)
    plan = plan_for(len(table), len(schema.features), contract.task)
    assert kind == "random" and set(plan.families) <= set(searched_families("counts"))
    training, test = (table.iloc[rows].reset_index(drop=True) for rows in split_rows(table, contract, kind))
    y, arrays = encode_target(training["visits"], contract), to_arrays(training, schema)

    encoder = Encoder.fit(arrays, schema, y)
    fold_of_row, _ = make_folds(training, contract, kind, 3)
    held_out = np.full((len(training), 1), np.nan)
    best = Candidate(family="linear", params=default_params("linear"))
    for fold in encode_folds(arrays, y, fold_of_row, schema, encoder):
        model = fit_winner(best, contract.task, 0, "mae", fold.X, fold.y)
        held_out[fold.rows, 0] = FittedPipeline(contract, schema, encoder, model).predict(fold.valid_X)
    model = fit_winner(best, contract.task, 0, "mae", encoder.transform(arrays), y)
    decision = training_strategies.learn_decision(contract, held_out, y).decision

    pipeline = FittedPipeline(contract, schema, encoder, model, decision)
    scored = score_test_set(pipeline, sample_training(contract, training, held_out), test)
    references = collect_references(scored)
    evaluation = evaluation_strategy(contract.task)
    metrics = evaluation.measure(scored, references, family="linear", resamples=100)
    assert metrics.deciding.name == "mae" and metrics.references["dummy"].difference.low > 0
    evaluation.plot(scored, references)
    assert len(evaluation.worst(scored, table_predictions(scored), 5)) == 5

    golden = evaluation.golden(scored, limit=10)
    values = [row["prediction"] for row in golden.predictions]
    assert len(values) == 10 and all(value >= 0 and value == round(value) for value in values)
    assert to_wire(respond(np.array([-0.7, 2.4]), contract)) == [{"prediction": 0.0}, {"prediction": 2.0}]
    assert find_served_task(contract).handler is TabularHandler

    log = pd.DataFrame(
        {"out.prediction": values[:2], "truth": monitoring_strategy(contract.task).truth(["3", None], contract)}
    )
    evidence, there = evidence_of(log, contract)
    assert evidence is not None and evidence.y.tolist() == [3.0] and there.tolist() == [True, False]


def test_new_problem_type_is_known_to_errors_and_metrics(counts: Task) -> None:
    assert "counts" in suited_tasks("mae") and "counts" not in suited_tasks("roc_auc")
    with pytest.raises(ValueError, match="does not support the task counts"):
        state("visits", "counts", metric="roc_auc")


def test_problem_type_is_gone_after_the_test() -> None:
    with pytest.raises(ValueError, match="unknown task 'counts'"):
        state("visits", "counts")
