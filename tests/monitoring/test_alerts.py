"""A verdict is posted to its webhook with a signature, or the reason of the failure is reported."""

import inspect
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from listeners import Quiet, listening

from mlnb.cli.monitor import send_verdict
from mlnb.errors import UsageError
from mlnb.monitoring.alerts import HEADER, alert_rules, notify, sign
from mlnb.serving.runtime.prometheus_metrics import ServiceMetrics as meters_of


@pytest.fixture
def hook():
    """A receiver on loopback: what it got, what it answers, and how long it takes."""

    class Receiver(Quiet):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append((dict(self.headers), body))
            time.sleep(self.server.delay)  # a slow receiver
            self.send_response(self.server.status)
            self.end_headers()

    with listening(Receiver, got=[], status=204, delay=0.0) as server:
        yield server


def url(server):
    return f"http://127.0.0.1:{server.server_port}/hook"


def test_a_payload_is_signed(hook, monkeypatch):
    monkeypatch.setenv("MLNB_WEBHOOK_SECRET", "s3cret")
    notify(url(hook), {"outcome": "retrain", "model": "churn:3"})
    (headers, body), *_ = hook.got
    assert json.loads(body)["outcome"] == "retrain" and headers[HEADER] == sign(body, "s3cret")
    assert sign(body, "s3cret") != sign(body + b" ", "s3cret")


def test_alert_rules_use_metrics_of_the_service(tmp_path):
    rules = yaml.safe_load(alert_rules(0.1))["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules) and "> 0.1" in rules[2]["expr"]
    counted = Path(inspect.getfile(meters_of)).read_text()
    for name in re.findall(r"mlnb_[a-z_]+", " ".join(rule["expr"] for rule in rules)):
        assert name.removesuffix("_bucket") in counted, name
    for rule in rules:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+[smh]", rule["for"]) and re.fullmatch(r"[A-Z]\w+", rule["alert"])
        assert all(rule["expr"].count(one) == rule["expr"].count(other) for one, other in ("()", "[]", "{}"))
    if shutil.which("promtool"):
        (tmp_path / "rules.yaml").write_text(alert_rules())
        subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yaml"], check=True, capture_output=True)


SEEN = """
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series:
  - {series: 'mlnb_requests_total{status="200"}', values: '0+60x120'}
  - {series: 'mlnb_requests_total{status="500"}', values: '0+6x120'}
  - {series: 'mlnb_model_swaps_total{result="withdrawn"}', values: '0x30 1x90'}
  - {series: 'mlnb_log_rows_total{result="dropped"}', values: '0x30 5x90'}
  - {series: 'mlnb_request_seconds_bucket{le="0.1"}', values: '0+10x120'}
  - {series: 'mlnb_request_seconds_bucket{le="+Inf"}', values: '0+96x120'}
  promql_expr_test: []
  alert_rule_test:
"""


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_alerts_fire_on_their_conditions(tmp_path):
    (tmp_path / "rules.yaml").write_text(alert_rules(0.05))
    rules = yaml.safe_load(alert_rules())["groups"][0]["rules"]
    texts = {rule["alert"]: rule["annotations"]["summary"] for rule in rules}
    text = SEEN
    for at, name, label in [
        (20, "MlnbErrors", {}), (20, "MlnbSlow", {}), (35, "MlnbModelRefused", {"result": "withdrawn"}),
        (35, "MlnbLogDrops", {"result": "dropped"}), (20, "MlnbModelRefused", None), (60, "MlnbLogDrops", None),
        (60, "MlnbSilent", None), (60, "MlnbRefusals", None),
    ]:  # fmt: skip
        expected = {
            "exp_labels": {"severity": "warning", **(label or {})},
            "exp_annotations": {"summary": texts[name]},
        }
        alerts = [] if label is None else [expected]
        text += f"  - {json.dumps({'eval_time': f'{at}m', 'alertname': name, 'exp_alerts': alerts})}\n"
    (tmp_path / "test.yaml").write_text(text)
    done = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "test.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_refused_late_and_unreachable_receivers_are_reported(hook):
    hook.status = 500
    with pytest.raises(UsageError, match="responded with 500"):
        notify(url(hook), {})
    hook.delay = 2.0
    with pytest.raises(UsageError, match="did not accept the verdict within"):
        notify(url(hook), {}, timeout=0.2)
    hook.delay, hook.status = 0.0, 204
    with pytest.raises(UsageError, match="did not accept"):
        notify("http://127.0.0.1:1/hook", {})
    with pytest.raises(UsageError, match="expected a URL"):
        notify("file:///etc/passwd", {})


@pytest.fixture
def talker():
    """Receivers that never come to an end: one drips a header a byte at a time, one talks no HTTP."""
    listening = socket.create_server(("127.0.0.1", 0))
    ending = threading.Event()

    def drip():
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not ending.wait(0.05):
                with suppress(OSError):
                    connection.sendall(b"x")
        connection, _ = listening.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"hello\r\n\r\n")

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/hook", ending
    ending.set()
    thread.join(5)
    listening.close()


def test_a_receiver_that_never_stops_sending_is_disconnected(talker, capsys):
    url, ending = talker
    began = time.monotonic()
    with pytest.raises(UsageError, match=r"within 0\.3 s: there is no response yet"):
        notify(url, {}, timeout=0.3)
    assert time.monotonic() - began < 2.0
    ending.set()
    send_verdict(url, {"outcome": "retrain"})  # neither the verdict nor its exit code depends on it
    assert "The verdict is in the run" in capsys.readouterr().err
