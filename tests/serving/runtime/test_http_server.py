"""The server of a worker; tests of its connections are in `test_http_connections`."""

import resource

from mlnb.serving.runtime.http_connections import CONNECTIONS
from mlnb.serving.runtime.http_server import allow_connections


def test_the_limit_leaves_files_for_others(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 512))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert allow_connections() == 1
    monkeypatch.setattr(resource, "getrlimit", lambda _: (4096, 4096))
    assert allow_connections() == CONNECTIONS
