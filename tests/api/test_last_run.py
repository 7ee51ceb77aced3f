"""`mlnb run` without --data: the data and target of the folder's last run, or those that the user has stated."""

import argparse

import pytest

from mlnb.api.last_run import new_project_command, with_last_data
from mlnb.api.run_request import plan_request
from mlnb.cli import run
from mlnb.cli.arguments import read_request
from mlnb.cli.new import create
from mlnb.codec import replace
from mlnb.engine.project import Project
from mlnb.engine.run_records import ParameterValue, RunState

WORDS = ("mlnb", "run", "--data", "titanic.csv", "--target", "survived")


def parse(*options):
    parser = argparse.ArgumentParser()
    run.parser(parser)
    return read_request(parser.parse_args(options))


def applied(*options, capsys):
    """Return data, target, added words and what was printed, for the options of `mlnb run`."""
    request, words = with_last_data(Project.find(), parse(*options))
    return request.data, request.target, words, capsys.readouterr().err


@pytest.fixture
def folder(example, tmp_path, monkeypatch):
    """A folder whose last run had other data than the example; it has the file."""
    project = example.make_project(tmp_path / "shop")
    recorded = example.make_run(project)
    (project.root / "titanic.csv").touch()
    monkeypatch.chdir(project.root)
    record(recorded)
    return recorded


def record(recorded, command=WORDS, **values):
    """Change a run's command, and parameters as `stage__name=value`; None: the default."""
    stages = dict(recorded.record.stages)
    for full_name, value in {"ingest__data": "titanic.csv", "problem__target": "survived",
                             "ingest__known_column": "survived", **values}.items():  # fmt: skip
        stage, name = full_name.split("__")
        changed = ParameterValue(value=value, origin="default" if value is None else "-p")
        stages[stage] = replace(stages[stage], parameters={**stages[stage].parameters, name: changed})
    recorded.update(command=command, stages=stages)
    recorded.save()


def test_the_last_run_supplies_data_and_target(folder, capsys):
    data, target, words, printed = applied("-p", "seed", "1", capsys=capsys)
    assert (data, target) == ("titanic.csv", "survived") and words == WORDS[2:]
    assert printed == f"As in the last run, {folder.id}: --data titanic.csv --target survived\n"
    request, _ = with_last_data(Project.find(), parse())
    stated = parse(*WORDS[2:])
    first, second = ([plan.planner.values for plan in plan_request(Project.find(), one)] for one in (request, stated))
    assert first == second


@pytest.mark.parametrize(
    "options",
    [["--data", "sklearn:wine"], ["-p", "ingest.data", "x.csv"], ["-g", "data=a.csv,b.csv"], ["-f", "values.yaml"]],
)
def test_stated_data_is_used_instead(folder, options, capsys):
    data, target, words, printed = applied(*options, capsys=capsys)
    assert (data, target, words, printed) == (parse(*options).data, None, (), "")


def test_another_target_is_used_with_the_same_data(folder, capsys):
    assert applied("--target", "sex", capsys=capsys)[:3] == ("titanic.csv", "sex", ("--data", "titanic.csv"))
    assert applied("-p", "problem.target", "sex", capsys=capsys)[:2] == ("titanic.csv", None)
    record(folder, ingest__known_column=None)
    data, target, words, _ = applied(capsys=capsys)
    assert (data, target, words) == ("titanic.csv", "survived", WORDS[2:])
    record(folder, ingest__known_column="other")
    assert applied(capsys=capsys)[1:3] == (None, ("--data", "titanic.csv", "-p", "problem.target", "survived"))


def test_runs_of_other_commands_and_with_the_example_supply_nothing(folder, example, capsys):
    again = example.make_run(folder.project, "20260315-091500-retrain-a1b2", minute=40)
    record(again, command=("mlnb", "retrain"), ingest__data="collected.csv")
    assert applied(capsys=capsys)[0] == "titanic.csv"
    record(again, ingest__data=None)
    assert applied(capsys=capsys) == (None, None, (), "")
    (again.folder / "run.json").write_text("{")
    assert applied(capsys=capsys)[0] == "titanic.csv"


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.INTERRUPTED, RunState.RUNNING])
def test_a_run_that_has_not_read_its_data_and_target_supplies_nothing(folder, example, state, capsys):
    latest = example.make_run(folder.project, "20260315-091500-train-a1b2", upto="ingest", minute=40)
    latest.update(state=state)
    record(latest, problem__target="mistyped", ingest__known_column="mistyped")
    data, target, words, printed = applied(capsys=capsys)
    assert (data, target, words) == ("titanic.csv", "survived", WORDS[2:])
    assert printed.startswith(f"As in the last run, {folder.id} ({latest.id} has not read its data and target): --data")
    later = example.make_run(folder.project, "20260316-091500-train-a1b2", upto="features", minute=50)
    later.update(state=state)
    record(later, problem__target="sex", ingest__known_column="sex")
    assert applied(capsys=capsys)[1] == "sex"


def test_a_first_run_that_has_not_read_its_data_is_named(tmp_path, example, monkeypatch, capsys):
    project = example.make_project(tmp_path / "shop")
    monkeypatch.chdir(project.root)
    failed = example.make_run(project, upto="ingest")
    failed.update(state=RunState.FAILED)
    record(failed)
    *request, printed = applied(capsys=capsys)
    assert request == [None, None, ()]
    assert printed == f"The last run, {failed.id}, has not read its data and target: it supplies neither.\n"
    failed.update(state=RunState.FINISHED)
    failed.save()
    assert applied(capsys=capsys)[1] == "survived"  # finished without these stages, as with --upto ingest


def test_an_interrupted_run_without_data_is_not_named(tmp_path, example, monkeypatch, capsys):
    project = example.make_project(tmp_path / "shop")
    killed = example.make_run(project, upto="ingest", reused=())
    record(killed, ("mlnb", "run"), ingest__data=None, problem__target=None, ingest__known_column=None)
    killed.update(state=RunState.KILLED)
    killed.save()
    monkeypatch.chdir(project.root)
    assert applied(capsys=capsys) == (None, None, (), "")


def test_a_file_is_found_from_any_folder_of_a_project(tmp_path, example, monkeypatch, capsys):
    create(tmp_path / "shop")
    (tmp_path / "shop" / "titanic.csv").touch()
    monkeypatch.chdir(tmp_path / "shop" / "nbs")
    record(example.make_run(Project.find()))
    assert applied(capsys=capsys)[0] == "../titanic.csv"


def test_notebooks_that_name_their_data_count(tmp_path, example, monkeypatch, capsys):
    """In a project whose parameters cells still name the example, the last run counts."""
    (tmp_path / "own.csv").write_text("a,b\n1,2\n")
    for name, data, expected in (("plain", None, "titanic.csv"), ("stated", str(tmp_path / "own.csv"), None)):
        create(tmp_path / name, data)
        monkeypatch.chdir(tmp_path / name)
        project = Project.find()
        record(example.make_run(project))
        assert applied(capsys=capsys)[0] == expected


def test_the_command_for_a_new_project_has_the_data_and_target_of_the_last_run(folder):
    created = "mlnb new my_project --data titanic.csv --target survived && cd my_project && mlnb lab"
    assert new_project_command(Project.find()) == created
    record(folder, ("mlnb", "monitor"))
    assert new_project_command(Project.find()) == "mlnb new my_project && cd my_project && mlnb lab"
