"""A running bento under load: models change, a worker is killed, the service stops, and schemathesis sends anything."""

import http.client
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from clients import Clients
from waiting import wait_for

from mlnb.serving.packaging.bento_server import send_request, serving
from mlnb.serving.runtime.predictor import Predictor

GOOD = {"age": 31, "fare paid €": 7.25, "sex": "f", "note": "crew", "ok": True, "day": "2020-05-01"}


class Load(Clients):
    """Clients that send requests without a pause in a `with` block, and check the responses by version."""

    def __init__(self, server, expected, clients=4):
        super().__init__(clients)
        self.server, self.expected = server, expected
        self.versions, self.times = [], []
        self.cut, self.wrong = [], []

    def ask(self):
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=10)
        while not self.ending.is_set():
            try:
                connection.request("POST", "/predict", json.dumps([GOOD]))
                response = connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, http.client.HTTPException) as error:
                self.cut.append(repr(error))
                connection.close()
                time.sleep(0.02)  # a client that tries again
                continue
            version = response.headers["X-Model-Version"]
            if response.status != 200 or answer != self.expected.get(version):
                self.wrong.append((response.status, version, answer))
            self.versions.append(version)
            self.times.append(time.monotonic())
        connection.close()


@pytest.fixture(scope="module")
def pointer(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pointer") / "model"


@pytest.fixture(scope="module")
def reloading(built, pointer, tmp_path_factory):
    log = tmp_path_factory.mktemp("live") / "log"
    with serving(built.path, log, environment={"MLNB_FOLLOW": str(pointer)}) as running:
        running.wait()
        yield running


def test_a_promoted_model_takes_over_without_a_request_lost(reloading, pointer, bundle, material, tmp_path):
    other = material("hist_gradient_boosting").bundle(tmp_path / "other", name="other")
    expected = {b.model_tag: Predictor.load(b.folder / "model").predict([GOOD]) for b in (bundle, other)}
    with Load(reloading, expected) as load:
        wait_for(lambda: len(load.versions) > 50, 20, "fifty responses")
        pointer.write_text(f"{other.folder / 'model'}\n")
        wait_for(lambda: load.versions[-1] == other.model_tag, 20, "the other model")
        pointer.write_text("/nowhere\n")
        wait_for(lambda: "model refused" in reloading.output(), 20, "the refusal")
        pointer.write_text(f"{bundle.folder / 'model'}\n")
        wait_for(lambda: load.versions[-1] == bundle.model_tag, 20, "the first model")
    assert (load.wrong, load.cut) == ([], [])
    assert set(load.versions) == set(expected)
    lines = [json.loads(line) for line in reloading.output().splitlines() if line.startswith("{")]
    assert [line["new"] for line in lines if line["event"] == "model switched"] == [other.model_tag, bundle.model_tag]
    _, body, _ = send_request(reloading.host, reloading.port, "GET", "/metrics")
    counted = body.decode()
    assert f'mlnb_predictions_total{{model_version="{bundle.model_tag}",prediction="' in counted
    for model, result in ((bundle.name, "switched"), ("other", "switched"), ("other", "refused")):
        assert f'mlnb_model_swaps_total{{model="{model}",result="{result}"}} 1.0' in counted
    assert "mlnb_request_seconds_bucket" in counted


def test_a_killed_worker_restarts_and_no_response_is_wrong(reloading, bundle):
    expected = {bundle.model_tag: Predictor.load(bundle.folder / "model").predict([GOOD])}
    with Load(reloading, expected) as load:
        wait_for(lambda: len(load.versions) > 50, 20, "fifty responses")
        (worker,) = psutil.Process(reloading.process.pid).children()
        worker.kill()
        killed = time.monotonic()
        # 5 s on a machine that does nothing else: benchmarks/serving.py
        wait_for(lambda: load.times[-1] > killed + 0.2, 40, "a response after the kill")
    assert load.wrong == []


def test_schemathesis_finds_no_server_error(reloading, tmp_path):
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{reloading.address}/docs.json"]
    command += ["--checks", "not_a_server_error", "--max-examples", "12", "--seed", "1", "--phases", "coverage,fuzzing"]
    command += ["--generation-database", "none", "--url", reloading.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_a_running_request_is_finished_at_shutdown(quick, tmp_path):
    with serving(quick.path, tmp_path / "log") as running:
        running.wait()
        answers = []
        rows = [GOOD] * 9_000
        client = threading.Thread(
            target=lambda: answers.append(send_request(running.host, running.port, "POST", "/predict", rows))
        )
        client.start()
        wait_for(
            lambda: b"mlnb_batches_in_progress 1.0" in send_request(running.host, running.port, "GET", "/metrics")[1],
            20,
            "a batch in progress",
        )
        running.process.terminate()
        client.join(30)
        running.process.wait(20)
    assert answers[0][0] == 200
    assert len(json.loads(answers[0][1])) == 9_000
