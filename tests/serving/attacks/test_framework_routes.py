"""The routes of BentoML's advisories (SECURITY.md lists them), tried against the running service."""

import http.client
import io
import json
import pickle
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlnb.serving.packaging.bento_server import Server

PICKLES = (
    "application/vnd.bentoml+pickle",
    "application/vnd.bentoml.pickled",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "text/plain",
)
RUNNER = {"Payload-Container": "DefaultContainer", "Payload-Meta": "{}", "Batch-Size": "1", "Yatai-Version": "1"}
PATHS = ("/predict", "/predict/", "//predict", "/", "/async_run", "/metrics", "/schema.json", "/readyz", "/docs.json")
FILES = ("/static_content/../app.py", "/assets/../../serde.py", "/static_content/main.css", "/..%2f..%2fetc/passwd")
ROW = {"age": 31.0, "fare paid €": 7.25, "sex": "f", "note": "no remarks", "ok": True, "day": "2020-05-01"}


class WritesFile:
    """An object whose pickle creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


def ask(server: Server, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that nothing may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def connected(listening: socket.socket) -> bool:
    listening.settimeout(0.3)
    with suppress(TimeoutError):
        listening.accept()[0].close()
        return True
    return False


@pytest.mark.parametrize("kind", PICKLES)
def test_no_route_loads_a_pickle(server: Server, kind: str, tmp_path: Path) -> None:
    """CVE-2024-2912, CVE-2024-9070, CVE-2025-27520, CVE-2025-32375, GHSA-2mcr-m9qx-5vwr, GHSA-rpc7-x8h4-rmfp."""
    planted = tmp_path / "loaded"
    body = pickle.dumps(WritesFile(planted), protocol=5)
    pickle.loads(body)
    assert planted.exists()
    planted.unlink()
    framed = b'--b\r\nContent-Disposition: form-data; name="root"; filename="x"\r\n\r\n' + body + b"\r\n--b--\r\n"
    for path in PATHS:
        for number in ("1", "2"):
            sent = framed if kind.startswith("multipart") else body
            status, _ = ask(server, "POST", path, sent, Content_Type=kind, Args_Number=number, **RUNNER)
            assert status in (400, 404, 405, 415), (path, status)
    assert not planted.exists()


def test_no_request_makes_the_service_open_a_connection(server: Server, listener: socket.socket) -> None:
    """CVE-2025-54381: file inputs that are URLs."""
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/secret"
    form = f'--b\r\nContent-Disposition: form-data; name="root"\r\n\r\n{url}\r\n--b--\r\n'.encode()
    row = json.dumps([ROW | {"note": url}]).encode()
    assert ask(server, "POST", "/predict", row, Content_Type="application/json")[0] == 200
    assert ask(server, "POST", "/predict", row, Content_Type="application/json", Host=url[7:-7])[0] == 200
    for kind, body in (
        ("multipart/form-data; boundary=b", form),
        ("application/x-www-form-urlencoded", f"root={url}".encode()),
        ("application/json", json.dumps(url).encode()),
        ("application/json", json.dumps({"root": url, "url": url}).encode()),
        ("text/plain", url.encode()),
    ):
        assert ask(server, "POST", "/predict", body, Content_Type=kind)[0] in (400, 415)
    for path in (url, f"/?url={url}", f"/docs.json?url={url}", f"/proxy/{url}"):
        assert ask(server, "GET", path)[0] in (200, 404)
    assert not connected(listener)


@pytest.mark.parametrize("boundary", [b"-" * 4_000, b"-" * 4_000 + b"\r" * 50])
def test_a_long_form_boundary_takes_no_time(server: Server, boundary: bytes) -> None:
    """CVE-2024-9056: characters after a boundary were read one at a time."""
    body = io.BytesIO()
    body.write(b"--" + boundary + b"\r\n" + b"-" * 8_000_000)
    kind = f"multipart/form-data; boundary={boundary.strip().decode()}"
    started = time.monotonic()
    assert ask(server, "POST", "/predict", body.getvalue(), Content_Type=kind)[0] == 415
    assert time.monotonic() - started < 2


def test_no_argument_of_a_method_can_be_set(server: Server) -> None:
    """GHSA-68f9-9v8g-6f74: fields of a body that become arguments, the context of the service among them."""
    for name in ("ctx", "context", "self", "body", "rows", "root"):
        body = json.dumps({name: {"state": {}, "request": {}}}).encode()
        assert ask(server, "POST", "/predict", body, Content_Type="application/json")[0] == 400
        assert ask(server, "POST", f"/predict?{name}=1", b"[]", Content_Type="application/json")[0] in (200, 400)


@pytest.mark.parametrize("path", FILES)
def test_no_file_of_the_framework_is_served(server: Server, path: str) -> None:
    assert ask(server, "GET", path)[0] == 404


def test_the_service_listens_on_one_port(server: Server) -> None:
    """Runners, gRPC and metrics of BentoML have no ports."""
    process = psutil.Process(server.process.pid)
    listening = {
        connection.laddr.port
        for each in (process, *process.children(recursive=True))
        for connection in each.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {server.port}
