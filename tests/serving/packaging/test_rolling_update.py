"""Two services behind nginx are replaced one after the other, under load, and no request is lost."""

import http.client
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from clients import Clients
from waiting import wait_for

from mlnb.serving.packaging.bento_server import Server, free_port, start_server
from mlnb.serving.packaging.bento_stores import BuiltBento
from mlnb.serving.packaging.bundles import Bundle

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 200; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream services {{ {servers} keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://services;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_next_upstream error timeout;
    }}
  }}
}}
"""
pytestmark = pytest.mark.skipif(NGINX is None, reason="no nginx here")


@contextmanager
def proxy(folder: Path, ports: list[int]) -> Iterator[int]:
    """Yield the port of an nginx that distributes requests among services."""
    port = free_port()
    servers = " ".join(f"server 127.0.0.1:{each} max_fails=0;" for each in ports)
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port, servers=servers))
    process = subprocess.Popen([str(NGINX), "-e", str(folder / "error.log"), "-c", str(configuration)])
    try:
        wait_for(lambda: listens(port), 20, "the proxy")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


class Asking(Clients):
    """Clients that keep their connections to the proxy."""

    def __init__(self, count: int, port: int, row: object) -> None:
        super().__init__(count)
        self.port, self.body = port, json.dumps([row]).encode()
        self.statuses: list[int] = []
        self.failures: list[str] = []

    def ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        while not self.ending.wait(0.01):
            try:
                connection.request("POST", "/predict", self.body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
                self.statuses.append(response.status)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()


def test_a_rolling_update_loses_no_request(quick: BuiltBento, quick_bundle: Bundle, tmp_path: Path) -> None:
    ports = [free_port(), free_port()]

    def start(number: int) -> Server:
        server = start_server(quick.path, tmp_path / f"{number}.log", "127.0.0.1", ports[number])
        stack.callback(server.stop)
        return server

    with ExitStack() as stack:
        servers = [start(0), start(1)]
        for server in servers:
            server.wait()
        port = stack.enter_context(proxy(tmp_path, ports))
        with Asking(8, port, quick_bundle.read_golden().rows[0]) as clients:
            wait_for(lambda: len(clients.statuses) > 100, 20, "a hundred responses")
            for number, server in enumerate(servers):
                server.stop(40)
                start(number).wait()
                before = len(clients.statuses)
                wait_for(lambda before=before: len(clients.statuses) > before + 50, 20, "fifty responses")
    assert clients.failures == []
    assert set(clients.statuses) == {200}
    assert len(clients.statuses) > 200
