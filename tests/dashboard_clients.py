"""A client of a dashboard, and the runs of the project that its tests share."""

import warnings

from mlnb.dashboard.application import create_application
from mlnb.engine.project import Project

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette recommends a successor of httpx
    from starlette.testclient import TestClient

A, B, C = "20260314-091500-train-a1b2", "20260314-101500-train-c3d4", "20260314-111500-train-e5f6"
DAMAGED = "20260314-121500-train-dddd"
HOSTILE = '<script>alert("x")</script>'
NAMED = "20260314-131500-train-<img src=x onerror=alert(1)>"
TOKEN = "the-token"
ADDRESS = "http://127.0.0.1:8790"


def open_client(*projects: Project) -> TestClient:
    """Return a client that has exchanged the token for a cookie."""
    client = TestClient(create_application(projects, TOKEN), ADDRESS)
    assert client.get(f"/?token={TOKEN}").status_code == 200
    return client
