"""Requests to a warm parent: it is started when it is needed; without a kernel, the reason is reported."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_for

from kernels.projects import find_parents, parent_process, run
from kernels.protocol.test_messages import START
from mlnb.kernels.driver import parent_client
from mlnb.kernels.driver.parent_client import ParentUnavailable
from mlnb.kernels.protocol import parent_paths
from mlnb.kernels.protocol.messages import KernelReady, Queued, Refused, Response, Restarting
from mlnb.kernels.protocol.parent_paths import ParentPaths
from mlnb.kernels.protocol.wire import READY, FrameSocket, receive_request, send_response


class Parent:
    """A parent with fixed responses, which counts the requests."""

    def __init__(self, folder: Path, *responses: Response | KernelReady | None) -> None:
        self.paths = ParentPaths(folder, "key")
        self.requests = 0
        self.responses = responses
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.paths.socket_path))
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        try:
            while True:
                connection, _ = self.listener.accept()
                with connection:
                    receive_request(connection)
                    self.requests += 1
                    for response in self.responses:
                        if isinstance(response, KernelReady):
                            FrameSocket(connection).send_message(READY, response)
                        elif response is not None:
                            send_response(connection, response)
        except OSError:
            return


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for paths in parent_paths.find_parents(tmp_path):
        paths.socket_path.unlink()


def start(parent: Parent, timeout: float = 5.0) -> KernelReady:
    frames, ready = parent_client.start_kernel(parent.paths, None, START, timeout)
    frames.close()
    return ready


def test_a_kernel_may_come_after_a_wait_in_the_queue(folder: Path) -> None:
    assert start(Parent(folder, Queued(position=1), KernelReady(pid=7, snapshot="s"))).snapshot == "s"


@pytest.mark.parametrize(
    ("response", "reason", "requests"),
    [
        (Refused(reason="ipykernel 9 has no pipes"), "^ipykernel 9 has no pipes$", 1),
        (Restarting(reason="a file has changed"), "a file has changed", parent_client.ATTEMPTS),
        (None, "it ended without a response", parent_client.ATTEMPTS),
    ],
)
def test_why_there_is_no_kernel_is_reported(
    folder: Path, response: Response | None, reason: str, requests: int
) -> None:
    parent = Parent(folder, response)
    with pytest.raises(ParentUnavailable, match=reason):
        start(parent)
    assert parent.requests == requests


def test_a_parent_that_does_not_run_is_none(folder: Path) -> None:
    paths = ParentPaths(folder, "nobody")
    assert parent_client.get_status(paths) is None and parent_client.get_exit_status(paths, 1) is None
    assert parent_client.stop(paths) is None
    parent_client.drop_snapshots(paths, None)
    with pytest.raises(ParentUnavailable, match="no warm parent listens"):
        parent_client.start_kernel(paths, None, START, 5.0)


def test_another_response_than_requested_is_none(folder: Path) -> None:
    assert parent_client.get_status(Parent(folder, Queued(position=1)).paths) is None


def test_a_parent_is_stopped(project: Path) -> None:
    run(project, "1")
    (paths,) = find_parents(project)
    current = parent_client.get_status(paths)
    assert current is not None and parent_client.stop(paths) == current.pid


def test_a_long_log_is_moved_when_a_parent_starts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(project, "1")
    (paths,) = find_parents(project)
    parent = parent_process(project)
    parent_client.stop(paths)
    wait_for(lambda: not parent.is_running(), 10, "the end of the parent, which writes a last line")
    paths.log_path.write_text("long\n")
    monkeypatch.setattr(parent_client, "LONGEST_LOG", 4)
    run(project, "1")
    assert "long" not in paths.log_path.read_text()
    assert paths.log_path.with_suffix(".log.1").read_text() == "long\n"
