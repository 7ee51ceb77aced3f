"""`mlnb runs`, `mlnb show` and `mlnb report`: output and start-up time."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from mlnb.cli.main import main
from mlnb.engine.run_records import RunState
from mlnb.engine.runs import open_run

A, B, C = "20260314-091500-train-a1b2", "20260314-101500-train-c3d4", "20260314-111500-train-e5f6"


@pytest.fixture(scope="module")
def titanic(tmp_path_factory, example):
    """A project with three runs: a good one, a better one, and one that failed in tuning."""
    project = example.make_project(tmp_path_factory.mktemp("titanic"))
    (project.root / "settings.ini").write_text("[mlnb]\n[pipeline train]\nstages = problem\n")
    example.make_run(project, A)
    example.make_run(project, B, minute=20, score=0.91)
    example.make_run(project, C, minute=25, failed="tune")
    return project.root


@pytest.fixture
def project(titanic, tmp_path, example, monkeypatch):
    """A copy of the project."""
    project = example.make_project(tmp_path / "titanic")
    shutil.copytree(titanic, project.root, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(project.root)
    return project


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """A terminal in which all tables fit."""
    monkeypatch.setenv("COLUMNS", "200")


def shown(capsys, *arguments, code=0):
    assert main(list(arguments)) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def deciding(project, run):
    return open_run(project, run).load("metrics")["deciding"]


def interval(project, run):
    return "[{low:.4f}, {high:.4f}]".format(**deciding(project, run))


def order(text):
    return [line.split()[0] for line in text.splitlines() if line.startswith("2026")]


def test_runs_are_listed_newest_first(project, capsys):
    text = shown(capsys, "runs")
    assert order(text) == [C, B, A]
    assert "failed" in text and "ensemble" in text and interval(project, A) in text


def test_runs_show_their_data_and_target(project, capsys, monkeypatch):
    text = shown(capsys, "runs")
    (line,) = [line for line in text.splitlines() if line.startswith(A)]
    assert text.splitlines()[0].split()[3:5] == ["data", "target"] and " titanic.csv  survived " in line
    monkeypatch.setenv("COLUMNS", "80")
    for command in (["runs"], ["runs", "--sort", "roc_auc"], ["show", A], ["show", A, "evaluate"],
                    ["show", A, "--artifact", "predictions"], ["runs", "compare", "a1b2", "c3d4"]):  # fmt: skip
        text = shown(capsys, *command)
        tables = [block for block in text.split("\n\n") if "  " in block and "/" not in block]
        assert tables and max(len(line) for block in tables for line in block.splitlines()) <= 80, text
    assert order(shown(capsys, "runs")) == [C, B, A] and " titanic" in shown(capsys, "runs")


def test_without_runs_the_first_command_is_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "mlnb run" in shown(capsys, "runs")
    assert "No runs" in shown(capsys, "show", code=2)


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--sort", "roc_auc"], [B, A, C]),
        (["--sort", "roc_auc", "--reverse"], [A, B, C]),
        (["--sort", "log_loss", "--last", "2"], [B, C]),
        (["--filter", "metrics.roc_auc>0.9"], [B]),
        (["--filter", "roc_auc>=0.8", "--filter", "roc_auc < 0.9"], [A]),
        (["--filter", "state=failed"], [C]),
        (["--filter", "tune.trials=4", "--filter", "gate=true"], [B, A]),
        (["--filter", "sampler!=random"], []),
        (["--filter", "winner=ensemble", "--last", "2"], [B]),
        (["--filter", "data=titanic.csv", "--sort", "started"], [C, B, A]),
        (["--last", "1"], [C]),
    ],
)
def test_runs_are_sorted_and_filtered(project, capsys, arguments, expected):
    listed = order(shown(capsys, "runs", *arguments))
    assert sorted(listed) == sorted(expected) if "started" in arguments else listed == expected


def test_runs_as_json(project, capsys):
    (run,) = json.loads(shown(capsys, "runs", "--filter", "roc_auc>0.9", "--json"))
    assert (run["id"], run["winner"], run["value"], run["gate"]) == (B, "ensemble", 0.91, True)
    assert run["parameters"]["tune.sampler"] == "random"
    assert json.loads(shown(capsys, "runs", "--filter", "roc_auc>2", "--json")) == []


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--filter", "rocauc>0.9"], "Did you mean 'roc_auc'"),
        (["--filter", "roc_auc"], "expected a name, one of"),
        (["--sort", "acuracy"], "Did you mean 'accuracy'"),
        (["compare", "latest"], "expected `mlnb runs` or `mlnb runs compare A B`"),
        (["compare", "latest", "20260314"], "3 runs match"),
    ],
)
def test_invalid_options_of_runs_are_refused(project, capsys, arguments, words):
    assert words in shown(capsys, "runs", *arguments, code=2)


def test_compare_counts_test_rows_that_were_opened_before(project, example, capsys):
    assert "opened before" not in shown(capsys, "runs", "compare", A, B)
    reuse = {"rows": 60, "opened": 11, "trained": 49, "unknown": 0, "lost": 0}
    reused = "20260314-121500-train-a7b8"
    example.make_run(project, reused, minute=30, change={"metrics": lambda metrics: {**metrics, "reuse": reuse}})
    lines = shown(capsys, "runs", "compare", A, reused).splitlines()
    assert "A: None of the 60 test rows was in a test set opened before." in lines
    assert any(line.startswith("B: 11 of 60 test rows were in a test set opened before, and 49") for line in lines)


def test_compare_shows_differences(project, example, capsys):
    text = shown(capsys, "runs", "compare", "a1b2", "c3d4")
    assert "parameters: the same" in text
    value = deciding(project, A)["value"]
    (line,) = [line.split() for line in text.splitlines() if "evaluate.test_roc_auc" in line]
    assert line[1:] == [f"{value:.4f}", "0.9100", f"{0.91 - value:.5f}"]
    assert "reused from 20260314-080000-train-0000" in text
    stages = json.loads(shown(capsys, "runs", "compare", A, B, "--json"))["stages"]
    assert stages["features"]["outputs"] == "the same" and stages["evaluate"]["outputs"] == "differ"


def test_show_a_run(project, capsys):
    text = shown(capsys, "show", A)
    value = f"{deciding(project, A)['value']:.4f}"
    bento = open_run(project, A).load("certificate")["bento"]
    for words in ("tune      finished", "evaluate.test_roc_auc", f"test      roc_auc {value} {interval(project, A)}",
                  "gate      pass", bento, "`mlnb report " + A + "` writes it"):  # fmt: skip
        assert words in text, words


def test_show_a_failed_run_gives_the_cause(project, capsys):
    text = shown(capsys, "show")
    assert "tune failed: ValueError: found 'n/a'" in text and "notebooks/50_tune.ipynb" in text


@pytest.mark.parametrize("arguments", [["latest", "tune"], ["tune"]])
def test_show_a_stage(project, capsys, arguments):
    text = shown(capsys, "show", *arguments)
    assert (
        "tune  failed" in text
        and "profile smoke" in text
        and re.search(r"CellFailed in cell \d+ \(Encode the folds\)", text)
    )


def test_show_artifacts(project, capsys):
    assert json.loads(shown(capsys, "show", A, "--artifact", "gate"))["passed"] is True
    assert shown(capsys, "show", A, "--artifact", "card").startswith("# Model card")
    assert "… 180 rows" in shown(capsys, "show", A, "--artifact", "training")
    assert "model.json" in shown(capsys, "show", A, "--artifact", "model")
    assert "ndarray (180, 2) int8" in shown(capsys, "show", A, "--artifact", "folds")
    assert "Did you mean 'gate'" in shown(capsys, "show", A, "--artifact", "gates", code=2)


def test_show_as_json(project, capsys):
    assert json.loads(shown(capsys, "show", "--json"))["state"] == "failed"
    assert json.loads(shown(capsys, "show", A, "tune", "--json"))["metrics"]["trials"] == 4


@pytest.mark.parametrize("arguments", [["nosuchrun"], ["latest", "tunes"], ["nosuchrun", "tune"]])
def test_show_refuses_unknown_names(project, capsys, arguments):
    assert "mlnb show" in shown(capsys, "show", *arguments, code=2)


def test_a_run_whose_process_is_gone_was_killed(project, example, capsys):
    run = example.make_run(project, "20260314-121500-train-dead", minute=30, upto="split")
    run.update(state=RunState.RUNNING, pid=2**22 + 1)
    run.save()
    assert order(shown(capsys, "runs", "--filter", "state=killed")) == [run.id]
    assert "killed" in shown(capsys, "show", run.id)


def test_report_prints_its_path(project, capsys, monkeypatch):
    assert shown(capsys, "report", A) == f"runs/{A}/report.html\n"
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: not opened.append(url))
    shown(capsys, "report", "--open")
    assert opened == [(project.runs / C / "report.html").as_uri()]


@pytest.mark.parametrize("verb", [["runs"], ["show", A], ["show", A, "tune"], ["runs", "compare", A, B]])
def test_reading_imports_nothing_heavy(project, verb):
    code = "import sys; from mlnb.cli.main import main; main(sys.argv[1:]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *verb], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    heavy = {"pandas", "numpy", "pyarrow", "papermill", "nbformat", "wandb", "bentoml", "jinja2", "matplotlib", "rich"}
    assert not loaded & heavy
