"""A worker that is started alone serves as `bentoml serve` does, or not at all."""

import os
import socket
from types import SimpleNamespace

import pytest

from mlnb.serving.packaging.bento_server import free_port
from mlnb.serving.runtime import service_worker
from mlnb.serving.runtime.service_worker import METRICS_FOLDER, NeedsSupervisor, check_alone, clean_folder, serve_alone

HOOKED = SimpleNamespace(prepare=SimpleNamespace(__bentoml_deployment_hook__=True))


def service(**changes):
    plain = {
        "config": {},
        "all_services": lambda: {"Tabular": None},
        "models": [],
        "needs_task_db": lambda: False,
        "inner": SimpleNamespace(),
        "envs": [],
    }
    return SimpleNamespace(**(plain | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"workers": 2}},
        {"config": {"workers": "cpu_count"}},
        {"config": {"resources": {"gpu": 1}}},
        {"all_services": lambda: {"Tabular": None, "Other": None}},
        {"models": ["a model of BentoML's store"]},
        {"needs_task_db": lambda: True},
        {"inner": HOOKED},
        {"envs": [SimpleNamespace(name="NOT_SET_ANYWHERE", stage="all")]},
    ],
)
def test_a_service_that_needs_more_than_one_worker_is_not_served_alone(changes, monkeypatch):
    check_alone(service(**changes))  # under a supervisor
    monkeypatch.setattr(service_worker, "alone", True)
    with pytest.raises(NeedsSupervisor):
        check_alone(service(**changes))


def test_a_service_with_one_worker_is_served_alone(monkeypatch):
    monkeypatch.setattr(service_worker, "alone", True)
    monkeypatch.setenv("A_SETTING", "1")
    variables = [SimpleNamespace(name="A_SETTING", stage="all"), SimpleNamespace(name="OF_THE_BUILD", stage="build")]
    check_alone(service(config={"workers": 1, "resources": {"cpu": 1}}, envs=variables))
    check_alone(service(config={"workers": None, "logging": {}}))


def test_metrics_of_an_earlier_process_are_removed(tmp_path):
    folder = tmp_path / "home" / "metrics"
    assert clean_folder(folder) == folder and folder.is_dir()
    (folder / "counter_7.db").write_bytes(b"1")
    assert clean_folder(folder) == folder and not list(folder.iterdir())


def test_metrics_have_a_temporary_folder_where_the_home_cannot_be_written(tmp_path):
    (tmp_path / "home").write_text("a file, so that no folder can be made in it")
    folder = clean_folder(tmp_path / "home" / "metrics")
    assert folder.is_dir() and tmp_path not in folder.parents
    folder.rmdir()


class Starts:
    """What `serve_alone` starts, instead of a service."""

    def __init__(self, monkeypatch, folder, error=None):
        self.port, self.error = free_port(), error
        http = SimpleNamespace(
            host=SimpleNamespace(get=lambda: "127.0.0.1"), port=SimpleNamespace(get=lambda: self.port)
        )
        metrics = SimpleNamespace(get=lambda: str(folder / "metrics"))
        container = SimpleNamespace(http=http, prometheus_multiproc_dir=metrics)
        monkeypatch.setattr(service_worker, "BentoMLContainer", container)
        monkeypatch.setattr(service_worker, "alone", False)
        monkeypatch.setattr(service_worker.log, "configure_server_logging", lambda: None)
        monkeypatch.setattr(service_worker, "configure_logging", lambda: None)
        monkeypatch.setattr(service_worker, "serve_worker", self.serve)

    def serve(self, arguments, environment, folder):
        self.arguments, self.environment, self.folder = arguments, environment, folder
        self.descriptor = int(arguments[arguments.index("--fd") + 1])
        with socket.socket(fileno=os.dup(self.descriptor)) as bound:
            self.address = bound.getsockname()
        with socket.socket() as client:
            self.refused = client.connect_ex(self.address)
        if self.error:
            raise self.error


def test_the_worker_gets_a_socket_that_does_not_listen_yet(monkeypatch, tmp_path):
    starts = Starts(monkeypatch, tmp_path)
    serve_alone(tmp_path)
    os.close(starts.descriptor)
    assert starts.address == ("127.0.0.1", starts.port) and starts.refused  # a probe fails until it is ready
    assert starts.arguments[0] == starts.folder == str(tmp_path)
    assert starts.environment == {METRICS_FOLDER: str(tmp_path / "metrics")}
    assert service_worker.alone


def test_a_worker_that_cannot_serve_alone_leaves_the_port_free(monkeypatch, tmp_path):
    starts = Starts(monkeypatch, tmp_path, NeedsSupervisor())
    with pytest.raises(NeedsSupervisor):
        serve_alone(tmp_path)
    with pytest.raises(OSError):
        os.fstat(starts.descriptor)
    with socket.create_server(("127.0.0.1", starts.port)):
        pass


def test_a_port_in_use_is_an_error(monkeypatch, tmp_path):
    starts = Starts(monkeypatch, tmp_path)
    with socket.create_server(("127.0.0.1", starts.port)), pytest.raises(OSError, match="in use"):
        serve_alone(tmp_path)
