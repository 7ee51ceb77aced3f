"""What W&B is given: complete, synchronisable, and nothing of it sent."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlnb.engine.project import Project
from mlnb.engine.run_records import RunState
from mlnb.engine.runs import open_run
from mlnb.methods.contracts.findings import FindingList
from mlnb.tracking.notebook_plots import read_plots

spec = importlib.util.spec_from_file_location("ledger", Path(__file__).with_name("ledger.py"))
ledger = importlib.util.module_from_spec(spec)

RUN = "20260314-091500-train-a1b2"


@pytest.fixture(scope="session", autouse=True)
def _ledger():
    spec.loader.exec_module(ledger)


@pytest.fixture(scope="session")
def tracked(tmp_path_factory, example, replay):
    """The W&B folder of a finished run, and what the process said."""
    project = example.make_project(tmp_path_factory.mktemp("finished") / "titanic")
    example.make_run(project)
    done = replay(project.root)
    assert done.returncode == 0, done.stderr
    return project.root / "wandb", done


@pytest.fixture(scope="session")
def run(tracked):
    """The run that was tracked."""
    return open_run(Project.find(tracked[0].parent), RUN)


def of(records, kind):
    return [getattr(record, kind) for record in records if record.WhichOneof("record_type") == kind]


def config(records):
    (run,) = of(records, "run")
    return {item.key: json.loads(item.value_json) for item in run.config.update}


def summary(records):
    found = {}
    for update in of(records, "summary"):
        for item in update.update:
            found["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    return found


def test_nothing_is_sent_and_nothing_is_left_running(tracked):
    _, done = tracked
    assert "traffic {}" in done.stdout
    assert "left []" in done.stdout


def test_only_the_project_folder_is_written(tracked):
    folder, _ = tracked
    home = {path.name for path in folder.parent.iterdir()}
    assert home == {"wandb", "runs", ".mlnb"}


def test_one_run_with_parameters_and_where_they_came_from(tracked):
    folder, _ = tracked
    records = ledger.read_ledger(ledger.find_run(folder, RUN))
    (run,) = of(records, "run")
    assert (run.run_id, run.project, run.run_group, run.job_type) == (RUN, "titanic", "train", "pipeline")
    said = config(records)
    assert said["tune"]["trials"] == 4
    assert said["origins"]["tune.trials"] == "profile smoke"
    assert "problem.run" not in said["origins"]
    assert said["git"]["dirty"] is True


def test_metrics_plots_findings_and_the_verdict(tracked, run):
    folder, _ = tracked
    path = ledger.find_run(folder, RUN)
    said = summary(ledger.read_ledger(path))
    value = run.load("metrics")["deciding"]["value"]
    assert said["evaluate/test_roc_auc"] == value
    assert said["validate/warnings"] == 2
    plots = read_plots(run.folder / "notebooks/70_evaluate.ipynb")
    titles = [re.sub(r"[^\w.\- ()]+", "-", plot.title) for plot in plots]  # W&B refuses other characters
    assert all(said[f"evaluate/{title}/_type"] == "image-file" for title in titles)
    assert any(plot.title.endswith(" (2)") for plot in plots)
    assert said["explore/Distributions/_type"] == "image-file"
    assert said["findings/nrows"] == len(run.load("findings", FindingList).findings)
    assert said["trials/nrows"] == 4
    assert (said["winner"], said["gate"], said["value"]) == (run.load("best")["family"], True, value)
    picture = path.parent / "files" / said[f"evaluate/{titles[0]}/path"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_data_is_used_and_the_model_is_made(tracked, run):
    folder, _ = tracked
    made = {artifact.type: artifact for artifact in of(ledger.read_ledger(ledger.find_run(folder, RUN)), "artifact")}
    assert made["dataset"].use_after_commit and not made["model"].use_after_commit
    assert json.loads(made["dataset"].metadata)["digest"]
    assert json.loads(made["model"].metadata)["family"] == run.load("best")["family"]
    for artifact in (made["dataset"], made["model"]):
        assert all(Path(entry.local_path).is_file() for entry in artifact.manifest.contents)


def test_one_child_a_trial(tracked, run):
    folder, _ = tracked
    files = sorted(folder.glob("*-trial-*/run-*.wandb"))
    assert len(files) == 4
    trials = run.load("trials")
    (number,) = trials.loc[trials["family"] == "lightgbm", "number"][:1]
    records = ledger.read_ledger(ledger.find_run(folder, f"{RUN}-trial-{number}"))
    (child,) = of(records, "run")
    assert (child.run_group, child.job_type) == ("train", "trial")
    assert config(records)["parent"] == RUN
    params = json.loads(trials.set_index("number").loc[number, "params"])
    assert config(records)["num_leaves"] == params["num_leaves"]
    assert summary(records)["roc_auc"] == summary(records)["score"]


def test_wandb_sync_finds_every_run(tracked):
    folder, _ = tracked
    wandb = Path(sys.executable).with_name("wandb")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder.parent), "WANDB_ERROR_REPORTING": "false"}
    runs = [str(path) for path in folder.glob("offline-run-*")]
    done = subprocess.run([wandb, "sync", "--dry-run", *runs], env=environment, capture_output=True, text=True)
    assert done.returncode == 0
    assert "Would sync 5 run(s)" in done.stdout + done.stderr


@pytest.mark.parametrize("state, code", [("failed", 3), ("interrupted", 130)])
def test_a_run_that_did_not_finish_is_not_a_success(tmp_path, example, replay, state, code):
    project = example.make_project(tmp_path / "titanic")
    run = example.make_run(project, failed="tune")
    run.update(state=RunState(state))
    run.save()
    done = replay(project.root)
    assert done.returncode == 0, done.stderr
    records = ledger.read_ledger(ledger.find_run(project.root / "wandb", RUN))
    assert [exited.exit_code for exited in of(records, "exit")] == [code]
    assert summary(records)["failure/stage"] == "tune"


def test_a_killed_run_keeps_what_was_told_before(tmp_path, example, replay):
    project = example.make_project(tmp_path / "titanic")
    example.make_run(project)
    assert replay(project.root, how="kill").returncode in (-9, 137)
    records = ledger.read_ledger(ledger.find_run(project.root / "wandb", RUN))
    assert summary(records)["evaluate/test_roc_auc"] > 0.5
    assert not of(records, "exit")


def test_online_without_a_key_stays_offline_and_says_so(tmp_path, example, replay):
    project = example.make_project(tmp_path / "titanic")
    example.make_run(project, upto="split")
    done = replay(project.root, WANDB_MODE="online")
    assert "no API key" in done.stderr
    assert "traffic {}" in done.stdout
    assert list((project.root / "wandb").glob("offline-run-*"))
