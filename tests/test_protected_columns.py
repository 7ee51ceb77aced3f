"""Stages from data to evaluation with protected columns."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import toys
from in_process import mlnb_in_process

from mlnb.api.table_slices import slice_frame
from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.errors import ParameterError, UsageError
from mlnb.methods.contracts.candidates import Candidate
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.gates import Gate
from mlnb.methods.evaluation.fairness import describe_mitigation
from mlnb.methods.problem.contract_requirements import complete_requirements, state_requirements
from mlnb.methods.tasks.task_traits import Task
from mlnb.serving.batch.batch_scorer import Scorer
from mlnb.serving.edge.portable_export import export_text
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.request_bodies import BadRows
from mlnb.serving.runtime.response_schemas import describe_rows

SMALL = ["-p", "tune.families", '["linear"]', "-p", "tune.trials", "1", "-p", "evaluate.resamples", "50"]
SMALL += ["-p", "evaluate.repeats", "1", "-p", "explore.most", "2", "-p", "split.folds", "2", "--no-report"]
NAMES = ["a", "b", "c", "d", "e", "outcome"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return toys.new_project(tmp_path_factory.mktemp("columns"))


def people(names):
    """Return a table of people with two groups, its columns named as stated."""
    random = np.random.default_rng(0)
    values = random.normal(size=(300, 3)).round(3)
    group, age = np.array(["f", "m"])[random.integers(0, 2, 300)], random.integers(18, 80, 300)
    happened = random.random(300) < 1 / (1 + np.exp(-2 * values[:, 0] - 0.5 * (group == "m")))
    columns = [*values.T, group, age, np.where(happened, "yes", "no")]
    return pd.DataFrame(dict(zip(names, columns, strict=True)))


def evaluated(root, names, *arguments):
    """Run the stages up to evaluate; return the metrics and the gate."""
    people(names).to_csv(root / "people.csv", index=False)
    about = ["--data", "people.csv", "--target", names[-1], "--upto", "evaluate"]
    mlnb_in_process(root, "run", *about, *SMALL, *arguments)
    run = runs.open_run(Project.find(root))
    return run.load("metrics", Metrics), run.load("gate", Gate)


def bundle_of(project, name):
    """Return a folder with the parts of the latest run's model."""
    run, folder = runs.open_run(Project.find(project)), project / name
    shutil.copytree(run.load("model"), folder / "fitted")
    for part in ("contract", "schema", "encoder", "golden"):
        (folder / f"{part}.json").write_text(json.dumps(run.load(part)))
    (folder / "version.txt").write_text("people:1\n")
    return folder


def test_protected_columns_are_compared_and_are_in_the_gate(project):
    limits = ["-p", "problem.protected", '["d", "e"]', "-p", "problem.fairness_limit", "0.01"]
    metrics, gate = evaluated(project, NAMES, *limits)
    assert [one.column for one in metrics.fairness] == ["d", "e"]
    assert {one.group for one in metrics.fairness[0].groups} == {"f", "m"}
    lines = [line for line in gate.lines if "groups" in line.check or "equalized_odds" in line.check]
    assert len(lines) == 2, gate.lines


@pytest.fixture(scope="module")
def fair_model(project):
    """Return the bundle's folder `model` of a run with thresholds by group of a column that is no feature."""
    (project / "columns.toml").write_text('[columns.d]\nrole = "protected"\n')
    limits = ["-p", "ingest.declarations", "columns.toml", "-p", "problem.fairness_metric", "demographic_parity"]
    metrics, _ = evaluated(project, NAMES, *limits, "-p", "problem.fairness_mitigation", "group_thresholds")
    return bundle_of(project, "model"), metrics


def test_thresholds_by_group_are_evaluated_with_and_without(fair_model):
    metrics = fair_model[1]
    mitigation, before, after = metrics.mitigation, metrics.mitigation.before[0], metrics.fairness[0]
    assert mitigation.columns == ("d",) and before.measure == after.measure == "demographic_parity"
    assert mitigation.changed > 0 and mitigation.unknown == 0
    assert before.difference.low <= before.difference.value <= before.difference.high
    assert mitigation.accuracy.value - mitigation.accuracy_before.value == pytest.approx(
        mitigation.accuracy_change.value
    )


def test_service_and_batch_decide_by_group_as_the_notebook_did(fair_model):
    folder, _ = fair_model
    predictor = Predictor.load(folder)
    assert predictor.replay() is None  # the golden rows, which contain the protected column
    assert "d" in predictor.golden.rows[0] and "d" not in [c.name for c in predictor.parts.schema.features]
    Scorer(folder)  # raises when batch scoring differs
    rows = predictor.golden.rows
    swapped = [row | {"d": {"f": "m", "m": "f"}[row["d"]]} for row in rows]
    responses, others = predictor.predict(rows), predictor.predict(swapped)
    assert [one["probabilities"] for one in responses] == [one["probabilities"] for one in others]
    assert responses != others  # the same probabilities, and other decisions
    alone = [predictor.predict([row])[0] for row in rows[:20]]
    assert alone == responses[:20]


def test_new_groups_have_the_common_threshold_and_wrong_values_are_refused(fair_model):
    folder, _ = fair_model
    predictor = Predictor.load(folder)
    common = predictor.parts.decision.threshold or 0.5
    rows = [row | {"d": group} for row in predictor.golden.rows[:40] for group in ("x", None)]
    for response in predictor.predict(rows):
        assert response["prediction"] == ("yes" if response["probabilities"]["yes"] >= common else "no")
    assert predictor.predict([]) == []
    row = predictor.golden.rows[0]
    for wrong, expected in (({**row, "d": ["f"]}, "d"), ({k: v for k, v in row.items() if k != "d"}, "d")):
        with pytest.raises(BadRows) as refused:
            predictor.predict([row, wrong])
        assert [(one.row, one.column) for one in refused.value.problems] == [(1, expected)]
        assert refused.value.problems[0].found == ("a list" if "d" in wrong else "nothing")
    described = describe_rows(predictor.handler.request_columns, [])["items"]
    assert "d" in described["properties"] and "d" in described["required"]
    table = pa.Table.from_pylist([{**row, "d": group} for group in ("f", "m", "x", None)])
    slices = slice_frame(table.to_pandas(), predictor.handler.request_columns, whole=False)
    labels = [one.prediction for part in slices for one in predictor.handler.respond_to_table(part)]
    assert labels == [one["prediction"] for one in predictor.predict(table.to_pylist())]
    scored = Scorer(folder).score(table, 0).good.column("prediction").to_pylist()
    assert scored == [one["prediction"] for one in predictor.predict(table.to_pylist())]
    with pytest.raises(UsageError, match="Column 'd' is missing"):
        Scorer(folder).check_names([name for name in row if name != "d"])


def test_forms_without_the_service_refuse_thresholds_by_group(fair_model, tmp_path):
    folder, _ = fair_model
    with pytest.raises(UsageError, match="groups of 'd', which Python alone does not support"):
        export_text(folder, tmp_path / "portable")


@pytest.fixture(scope="module")
def reduced_model(project, fair_model):
    """Return the bundle's folder `model` of a run whose model learned by groups of a column that is no feature."""
    limits = ["-p", "ingest.declarations", "columns.toml", "-p", "problem.fairness_metric", "demographic_parity"]
    metrics, _ = evaluated(project, NAMES, *limits, "-p", "problem.fairness_mitigation", "reductions")
    return bundle_of(project, "reduced"), metrics, runs.open_run(Project.find(project)).load("best", Candidate)


def test_reductions_are_evaluated_with_and_without(reduced_model):
    _, metrics, best = reduced_model
    mitigation = metrics.mitigation
    assert mitigation.method == "reductions" and mitigation.changed > 0 and mitigation.unknown == 0
    assert mitigation.before[0].difference.value != metrics.fairness[0].difference.value
    assert mitigation.accuracy_before.low <= mitigation.accuracy_before.value <= mitigation.accuracy_before.high
    assert best.reduction.groups == (("f",), ("m",)) and best.reduction.difference < best.reduction.difference_before
    assert all(member.learned_rows for member in best.models)
    text = "\n".join(describe_mitigation(mitigation, metrics.fairness))
    assert "fairness reduction by groups of d" in text and "Using a protected attribute in training" in text


def test_a_reduced_model_is_served_without_the_protected_column(reduced_model, tmp_path):
    folder, _, best = reduced_model
    predictor = Predictor.load(folder)
    assert predictor.replay() is None and "d" not in predictor.golden.rows[0]
    assert len(predictor.parts.model.native["members"]) == len(best.members) > 1
    assert [predictor.predict([row])[0] for row in predictor.golden.rows[:20]] == predictor.predict(
        predictor.golden.rows[:20]
    )
    Scorer(folder)  # raises when batch scoring differs
    assert export_text(folder, tmp_path / "portable")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fairness_mitigation": "reduction"}, "unknown fairness mitigation 'reduction'"),
        ({"protected": []}, "state protected"),
        ({"fairness_metric": "accuracy"}, "expected one of: equalized_odds"),
    ],
)
@pytest.mark.parametrize("method", ["group_thresholds", "reductions"])
def test_mitigation_that_does_not_suit_the_contract_is_refused(changes, message, method):
    stated = {"protected": ["d"], "fairness_mitigation": method, "fairness_metric": "demographic_parity"}
    with pytest.raises(ParameterError, match=message):
        complete_requirements(state_requirements(**(stated | changes)), Task.BINARY, ["no", "yes"], NAMES)
    stated["fairness_metric"] = "auto"
    for task, classes in ((Task.MULTICLASS, ["a", "b", "c"]), (Task.REGRESSION, None)):
        with pytest.raises(ParameterError, match=f"{method} was stated, but the task is {task}; expected binary"):
            complete_requirements(state_requirements(**stated, coverage=None), task, classes, NAMES)
