"""`mlnb.monitor` for one model and for several: verdicts, isolated failures, and versions with erased rows."""

from types import SimpleNamespace

import pytest
from many_models import add_check, add_models

import mlnb
from mlnb.api import champion_operations, monitored_models
from mlnb.engine.project import Project
from mlnb.engine.runs import open_run
from mlnb.errors import DataError, RegistryError, UsageError
from mlnb.monitoring.monitoring_paths import log_folder


@pytest.fixture(scope="module")
def project(tmp_path_factory, example) -> Project:
    """A project with three models, two of which have a prediction log."""
    project = example.make_project(tmp_path_factory.mktemp("monitored") / "titanic")
    add_models(example.make_run(project), ["churn.berlin", "churn.koln"])
    for model in ("churn.berlin", "churn.koln"):
        log_folder(project, model).mkdir(parents=True)
    return project


@pytest.fixture
def requests(project, monkeypatch):
    """The requests of monitoring runs, whose verdict is that of a record; the model of Cologne fails."""
    seen = []

    def run(project, request, workers, report, progress):
        seen.append(request)
        values = dict(request.pairs)
        if values["monitor.version"].startswith("churn.koln"):
            raise DataError("no rows")
        done = add_check(open_run(project, request.inputs_from), values["monitor.version"], "watch")
        return mlnb.open_run(done.id, project.root)

    monkeypatch.setattr(champion_operations, "run_request", run)
    return seen


def test_one_model_or_several_are_monitored_from_python(project, requests):
    (seen,) = mlnb.monitor("churn.berlin:1", days=3, tolerance=0.1, folder=project.root)
    assert (seen.result, seen.code, seen.failed) == ("watch", 10, False) and seen.note == "age has drifted"
    assert seen.verdict.outcome == "watch" and "churn-berlin" in seen.run.replace(".", "-")
    values = dict(requests[0].pairs)
    assert (values["monitor.days"], values["monitor.tolerance"], values["monitor.labels"]) == ("3", "0.1", "")
    assert values["monitor.log"] == str(log_folder(project, "churn.berlin")) and requests[0].inputs_from
    with pytest.raises(DataError, match="no rows"):
        mlnb.monitor("churn.koln", folder=project.root)
    outcomes = mlnb.monitor(all_models=True, folder=project.root)
    assert list(outcomes.verdicts) == ["churn.berlin:1"] and outcomes.failed["churn.koln:1"] == "no rows"
    (third,) = [reason for name, reason in outcomes.failed.items() if not name.startswith("churn.")]
    assert "has no prediction log" in third and outcomes.frame()["code"].max() == 10
    with pytest.raises(UsageError, match="names one version"):
        mlnb.monitor("1", name="churn*", folder=project.root)
    with pytest.raises(UsageError, match="segment is of type int; expected a text"):
        mlnb.monitor(segment=5, folder=project.root)


def test_a_version_with_erased_rows_is_to_be_retrained_without_a_run(project, requests, monkeypatch):
    mark = SimpleNamespace(what="erased")
    monkeypatch.setattr(monitored_models, "retraining_marks", lambda log: {"churn.berlin:1": mark})
    monkeypatch.setattr(monitored_models, "describe_mark", lambda entry: "3 rows were erased")
    (seen,) = mlnb.monitor("churn.berlin:1", folder=project.root)
    assert (seen.result, seen.code, seen.note, seen.run) == ("retrain", 11, "3 rows were erased", "") and not requests


def test_heads_that_cannot_be_recorded_are_a_warning(project, requests, monkeypatch):
    def refuse(*arguments):
        raise RegistryError("the registry is locked")

    monkeypatch.setattr(monitored_models, "record_heads", refuse)
    with pytest.warns(RuntimeWarning, match="heads of log and labels are not recorded: the registry is locked"):
        mlnb.monitor("churn.berlin:1", folder=project.root)
