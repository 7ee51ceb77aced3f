"""A tracking store that does not respond is reported within seconds, once for all models."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlnb.api import mlflow_store
from mlnb.api.mlflow_store import check_store
from mlnb.cli.main import main
from mlnb.errors import UsageError


@contextmanager
def answering(response: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the port of a server that answers one request, and the request; without a response it never answers."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                requests.append(connection.recv(9999))
                if response:
                    connection.sendall(b"HTTP/1.1 " + response + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                else:
                    connection.recv(1)

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1], requests
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.parametrize("status", [b"200 OK", b"404 Not Found", b"401 Unauthorized"])
def test_a_server_that_responds_is_accepted_and_gets_no_password(status: bytes) -> None:
    with answering(status) as (port, requests):
        check_store(f"http://ann:hunter22@127.0.0.1:{port}/mlflow/")
    assert requests[0].startswith(b"GET /mlflow/version ") and b"hunter22" not in requests[0]


@pytest.mark.parametrize(
    ("response", "message"), [(b"503 Busy", "HTTP Error 503|: Busy"), (b"", "timed out")], ids=["503", "silent"]
)
def test_a_server_in_error_or_without_an_answer_is_refused(
    monkeypatch: pytest.MonkeyPatch, response: bytes, message: str
) -> None:
    monkeypatch.setattr(mlflow_store, "ANSWER_SECONDS", 0.3)
    with answering(response) as (port, _), pytest.raises(UsageError, match=message):
        check_store(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize(
    "uri", ["http://u:hunter22@127.0.0.1:1/", "postgresql+psycopg2://u:hunter22@127.0.0.1:1/db", "http://127.0.0.1:x"]
)
def test_a_store_without_a_server_is_refused_at_once(uri: str) -> None:
    began = time.monotonic()
    with pytest.raises(UsageError, match=r"The tracking store cannot be used: .*expected a server that runs") as caught:
        check_store(uri)
    assert time.monotonic() - began < 2 and "hunter22" not in str(caught.value)


@pytest.mark.parametrize("uri", ["databricks", "file:///tmp/x", "sqlite://", "sqlite:///:memory:", "nothing://x"])
def test_other_stores_are_left_to_mlflow(uri: str) -> None:
    check_store(uri)


def test_a_sqlite_file_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(UsageError, match=r"/proc/x/mlflow.db: unable to open"):
        check_store("sqlite:////proc/x/mlflow.db")


@pytest.mark.parametrize(
    ("words", "message"),
    [(("--uri", "http://127.0.0.1:1/"), "refused"), ((), "needs --uri"), (("--uri", "a", "--out", "b"), "no --out")],
)
def test_all_models_are_refused_with_one_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    (tmp_path / "settings.ini").write_text("[mlnb]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main(["export", "--to", "mlflow", "--all", *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and message in lines[0]
