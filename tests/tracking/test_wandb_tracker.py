"""The W&B run is complete, can be synchronized, and nothing is sent."""

import errno
import importlib.util
import io
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_wandb import FakeWandb

from mlnb.engine.project import Project
from mlnb.engine.run_records import RunState
from mlnb.engine.runs import open_run
from mlnb.errors import StoreFull
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
    """The W&B folder of a finished run, and the output of the process."""
    project = example.make_project(tmp_path_factory.mktemp("finished") / "Große Titanic")
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
    values = {}
    for update in of(records, "summary"):
        for item in update.update:
            values["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    return values


def test_nothing_is_sent_and_no_process_is_left(tracked):
    _, done = tracked
    assert "traffic {}" in done.stdout
    assert "left []" in done.stdout


def test_libraries_that_no_value_needs_are_not_imported(tracked):
    assert "imported []" in tracked[1].stdout


def test_only_the_project_folder_is_written(tracked):
    folder, _ = tracked
    home = {path.name for path in folder.parent.iterdir()}
    assert home == {"wandb", "runs", ".mlnb"}


def test_one_run_with_parameters_and_where_they_came_from(tracked):
    folder, _ = tracked
    records = ledger.read_ledger(ledger.find_run(folder, RUN))
    (run,) = of(records, "run")
    assert (run.run_id, run.project, run.run_group, run.job_type) == (RUN, "Große Titanic", "train", "pipeline")
    recorded = config(records)
    assert recorded["tune"]["trials"] == 4
    assert recorded["origins"]["tune.trials"] == "profile smoke"
    assert "problem.run" not in recorded["origins"]
    assert recorded["git"]["dirty"] is True


def test_metrics_plots_findings_and_the_verdict(tracked, run):
    folder, _ = tracked
    path = ledger.find_run(folder, RUN)
    recorded = summary(ledger.read_ledger(path))
    value = run.load("metrics")["deciding"]["value"]
    assert recorded["evaluate/test_roc_auc"] == value
    assert recorded["validate/warnings"] == 2
    plots = read_plots(run.folder / "notebooks/70_evaluate.ipynb")
    titles = [re.sub(r"[^\w.\- ()]+", "-", plot.title) for plot in plots]  # W&B refuses other characters
    assert all(recorded[f"evaluate/{title}/_type"] == "image-file" for title in titles)
    assert any(plot.title.endswith(" (2)") for plot in plots)
    assert recorded["explore/Distributions/_type"] == "image-file"
    assert recorded["findings/nrows"] == len(run.load("findings", FindingList).findings)
    assert recorded["trials/nrows"] == 4
    assert (recorded["winner"], recorded["gate"], recorded["value"]) == (run.load("best")["family"], True, value)
    picture = path.parent / "files" / recorded[f"evaluate/{titles[0]}/path"]
    assert picture.read_bytes().startswith(b"\x89PNG")


AT_ONCE = """
import struct, sys, threading, zlib
from pathlib import Path
from mlnb.tracking.notebook_plots import Plot
from mlnb.tracking.wandb_tracker import to_media
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0))
png = b"\\x89PNG\\r\\n\\x1a\\n" + header + chunk(b"IDAT", zlib.compress(bytes(14))) + chunk(b"IEND", b"")
sys.setswitchinterval(1e-6)
barrier, failures = threading.Barrier(8), []
def convert(number):
    barrier.wait()
    try:
        if to_media(Plot("t", png), Path(sys.argv[1], f"{number}.png")) is None:
            failures.append("None")
    except Exception as error:
        failures.append(repr(error))
threads = [threading.Thread(target=convert, args=(number,)) for number in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
drawing = to_media(Plot("t", b"<svg>1</svg>"), Path(sys.argv[1], "drawing.png"))
print(failures, to_media(Plot("t", png[:20]), Path(sys.argv[1], "damaged.png")), type(drawing).__name__, drawing.html)
"""


def test_trackers_of_a_grid_convert_their_first_pictures_at_the_same_time(tmp_path):
    done = subprocess.run([sys.executable, "-c", AT_ONCE, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[] None Html <svg>1</svg>\n", done.stdout + done.stderr


def test_data_is_an_input_and_the_model_an_output(tracked, run):
    folder, _ = tracked
    artifacts = {
        artifact.type: artifact for artifact in of(ledger.read_ledger(ledger.find_run(folder, RUN)), "artifact")
    }
    assert artifacts["dataset"].use_after_commit and not artifacts["model"].use_after_commit
    assert json.loads(artifacts["dataset"].metadata)["digest"]
    assert json.loads(artifacts["model"].metadata)["family"] == run.load("best")["family"]
    for artifact in (artifacts["dataset"], artifacts["model"]):
        assert all(Path(entry.local_path).is_file() for entry in artifact.manifest.contents)


def test_each_trial_is_a_child_run(tracked, run):
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


def test_a_killed_run_keeps_earlier_events(tmp_path, example, replay):
    project = example.make_project(tmp_path / "titanic")
    example.make_run(project)
    assert replay(project.root, how="kill").returncode in (-9, 137)
    records = ledger.read_ledger(ledger.find_run(project.root / "wandb", RUN))
    assert summary(records)["evaluate/test_roc_auc"] > 0.5
    assert not of(records, "exit")


def test_online_mode_without_a_key_stays_offline_with_a_warning(tmp_path, example, replay):
    project = example.make_project(tmp_path / "titanic")
    example.make_run(project, upto="split")
    done = replay(project.root, WANDB_MODE="online")
    assert "no API key" in done.stderr
    assert "traffic {}" in done.stdout
    assert list((project.root / "wandb").glob("offline-run-*"))


@pytest.mark.parametrize("how", ["online", "file"])
def test_online_runs_go_to_the_server_of_the_settings_and_nowhere_else(tmp_path, example, replay, how):
    project = example.make_project(tmp_path / "titanic")
    example.make_run(project)
    done = replay(project.root, how=how, WANDB_MODE="online")
    server = received(done)
    assert server["other_hosts"] == [] and server["keys"] == ["k" * 40]
    assert server["runs"][RUN]["exit"] == 0 and server["runs"][RUN]["history"] > 0
    assert [run["exit"] for name, run in server["runs"].items() if "-trial-" in name] == [0] * 4
    assert {"dataset/titanic-data", "model/titanic-model"} <= set(server["artifacts"])
    assert "Ip:OutNoRoutes" not in done.stdout, "another host was looked for"


@pytest.mark.parametrize("state, code", [("failed", 3), ("interrupted", 130)])
def test_the_server_learns_how_an_online_run_ended(tmp_path, example, replay, state, code):
    project = example.make_project(tmp_path / "titanic")
    run = example.make_run(project, failed="tune")
    run.update(state=RunState(state))
    run.save()
    assert received(replay(project.root, how="online", WANDB_MODE="online"))["runs"][RUN]["exit"] == code


def test_wandb_sync_uploads_to_the_server_of_the_settings(tracked):
    folder, _ = tracked
    server = FakeWandb()
    proxies = {"HTTPS_PROXY": server.url, "HTTP_PROXY": server.url}
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder.parent), "WANDB_ERROR_REPORTING": "false", **proxies}
    environment |= {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": "k" * 40}
    runs = [str(path) for path in folder.glob("offline-run-*")]
    wandb = Path(sys.executable).with_name("wandb")
    try:
        done = subprocess.run([wandb, "sync", *runs], env=environment, capture_output=True, text=True, timeout=120)
    finally:
        server.close()
    assert done.returncode == 0, done.stderr
    assert {name: run["exit"] for name, run in server.runs.items()} == dict.fromkeys(server.runs, 0)
    assert len(server.runs) == 5 and server.other_hosts == []


def received(done):
    """Return what the server received."""
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("server ")]
    return json.loads(line.removeprefix("server "))


class FullDisk(io.StringIO):
    """A file on a full disk."""

    def write(self, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_wandb_is_not_started_on_a_full_disk(tmp_path, monkeypatch):
    tracker = importlib.import_module("mlnb.tracking.wandb_tracker")
    monkeypatch.setattr(tracker.shutil, "disk_usage", lambda folder: SimpleNamespace(free=3 << 20))
    with pytest.raises(StoreFull, match=r"W&B needs 8 MB in .*wandb, 3\.0 MB are free"):
        tracker.WandbTracker(tmp_path / "wandb", "p", "offline", print)


def test_the_log_of_wandb_prints_no_traceback_on_a_full_disk(tmp_path, monkeypatch, capfd):
    tracker = importlib.import_module("mlnb.tracking.wandb_tracker")
    handler = logging.StreamHandler(FullDisk())
    monkeypatch.setattr(logging.getLogger("wandb"), "handlers", [handler])
    monkeypatch.setattr(tracker.wandb, "init", lambda **values: None)
    one = tracker.WandbTracker.__new__(tracker.WandbTracker)
    one.folder, one.settings, one.mode, one.project, one.group = (
        tmp_path,
        tracker.wandb.Settings(),
        "offline",
        "p",
        None,
    )
    one._init("r")
    handler.emit(logging.makeLogRecord({"msg": "a line"}))
    assert capfd.readouterr().err == ""
