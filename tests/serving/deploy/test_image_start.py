"""The command of an image: one process without options, BentoML's command with any."""

import gc
import json
import os
import signal
import subprocess
import sys

import pytest
import yaml
from waiting import wait_for

from mlnb.serving.deploy import image_builder, image_start
from mlnb.serving.packaging.bento_server import free_port, send_request
from mlnb.serving.packaging.bento_stores import bentoml_environment
from mlnb.serving.runtime import service_worker

# In an image the port is always free. Here it is another one, which must not make it a service with options.
START = """
import runpy, sys
from bentoml._internal.configuration.containers import BentoMLContainer
program, bento, port = sys.argv[1:]
BentoMLContainer.http.host.set("127.0.0.1")
BentoMLContainer.http.port.set(int(port))
sys.argv = [program, bento]
runpy.run_path(program, run_name="__main__")
"""


@pytest.fixture
def executed(monkeypatch):
    """Commands that replace this process."""
    commands = []
    monkeypatch.setattr(image_start.os, "execv", lambda program, command: commands.append(command))
    return commands


def test_variables_of_bentoml_configure_it(monkeypatch):
    plain = {"BENTOML_CONTAINERIZED": "true", "BENTOML_HOME": "/tmp/bentoml", "MLNB_API_KEY": "x", "PATH": "/bin"}
    assert not image_start.is_configured(plain)
    for name in ("BENTOML_PORT", "BENTOML_CONFIG", "BENTOML_CONFIG_OPTIONS", "BENTOML_VERBOSITY"):
        assert image_start.is_configured(plain | {name: "1"})


@pytest.mark.parametrize("options", [["--port", "80"], []])
def test_options_and_variables_are_for_bentomls_command(options, executed, monkeypatch):
    if not options:
        monkeypatch.setenv("BENTOML_CONFIG_OPTIONS", "services.Tabular.workers=2")
    monkeypatch.setattr(image_start, "serve_alone", None)
    image_start.main("/bento", options)
    assert executed == [[sys.executable, "-P", "-m", "bentoml", "serve", "/bento", *options]]


def test_a_service_of_several_workers_is_started_by_bentomls_command(executed, monkeypatch, tmp_path):
    def refuse(bento):
        assert not gc.isenabled()
        raise service_worker.NeedsSupervisor

    for name in [name for name in os.environ if name.startswith("BENTOML_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(service_worker, "serve_alone", refuse)
    try:
        image_start.main(str(tmp_path), [])
    finally:
        gc.enable()
    assert executed == [[sys.executable, "-P", "-m", "bentoml", "serve", str(tmp_path)]]


@pytest.mark.skipif(sys.platform != "linux", reason="images are of Linux")
def test_a_service_started_alone_responds_as_the_supervised_one(quick, quick_bundle, tmp_path):
    """Predictions, probes, documentation, metrics, log and end; /proc/self shows that it has no supervisor."""
    port, plain = free_port(), {"BENTOML_DO_NOT_TRACK", "BENTOML_HOME"}
    environment = {k: v for k, v in bentoml_environment().items() if not k.startswith("BENTOML_") or k in plain}
    environment |= {"BENTOML_HOME": str(tmp_path / "home"), "BENTOML_CONTAINERIZED": "true"}
    with open(tmp_path / "log", "w") as log:
        command = [sys.executable, "-P", "-c", START, image_start.__file__, str(quick.path), str(port)]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def get(path, method="GET", value=None):
        return send_request("127.0.0.1", port, method, path, value)

    try:
        wait_for(lambda: get("/readyz")[0] == 200, 60, "readiness", (OSError,), (tmp_path / "log").read_text)
        golden = quick_bundle.read_golden()
        status, body, headers = get("/predict", "POST", list(golden.rows))
        assert (status, json.loads(body)) == (200, list(golden.predictions))
        assert headers["x-model-version"] == quick_bundle.model_tag
        assert [get(path)[0] for path in ("/livez", "/healthz", "/schema.json", "/", "/nothing")] == [200] * 4 + [404]
        assert "/predict" in json.loads(get("/docs.json")[1])["paths"]
        assert b"mlnb_requests_total" in get("/metrics")[1]
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:
            assert not children.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    events = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert f"listening on http://127.0.0.1:{port}" in events[0]
    assert "Service Tabular initialized" in events and "Completed cleanup hook: close" in events


def test_a_service_of_a_project_starts_with_bentomls_command(tmp_path):
    bentomls = ["python", "-P", "-m", "bentoml", "serve", image_builder.BENTO]
    (tmp_path / "bento.yaml").write_text(yaml.safe_dump({"service": "shop.service:Tabular"}))
    assert image_builder.start_command(tmp_path) == bentomls
    worker, source = tmp_path / image_builder.WORKER, tmp_path / "src" / "shop" / "service.py"
    for path in (worker, source):
        path.parent.mkdir(parents=True)
        path.touch()
    assert image_builder.start_command(tmp_path) == bentomls
    source.write_bytes(b"@bentoml.service(" + image_builder.OWN_CLASS + b")\nclass Tabular: ...\n")
    own = image_builder.start_command(tmp_path)
    assert own == ["python", "-P", f"{image_builder.BENTO}/env/docker/image_start.py", image_builder.BENTO]
    worker.unlink()  # a bento of an earlier version
    assert image_builder.start_command(tmp_path) == bentomls


def test_the_services_of_mlnb_are_served_alone():
    for name in ("tabular", "models"):
        source = image_builder.Path(__file__).parents[3] / "bentos" / name / "service.py"
        assert image_builder.OWN_CLASS in source.read_bytes()
