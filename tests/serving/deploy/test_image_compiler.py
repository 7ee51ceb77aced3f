"""An image compiles the modules that its service imports, and all modules of one that cannot start yet."""

import http.server
import json
import subprocess
import sys
import threading
from typing import ClassVar

import pytest

from mlnb.serving.deploy import image_compiler


class Handler(http.server.BaseHTTPRequestHandler):
    """A service: it refuses the page and responds to all other paths."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.seen.append(f"{self.command} {self.path} {body}".strip())
        self.send_response(404 if self.path == "/" else 200)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture()
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    Handler.seen.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture()
def bento(tmp_path):
    model = tmp_path / "src" / "model"
    model.mkdir(parents=True)
    (model / "golden.json").write_text(json.dumps({"rows": [{"age": 1}, {"age": 2}]}))
    (tmp_path / "src" / "service.py").write_text("x = 1")
    return tmp_path


def test_a_ready_service_gets_the_requests_of_clients_and_probes(address, bento):
    with subprocess.Popen(["sleep", "60"]) as service:
        assert image_compiler.wait(service, address)
        service.kill()
    image_compiler.send_requests(address, bento)
    assert Handler.seen == ["GET /readyz", 'POST /predict [{"age": 1}]', "GET /metrics", "GET /", "GET /docs.json"]


def test_all_modules_are_compiled_when_the_service_ends(bento, monkeypatch):
    compiled = []
    monkeypatch.setattr(image_compiler.sys, "executable", "false")  # ends with 1
    monkeypatch.setattr(image_compiler.compileall, "compile_dir", lambda folder, quiet: compiled.append(folder))
    assert image_compiler.main(bento).startswith("compiled all modules")
    assert compiled[-1] == str(bento / "src") and len(compiled) == 3


def test_a_service_that_listens_nowhere_is_not_ready(monkeypatch):
    monkeypatch.setattr(image_compiler, "SECONDS", 0.05)
    with subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"]) as service:
        assert not image_compiler.wait(service, "http://127.0.0.1:9")
        service.kill()
