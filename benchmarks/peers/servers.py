"""Programs that serve predictions on this machine while a benchmark measures them."""

import asyncio
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from mlnb.serving.packaging.bento_server import serving
from mlnb.serving.packaging.bento_stores import bentoml_environment
from peers.load import ask

BENCHMARKS = Path(__file__).parents[1]


@contextmanager
def program(*command: str, port: int, body: str, **environment: str) -> Iterator[psutil.Process]:
    """Run a server while inside, once it answers."""
    everything = bentoml_environment() | {"PYTHONPATH": str(BENCHMARKS)} | environment
    with tempfile.TemporaryFile() as log:
        running = subprocess.Popen(command, env=everything, stdout=log, stderr=subprocess.STDOUT, cwd=BENCHMARKS)
        process = psutil.Process(running.pid)
        try:
            wait(port, body)
            yield process
        finally:
            for one in [*process.children(recursive=True), process]:
                one.terminate()
            running.wait(20)


def wait(port: int, body: str) -> None:
    """Return when the first request is answered: a supervisor listens before its worker can answer."""
    for _ in range(600):
        if asyncio.run(ask(port, [(body, 200, None)], 0.05, 1)).good:
            return
    raise TimeoutError(f"nothing answers on port {port}")


@contextmanager
def serve_bento(bento: Path, port: int) -> Iterator[psutil.Process]:
    """Serve the bento while inside."""
    with tempfile.TemporaryDirectory() as logs, serving(bento, Path(logs) / "log", port=port) as server:
        server.wait()
        yield psutil.Process(server.process.pid)
