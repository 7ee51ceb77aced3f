import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from personal_models import with_personal_columns
from waiting import wait_for

from mlnb.errors import ServingError, UsageError
from mlnb.serving.packaging import bento_server
from mlnb.serving.packaging.bento_server import Server, check_port, free_port, serving, start_launcher
from mlnb.serving.packaging.bundles import Bundle

PARENT = """
import sys, time
from pathlib import Path
from mlnb.serving.packaging.bento_server import free_port, start_server
server = start_server(Path(sys.argv[1]), Path(sys.argv[2]), "127.0.0.1", free_port())
server.wait("/livez")
print(server.process.pid, flush=True)
time.sleep(60)
"""


def gone(processes, seconds: float = 10) -> bool:
    return not psutil.wait_procs(processes, seconds)[1]


def test_a_long_log_is_rotated_while_the_server_writes(tmp_path, monkeypatch):
    log = tmp_path / "service.log"
    launcher = start_launcher(log)
    server = Server(launcher.process, "127.0.0.1", 1, log)
    try:
        with open(f"/proc/{launcher.process.pid}/fd/1", "ab") as output:  # what the server prints goes here
            output.write(b"first\n")
        assert log.stat().st_mode & 0o077 == 0
        server.rotate_log()
        assert server.output() == "first\n"
        monkeypatch.setattr(bento_server, "LONGEST_LOG", 5)
        server.rotate_log()
        with open(f"/proc/{launcher.process.pid}/fd/1", "ab") as output:
            output.write(b"next\n")
        assert server.output() == "next\n"
        rotated = tmp_path / "service.log.1"
        assert rotated.read_text() == "first\n" and rotated.stat().st_mode & 0o077 == 0
        flags = Path(f"/proc/{launcher.process.pid}/fdinfo/1").read_text().split("flags:")[1].split()[0]
        assert int(flags, 8) & os.O_APPEND
    finally:
        launcher.process.stdin.close()
        server.stop()


def test_a_server_and_its_workers_end_with_the_block(quick, tmp_path):
    with serving(quick.path, tmp_path / "log", workers=2) as running:
        running.wait()
        family = [
            psutil.Process(running.process.pid),
            *psutil.Process(running.process.pid).children(recursive=True),
        ]
        assert len(family) == 3  # a supervisor and two workers
    assert gone(family, 1)


def test_a_service_without_the_key_of_training_is_reported(material, build, tmp_path):
    """With another key it does not start; without one it starts, refuses personal data, and its log has the reason."""
    parts = material("linear")
    bundle = parts.bundle(tmp_path / "service", name="personal", schema=with_personal_columns(parts.schema))
    assert "the key of training must be in `MLNB_PERSONAL_KEY`" in (bundle.folder / "README.md").read_text()
    path, other = build(bundle).path, {"MLNB_PERSONAL_KEY": "another key for tests, long enough"}
    with (
        pytest.raises(ServingError, match="set MLNB_PERSONAL_KEY to the key that the model was trained with"),
        serving(path, tmp_path / "log", environment=other) as running,
    ):
        running.wait()
    with serving(path, tmp_path / "log", environment={"MLNB_PERSONAL_KEY": ""}) as running:
        running.wait()
        row = {**parts.golden.rows[0], "mail": "ada@example.org"}
        status, body, _ = bento_server.send_request(running.host, running.port, "POST", "/predict", [row])
        assert status == 422 and b"the service lacks the key of training (MLNB_PERSONAL_KEY)" in body
        warnings = [line for line in running.output().splitlines() if "no key for pseudonyms" in line]
        assert json.loads(warnings[0])["columns"] == "mail" and "ada@" not in running.output()


def test_a_model_that_cannot_be_loaded_is_reported_immediately(material, build, tmp_path):
    bundle = material("linear").bundle(tmp_path / "service", name="unloadable")
    (bundle.folder / "model" / "fitted" / "model.json").unlink()
    path = build(Bundle.read(bundle.folder)).path
    began = time.monotonic()
    with pytest.raises(ServingError, match=r"found no model\.json"), serving(path, tmp_path / "log") as running:
        running.wait()
    assert time.monotonic() - began < 20


@pytest.mark.skipif(sys.platform != "linux", reason="ending with the parent is Linux's")
def test_a_server_ends_when_its_caller_is_killed(quick, tmp_path):
    command = [sys.executable, "-c", PARENT, str(quick.path), str(tmp_path / "log")]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert gone(family)


@pytest.mark.usefixtures("new_interpreters")
def test_a_server_may_be_launched_before_its_bento_is_known(quick, tmp_path):
    waiting = start_launcher(tmp_path / "log")
    assert waiting.process.poll() is None
    server = waiting.serve(quick.path, "127.0.0.1", free_port(), workers=1)
    try:
        server.wait()
        assert server.process.pid == waiting.process.pid
        assert len(psutil.Process(server.process.pid).children()) == 1
    finally:
        server.stop()


@pytest.mark.usefixtures("new_interpreters")
def test_a_cancelled_launch_ends(tmp_path):
    waiting = start_launcher(tmp_path / "log")
    waiting.process.stdin.close()
    assert waiting.process.wait(20) == 0 and (tmp_path / "log").read_text() == ""


@pytest.mark.usefixtures("new_interpreters")
@pytest.mark.parametrize("ending", ["no options", "terminated"])
def test_a_cancelled_launch_leaves_no_folder(ending):
    waiting = start_launcher()
    assert waiting.log.exists() and waiting.log.parent == waiting.own
    if ending == "terminated":
        wait_for(lambda: signals_taken(waiting.process.pid), 20, "handlers of signals")
        waiting.process.terminate()
    waiting.process.stdin.close()
    assert waiting.process.wait(20) == 0 and not waiting.own.exists()


def signals_taken(pid):
    """Whether a process has a handler for SIGTERM."""
    caught = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    return int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1


def test_a_bento_that_cannot_start_shows_the_end_of_its_log(tmp_path):
    (tmp_path / "bento.yaml").write_text("entry_service: Nobody\n")
    began = time.monotonic()
    with (
        pytest.raises(ServingError, match="before it was ready"),
        serving(tmp_path, tmp_path / "log") as running,
    ):
        running.wait()
    assert time.monotonic() - began < 30


def test_a_used_port_is_reported_before_anything_starts(quick, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"--port {port + 1}"):
            check_port("127.0.0.1", port)
        with pytest.raises(UsageError), serving(quick.path, tmp_path / "log", port=port):
            pass
    check_port("127.0.0.1", free_port())
    with pytest.raises(UsageError):
        check_port("127.0.0.1", 99_999)


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_a_service_listens_on_ipv6_and_lets_pages_of_some_origins_use_it(quick, tmp_path):
    try:
        check_port("::1", free_port("::1"))
    except OSError:
        pytest.skip("this machine has no IPv6")
    origins = {"MLNB_CORS_ORIGINS": "https://app.example"}
    with serving(quick.path, tmp_path / "log", host="::1", environment=origins) as running:
        running.wait()
        assert running.address.startswith("http://[::1]:")
        connection = http.client.HTTPConnection("::1", running.port, timeout=20)
        allowed = {}
        for origin in ("https://app.example", "https://other.example"):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            connection.request("OPTIONS", "/predict", headers=headers)
            response = connection.getresponse()
            response.read()
            allowed[origin] = response.status, response.headers["Access-Control-Allow-Origin"]
            connection.request("POST", "/predict", "[]", {"Origin": origin})
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"[]")
        connection.close()
    assert allowed["https://app.example"] == (200, "https://app.example")
    assert allowed["https://other.example"][0] == 400 and allowed["https://other.example"][1] is None


def test_the_end_of_a_service_loses_no_request(quick, tmp_path):
    body = json.dumps([{"fare paid €": 7.25, "sex": "f"}]).encode()
    counted, failed = [0], []

    def load(port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        while True:
            try:
                connection.request("POST", "/predict", body)
            except ConnectionRefusedError:
                return
            try:
                response = connection.getresponse()
                assert response.status == 200 and response.read()
            except (OSError, http.client.HTTPException, AssertionError) as error:
                failed.append(repr(error))
                return
            counted[0] += 1

    with serving(quick.path, tmp_path / "log", workers=2) as running:
        running.wait()
        clients = [threading.Thread(target=load, args=(running.port,)) for _ in range(16)]
        for client in clients:
            client.start()
        wait_for(lambda: counted[0] > 500, 30, "five hundred responses")
        running.process.terminate()
        for client in clients:
            client.join(30)
        assert running.process.wait(30) is not None
    assert failed == [] and counted[0] > 500
