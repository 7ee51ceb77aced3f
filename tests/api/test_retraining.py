"""What becomes of a challenger by its evaluation, and `mlnb.retrain` for one model and for several."""

import pytest
from many_models import add_models

import mlnb
from mlnb.api import champion_operations, retraining
from mlnb.api.retraining import AWAITING, RetrainOptions, conclude_retraining, retraining_request
from mlnb.engine.formats import save_object
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, open_run
from mlnb.errors import DataError, UsageError
from mlnb.methods.contracts.challenge_records import ChallengeResult
from mlnb.monitoring.monitoring_paths import label_database, log_folder
from mlnb.registry.registry import Registry

FIRST, SECOND = "20260314-091500-train-a1b2", "20260314-101500-train-c3d4"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, example) -> Run:
    """The run of a challenger, in a project whose first version is the champion."""
    project = example.make_project(tmp_path_factory.mktemp("retraining") / "titanic")
    example.make_run(project, FIRST)
    registry = Registry(project, "ann")
    registry.sync()
    registry.promote("1", why="first")
    run = example.make_run(project, SECOND, minute=20, score=0.91)
    folder = tmp_path_factory.mktemp("service")
    (folder / "model.txt").write_text("another")
    service = save_object(project.store, folder, "another service")
    run.update_stage("package", outputs={**run.stages["package"].outputs, "service": service})
    return decided(run, "promote")


def decided(run: Run, decision: str) -> Run:
    """Return the run with another decision of the evaluation."""
    values = {"metric": "roc_auc", "rows": 1_200, "changed": 0.1, "decision": decision, "lines": ()}
    result = ChallengeResult(champion=0.7, challenger=0.8, value=0.1, low=0.05, high=0.15, **values)
    output = save_object(run.project.store, result, "challenge")
    run.update_stage("evaluate", outputs={**run.stages["evaluate"].outputs, "challenge": output})
    run.save()
    return run


def test_the_evaluation_decides_what_becomes_of_the_challenger(trained):
    registry = Registry(trained.project, "ann")
    champion = registry.find_or_champion()
    steps = []
    outcome = conclude_retraining(
        registry, champion, decided(trained, "keep"), RetrainOptions(promote=True), steps.append
    )
    assert (outcome.result, outcome.code, outcome.run) == ("trained", 0, trained.id)
    assert outcome.note == "roc_auc on 1,200 new rows: champion 0.7, challenger 0.8"
    assert steps[0] == outcome.evaluation and steps[1].alias == "challenger" and len(steps) == 2
    waiting = conclude_retraining(registry, champion, decided(trained, "approve"), RetrainOptions(promote=True))
    assert (waiting.result, waiting.code, waiting.failed) == ("approval needed", AWAITING, False)
    better = conclude_retraining(registry, champion, decided(trained, "promote"), RetrainOptions())
    assert better.result == "trained" and registry.find_or_champion() == champion
    steps.clear()
    won = conclude_retraining(registry, champion, trained, RetrainOptions(promote=True, reason="June"), steps.append)
    assert won.result == "promoted" and (steps[1].alias, steps[1].why) == ("champion", "June")
    assert registry.find_or_champion().name == won.challenger != won.champion == champion.name
    same = conclude_retraining(registry, registry.find(won.challenger), trained, RetrainOptions(promote=True))
    assert same.result == "unchanged"
    registry.rollback(why="test")


def test_a_request_has_the_parameters_of_the_champion_and_those_of_the_caller(trained):
    project = trained.project
    champion = Registry(project).find("1")
    with (
        pytest.raises(UsageError, match="has no labels; add them first"),
        retraining_request(project, champion, RetrainOptions(), ""),
    ):
        pass
    with pytest.raises(UsageError, match="The policy is 'all'; expected one of growing, sliding, since_last"):
        mlnb.retrain(policy="all", folder=project.root)
    add_labels(project, champion.model)
    options = RetrainOptions(policy="sliding", values={"collect.window": 500})
    with retraining_request(project, champion, options, champion.name) as request:
        assert request.values == {"collect.window": 500} and "policy: sliding" in request.files[0].read_text()
        command = request.command()
    assert command[:4] == ("mlnb", "retrain", champion.name, "--policy") and not request.files[0].exists()


def add_labels(project: Project, model: str) -> None:
    """Make a model one with labels and a prediction log."""
    label_database(project, model).parent.mkdir(exist_ok=True)
    label_database(project, model).touch()
    log_folder(project, model).mkdir(parents=True, exist_ok=True)


def test_one_model_or_several_are_retrained_from_python(trained, monkeypatch):
    project = trained.project
    model = Registry(project).find_or_champion().model
    add_models(open_run(project, FIRST), ["churn.berlin", "churn.koln"])
    monkeypatch.setattr(retraining, "challenger_parameters", lambda *_: {})  # the services of these are none
    for name in (model, "churn.koln"):
        add_labels(project, name)
    requests = []

    def run(project, request, workers, report, progress):
        requests.append((request, workers, report))
        if "churn.koln:1" in request.program:
            raise DataError("no rows")
        return mlnb.open_run(trained.id, project.root)

    monkeypatch.setattr(champion_operations, "run_request", run)
    (outcome,) = mlnb.retrain(f"{model}:1", workers=3, report=False, folder=project.root)
    assert outcome.result == "trained" and outcome.evaluation.decision == "promote"
    assert requests[0][0].program[:3] == ("mlnb", "retrain", f"{model}:1") and requests[0][1:] == (3, False)
    with pytest.raises(DataError, match="no rows"):
        mlnb.retrain("churn.koln:1", folder=project.root)
    outcomes = mlnb.retrain(all_models=True, folder=project.root)
    assert [one.result for one in outcomes] == ["failed", "failed", "trained"]
    assert outcomes.failed["churn.koln:1"] == "no rows" and "no labels" in outcomes.failed["churn.berlin:1"]
    assert list(outcomes.finished) == [f"{model}:1"] and outcomes.frame()["code"].max() == DataError.exit_code
    with pytest.raises(UsageError, match="names one version"):
        mlnb.retrain("1", all_models=True, folder=project.root)
    with pytest.raises(UsageError, match="version is of type int; expected a text"):
        mlnb.retrain(1, folder=project.root)
    with pytest.raises(UsageError, match="workers is 0"):
        mlnb.retrain(all_models=True, workers=0, folder=project.root)
