"""The last lines of `mlnb run`: the commands that it suggests work as printed."""

import argparse
import importlib
import shlex
from pathlib import Path

import pytest

from mlnb.api.run_request import RunRequest, plan_request
from mlnb.cli.arguments import read_request
from mlnb.cli.main import COMMANDS, main
from mlnb.cli.retrain import read_options
from mlnb.cli.run_summary import (
    WIDEST_FINDING,
    document_lines,
    findings_lines,
    next_commands,
    repeated_command,
)
from mlnb.engine.project import Project

DATA = "kind,size,grown\n" + "".join(f"{'ab'[row % 2]},{row},{row % 3}\n" for row in range(30))


def parse(line: str):
    _, name, *rest = shlex.split(line)
    parser = argparse.ArgumentParser()
    importlib.import_module(f"mlnb.cli.{COMMANDS[name].module}").parser(parser)
    return parser.parse_args(rest)


def values_of(args):
    (plan,) = plan_request(Project.find(), read_request(args))
    return {(stage, name): value.value for stage, items in plan.planner.values.items() for name, value in items.items()}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "my data.csv").write_text(DATA)
    (tmp_path / "more.yaml").write_text("tune:\n  sampler: random\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "options",
    [
        "--data 'my data.csv' --target grown",
        "--data 'my data.csv' --target grown --profile smoke -p seed 7 -f more.yaml",
        "train --data 'my data.csv' --target 'a b' -p problem.owner \"what's next; $HOME\"",
        "--data 'my data.csv' --target grown -p trials 3 -p tune.trials 4",
        "--data 'my data.csv' --target grown --force tune --json --workers 1",
    ],
)
def test_the_suggested_command_changes_nothing_but_its_parameter(folder, options):
    args = parse(f"mlnb run {options}")
    before, after = values_of(args), values_of(parse(repeated_command(read_request(args), "tune.trials", "60")))
    assert after[("tune", "trials")] == 60
    changed = {key for key in before if before[key] != after[key]}
    assert changed <= {("tune", "trials")} and before.keys() == after.keys()


@pytest.mark.parametrize("options", ["", "--data 'my data.csv' --target grown --profile smoke"])
def test_every_suggested_command_is_one_that_can_be_parsed(folder, example, options):
    run = example.make_run(example.make_project(folder / "project"))
    lines = [line.strip() for line in next_commands(run, read_request(parse(f"mlnb run {options}")), servable=True)]
    commands = [line.split("   ")[0] for line in lines if line.startswith("mlnb")]
    assert [command.split()[1] for command in commands][:3] == ["serve", "show", "run"]
    assert parse(commands[2]).profile is None  # that of a short run would search as little again
    assert all(parse(command) for command in commands)
    assert all(len(line) <= 100 for line in lines if not line.startswith("mlnb run"))


def test_what_a_run_prints_works_as_printed(folder, example, monkeypatch, capsys):
    """A newcomer types the printed commands: show, new, run in the new project; a longer search is planned."""
    monkeypatch.setattr(Project, "is_builtin", True)
    run = example.make_run(example.make_project(folder / "project"))
    request = read_request(parse("mlnb run --data 'my data.csv' --target grown -p split.folds 3"))
    lines = [line.strip() for line in next_commands(run, request, servable=True)]
    printed = [shlex.split(line.split("   ")[0]) for line in lines if line.startswith("mlnb")]
    assert [words[1] for words in printed] == ["serve", "show", "run", "new"]
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert main(printed[3][1:]) == 0
    steps = [line.split("   ")[0].strip() for line in capsys.readouterr().out.partition("next:\n")[2].splitlines()]
    assert steps[:2] == ["cd my_project", "mlnb run"]
    monkeypatch.chdir(folder / "my_project")
    assert main(["plan"]) == 0 and "my data.csv" in Path("nbs/stages/10_ingest.ipynb").read_text()
    monkeypatch.chdir(folder)
    assert main(["plan", *printed[2][2:]]) == 0
    monkeypatch.chdir(folder / "project")
    assert main(printed[1][1:]) == 0 and run.id in capsys.readouterr().out


def test_a_new_project_repeats_the_parameters_of_the_run(folder, example, monkeypatch):
    monkeypatch.setattr(Project, "is_builtin", True)
    run = example.make_run(example.make_project(folder / "project"))
    options = "--data sales.csv --target units --profile smoke -p problem.task forecasting -p tune.trials 3"
    lines = next_commands(run, read_request(parse(f"mlnb run {options}")), servable=True)
    assert any(
        "mlnb new my_project --data sales.csv --target units -p problem.task forecasting -p tune.trials 3" in line
        for line in lines
    )


def test_a_new_project_has_no_parameters_of_another_pipeline(folder, example, monkeypatch):
    monkeypatch.setattr(Project, "is_builtin", True)
    run = example.make_run(example.make_project(folder / "project"))
    run.update(pipeline="monitor")
    lines = next_commands(run, read_request(parse("mlnb run monitor -p monitor.days 7")), servable=False)
    assert any(
        line.strip() == "mlnb new my_project" or line.strip().startswith("mlnb new my_project  ") for line in lines
    )


def test_without_labels_the_next_step_is_to_label(folder, example):
    stable = {"metrics": lambda metrics: {**metrics, "deciding": {**metrics["deciding"], "name": "stability"}}}
    run = example.make_run(example.make_project(folder / "project"), change=stable)
    request = read_request(parse("mlnb run --data 'my data.csv' -p problem.task anomaly"))
    lines = [line.strip() for line in next_commands(run, request, servable=True)]
    commands = [line for line in lines if line.startswith("mlnb")]
    score, labeled = commands[2:4]
    assert score == "mlnb score 'my data.csv' scored.csv"
    assert labeled == "mlnb run --data labeled.csv --target label -p problem.task anomaly"
    assert not any("trials" in line for line in lines) and all(parse(command) for command in commands)
    assert score not in [line.strip() for line in next_commands(run, request, servable=False)]


@pytest.mark.parametrize(("trials", "expected"), [(8, "60"), (100, "200")])
def test_the_suggested_search_is_longer_than_the_one_before(folder, example, trials, expected):
    run = example.make_run(example.make_project(folder / "project"))
    run.update_stage("tune", metrics={**run.stages["tune"].metrics, "trials": float(trials)})
    request = read_request(parse(f"mlnb run -p tune.seconds 5 -p tune.trials {trials} -p seed 3"))
    (line,) = (line for line in next_commands(run, request, servable=True) if "mlnb run" in line)
    again = parse(line.split("   ")[0].strip())
    assert again.parameter == [["seed", "3"], ["tune.trials", expected]]


def finding(severity: str, rows: int, message: str) -> dict[str, object]:
    return {"check": "c", "severity": severity, "column": "a\nb", "rows": rows, "message": message, "action": "kept"}


def test_findings_are_counted_and_the_two_most_severe_are_shown(folder, example):
    findings = [finding("warning", 5, "few"), finding("info", 99, "fine"), finding("warning", 50, "many " * 60)]
    findings.append(finding("error", 1, "wrong"))
    change = {"findings": lambda record: {**record, "findings": findings}}
    run = example.make_run(example.make_project(folder / "project"), change=change)
    first, second, third = findings_lines(run)
    assert first == "  data      1 error, 2 warnings" and second.strip() == "a b: wrong; kept"
    assert third.strip().startswith("a b: many many") and len(third.strip()) == WIDEST_FINDING
    run = example.make_run(example.make_project(folder / "other"), change={"findings": lambda r: {**r, "findings": []}})
    assert findings_lines(run) == []


def test_the_suggestion_after_a_retraining_is_a_retraining(tmp_path):
    args = parse("mlnb retrain churn-classifier:3 --policy sliding -p collect.window 500")
    pairs = [tuple(pair) for pair in args.parameter]
    words = read_options(args).words("churn-classifier:3")
    request = RunRequest(pipeline="retrain", files=[tmp_path / "values.yaml"], pairs=pairs, program=words)
    again = parse(repeated_command(request, "tune.trials", "60"))
    assert (again.version, again.policy) == (args.version, args.policy)
    assert again.parameter == [["collect.window", "500"], ["tune.trials", "60"]]


def test_documents_are_named_with_their_open_questions(folder, example):
    run = example.make_run(example.make_project(folder / "project"))
    assert document_lines(run, run.folder) == []
    (run.folder / "documents").mkdir()
    assert document_lines(run, run.folder) == [f"  documents {run.folder / 'documents'}"]
    record = run.stages["document"]
    run.update_stage("document", metrics={**record.metrics, "open_questions": 2.0})
    assert document_lines(run, run.folder)[0].endswith("(2 open questions: answer in answers.yaml)")
