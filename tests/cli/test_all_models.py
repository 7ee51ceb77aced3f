"""Commands for several models: filters, isolated failures, the table and the exit code."""

import argparse
from typing import Any

import pytest
from many_models import add_models

from mlnb.api.retraining import challenger_parameters
from mlnb.api.several_models import ModelOutcome
from mlnb.cli import loop
from mlnb.cli.all_models import add_filters, for_each_model, selected_models, selects_several
from mlnb.cli.main import main
from mlnb.codec import replace
from mlnb.engine.project import Project
from mlnb.engine.run_records import ParameterValue
from mlnb.engine.runs import open_run
from mlnb.errors import DataError, UsageError
from mlnb.registry.registry import Registry


@pytest.fixture
def project(tmp_path, example, monkeypatch) -> Project:
    """A project with three models, one of them with two versions."""
    project = example.make_project(tmp_path / "titanic")
    run = example.make_run(project)
    add_models(run, ["churn.berlin", "churn.koln"])
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("MLNB_ACTOR", "ann")
    monkeypatch.setenv("COLUMNS", "200")
    return project


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_filters(parser)
    return parser.parse_args(arguments)


def names(project: Project, *arguments: str) -> list[str]:
    return [version.name for version in selected_models(Registry(project), options(*arguments))]


def test_filters_select_models(project, capsys):
    assert names(project, "--all") == ["churn.berlin:1", "churn.koln:1", "survived-classifier:1"]
    assert names(project, "--name", "churn.*") == ["churn.berlin:1", "churn.koln:1"]
    with pytest.raises(UsageError, match=r"No model is selected; there is churn\.berlin, churn\.koln"):
        names(project, "--segment", "Berlin")
    assert main(["models", "--name", "*.koln"]) == 0
    listing = capsys.readouterr().out
    assert "churn.koln:1" in listing and "churn.berlin" not in listing
    assert main(["models", "--segment", "Paris"]) == 0 and "No model is selected" in capsys.readouterr().out
    assert not selects_several(options()) and selects_several(options("--segment", "a"))
    assert main(["monitor", "churn.koln", "--all"]) == 2 and "names one version" in capsys.readouterr().err


def test_a_segment_selects_its_model(project, monkeypatch):
    versions = Registry(project).versions()
    segmented = [replace(one, metadata=replace(one.metadata, segment=one.model[6:])) for one in versions]
    monkeypatch.setattr(Registry, "versions", lambda self: segmented)
    assert names(project, "--segment", "k*") == ["churn.koln:1"]
    with pytest.raises(UsageError, match=r"No model is selected; the segments are berlin, ed-classifier, koln\."):
        names(project, "--segment", "köln")


def test_the_model_of_a_segment_is_retrained_on_its_rows(project):
    version = Registry(project).find("survived-classifier")
    run = open_run(project, version.run)
    whole = challenger_parameters(project, run, version, "growing")
    assert "segment" not in whole["collect"]
    stated = {
        name: ParameterValue(value=value, origin="params") for name, value in (("each", "city"), ("segment", "7"))
    }
    run.update_stage("split", parameters={**run.stages["split"].parameters, **stated})
    values = challenger_parameters(project, run, version, "growing")
    for stage in ("collect", "split"):
        assert (values[stage]["each"], values[stage]["segment"]) == ("city", "7")


def test_failures_are_isolated_and_win_over_results(project, capsys):
    models = selected_models(Registry(project), options("--all"))

    def act(version: Any) -> ModelOutcome:
        if version.model == "churn.berlin":
            raise DataError("no rows")
        return ModelOutcome("retrain", 11)

    assert for_each_model(project, models, act) == DataError.exit_code
    text = capsys.readouterr().out
    assert "3 of 3: survived-classifier:1" in text and "churn.berlin:1: no rows" in text
    assert [line.split()[1] for line in text.splitlines() if line.startswith(("churn", "survived"))] == [
        "failed",
        "retrain",
        "retrain",
    ]
    assert for_each_model(project, models[1:], act) == 11
    with pytest.warns(RuntimeWarning, match="surprise"):
        assert for_each_model(project, models[:1], lambda version: {}["surprise"]) == 1
    lost = [replace(models[1], run="20200101-000000-train-0000")]
    assert for_each_model(project, lost, act) == 0 and "is not in this project" in capsys.readouterr().out


def test_promotion_of_all_leaves_champions_as_they_are(project, capsys, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main(["promote", "churn.koln:1", "--reason", "first"]) == 0
    assert main(["promote", "--name", "churn.*", "--reason", "report read"]) == 0
    text = capsys.readouterr().out
    assert "unchanged" in text and "churn.berlin:1 promoted as champion" in text
    assert {version.model for version in Registry(project).versions() if "champion" in version.aliases} == {
        "churn.berlin",
        "churn.koln",
    }
    for wrong in (["--all"], ["--all", "--reason", "x", "--as", "no alias"]):
        assert main(["promote", *wrong]) == 2
        shown = capsys.readouterr()
        assert not shown.out and shown.err.count("\n") == 1  # once, not for each model
    for wrong in (["--all", "latest", "--to", "text"], ["--all", "--to", "mlflow"]):
        assert main(["export", *wrong]) == 2
        shown = capsys.readouterr()
        assert not shown.out and ("names one version" in shown.err or "needs --uri" in shown.err)
    assert main(["promote", "--reason", "x"]) == 2 and "No version is named" in capsys.readouterr().err


def test_models_without_a_log_are_failures_of_monitoring(project, capsys):
    assert main(["monitor", "--name", "churn.*", "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("has no prediction log") == 2
    assert main(["retrain", "--name", "churn.*"]) == 2
    assert capsys.readouterr().out.count("has no labels") == 2


def test_a_cycle_of_each_model_names_it(project):
    commands: list[list[str]] = []

    def command(arguments: list[str]) -> int:
        commands.append(arguments)
        verdicts = {"churn.berlin:1": 11, "churn.koln:1": 12}
        return verdicts.get(arguments[1], 0) if arguments[0] == "monitor" else 0

    parser = argparse.ArgumentParser()
    loop.parser(parser)
    args = parser.parse_args(["--all", "--once", "--rollback", "--promote"])
    assert loop.run_cycles(project, args, command) == 0
    acted = [words for words in commands if words[0] != "monitor"]
    assert acted[0][:2] == ["retrain", "churn.berlin:1"] and "--promote" in acted[0]
    assert acted[1][:2] == ["rollback", "churn.koln"] and len(acted) == 2
    assert [words[1] for words in commands if words[0] == "monitor"] == [*names(project, "--all")]


def test_reports_of_selected_models_are_written(project, capsys):
    assert main(["report", "--name", "churn.*"]) == 0
    text = capsys.readouterr().out
    assert text.count("report.html") == 2 and text.splitlines()[-1] == "runs/index.html"
