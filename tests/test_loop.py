"""The monitoring cycle on one machine: a broken column, concept drift, promotion of a challenger, and rollback."""

import http.client
import json
import os
import sqlite3
import subprocess
import sys
import threading

import pytest
import toys
from in_process import mlnb_in_process
from waiting import wait_for

from mlnb.cli.simulate import FIRST
from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.serving.packaging.bento_server import free_port

SMALL = ["--profile", "smoke", "-p", "tune.families", '["linear"]', "-p", "tune.trials", "2", "-p", "explore.most", "2"]
TURNS = ["--promote", "--days", "4", "--label-delay", "2", "--policy", "sliding", "--profile", "smoke"]
TURNS += ["-p", "collect.window", "1500", "-p", "most_changed", "0.9", "-p", "challenge.slower", "20"]
TURNS += [*SMALL[2:], "-p", "evaluate.resamples", "50", "-p", "evaluate.repeats", "1", "-p", "plots", "false"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with synthetic data and a run of the pipeline on it."""
    root = tmp_path_factory.mktemp("loop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLNB_KERNELS_IDLE", "60")  # the monitoring cycles share a warm parent
        mlnb_in_process(root, "simulate", "--history", "past.csv", "--days", "12", "--customers", "120", "--delay", "1")
        toys.mlnb(root, "run", "--data", "past.csv", "--target", "churn", *SMALL, timeout=300)
        yield root


@pytest.fixture
def port(root):
    """The port of a service whose champion is the first model."""
    mlnb_in_process(root, "promote", "1", "--reason", "the first")
    port = free_port()
    command = [sys.executable, "-m", "mlnb.cli.main", "serve", "@champion", "--follow", "--port", str(port)]
    command += ["--shadow", "@challenger"]  # there is none yet
    environment = {**os.environ, "MLNB_LOG_EVENT_TIME": "1"}
    with (root / "serve.txt").open("wb") as log:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log)
    try:
        log = root / "serve.txt"
        wait_for(lambda: status(port, "GET", "/readyz")[0] == 200, 120, "a service that is ready", detail=log.read_text)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def status(port: int, method: str, path: str, body: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {
            "Content-Type": "application/json",
            "X-Event-Time": str(FIRST),
        }  # otherwise later than the simulated time
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get("X-Model-Version", "")
    except OSError:
        return 0, ""
    finally:
        connection.close()


def declared(run):
    """Return what does not depend on the data: of each stage its notebook, artifacts, parameters and metrics."""
    return {
        name: (
            stage.notebook,
            stage.producers,
            {artifact: (output.format, output.description) for artifact, output in stage.outputs.items()},
            sorted(stage.parameters),
            sorted(stage.metrics),
        )
        for name, stage in run.stages.items()
    }


def test_example_runs_of_other_tests_equal_runs_of_the_command(root, tmp_path, example):
    """`example_run.py` executes the stage notebooks without kernels."""
    (real,) = runs.list_runs(Project.find(root))
    assert declared(example.make_run(example.make_project(tmp_path / "titanic"), reused=())) == declared(real)


def test_a_report_written_again_has_the_same_bytes(root):
    (run,) = runs.list_runs(Project.find(root))
    pages = [run.folder / "report.html", *(run.folder / "documents").iterdir()]
    before = {page: page.read_bytes() for page in pages}
    mlnb_in_process(root, "report")
    assert len(pages) > 1 and {page: page.read_bytes() for page in pages} == before
    mlnb_in_process(root, "verify")


@pytest.mark.timeout(900)
def test_monitoring_cycle_from_the_first_model_to_promotion_and_rollback(root, port):
    row = '[{"months": 5, "plan": "gold", "region": "north", "calls": 3, "usage": 8.1, "senior": false, "charge": 66}]'
    first = status(port, "POST", "/predict", row)[1]
    statuses: list[int] = []
    done = threading.Event()

    def keep_asking():
        while not done.wait(0.05):
            statuses.append(status(port, "POST", "/predict", row)[0])

    replay = ["simulate", "--url", f"http://127.0.0.1:{port}", "--days", "20", "--customers", "120", "--delay", "1"]
    replay += ["--broken", "5", "--recovered", "7", "--drift", "10", "--cycle", "4", "--", *TURNS]
    output = toys.mlnb(root, *replay, timeout=800)
    days = {line.split()[0]: line for line in output.splitlines() if line[:4].strip().isdigit()}
    assert "missing in" in days["7"] and "retrain" not in days["7"]  # a fault upstream is no reason to learn it
    assert "promoted as champion" in output, output
    second = json.loads(mlnb_in_process(root, "models", "@champion", "--json"))["metadata"]["certificate"]["model"]
    assert second != first
    log = root / "serve.txt"
    wait_for(lambda: status(port, "POST", "/predict", row)[1] == second, 30, "the new champion", detail=log.read_text)
    messages = log.read_text()
    assert "mlnb serve: @challenger: churn-classifier has no alias 'challenger'" in messages
    assert "shadow deployment of run" in messages and messages.count("no alias 'challenger'") == 1

    past = (root / "past.csv").read_text().splitlines()[:151]
    dated = [f"{line},2026-02-{28 - number // 6:02}" for number, line in enumerate(past[1:])]
    (root / "own.csv").write_text("\n".join([past[0] + ",day", *dated]) + "\n")
    own = ["--data", "own.csv", "--time", "day", "--days", "3", "--start", "40", "--delay", "0"]
    lines = mlnb_in_process(root, "simulate", "--url", f"http://127.0.0.1:{port}", *own).splitlines()
    assert [line.split()[:4] for line in lines[1:]] == [[str(day), "50", second, "50"] for day in (40, 41, 42)]
    assert "no column 'date'" in mlnb_in_process(root, "simulate", *own[:3], "date", code=2)

    asker = threading.Thread(target=keep_asking)
    asker.start()
    toys.mlnb(root, "promote", "1", "--reason", "by mistake")
    wait_for(lambda: status(port, "POST", "/predict", row)[1] == first, 30, "version 1", detail=log.read_text)
    toys.mlnb(root, "rollback", "--reason", "it was a mistake")
    wait_for(lambda: status(port, "POST", "/predict", row)[1] == second, 30, "version 2", detail=log.read_text)
    done.set()
    asker.join()
    assert len(statuses) > 20 and set(statuses) == {200}  # not one request was lost

    assert "unaltered" in mlnb_in_process(root, "audit", "verify")
    page = root / mlnb_in_process(root, "report", "--monitoring").strip().splitlines()[-1]
    text = page.read_text()
    assert "it was a mistake" in text and "missing in" in text and "<svg" in text and "<script" not in text
    with sqlite3.connect(root / ".mlnb" / "registry.db") as database:
        database.execute("DROP TRIGGER mlnb_log_UPDATE")
        database.execute("UPDATE mlnb_log SET entry = replace(entry, 'by mistake', 'with care')")
    database.close()
    assert "altered" in mlnb_in_process(root, "audit", "verify", code=1)
