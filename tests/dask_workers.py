"""A scheduler and workers of a Dask cluster in this process."""

import asyncio
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import Scheduler, Worker

from mlnb.api.stage_worker import StageWorker, make_worker
from mlnb.executors.dask_cluster import SETTINGS


def free_port() -> int:
    """Return a port of this machine that is free."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Workers:
    """A scheduler with workers that join and end on request.

    Attributes:
        url: dask://HOST:PORT.
        scheduler: The scheduler.
    """

    def __init__(self, folder: str) -> None:
        self.url = f"dask://127.0.0.1:{free_port()}"
        self.scheduler: Scheduler
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.own: dict[Worker, StageWorker] = {}
        self._wait(self._start())

    def _wait(self, routine):
        return asyncio.run_coroutine_threadsafe(routine, self._loop).result(30)

    async def _start(self) -> None:
        address = self.url.replace("dask", "tcp", 1)
        self.scheduler = await Scheduler(host=address, dashboard=False, dashboard_address="127.0.0.1:0")

    def join(self) -> Worker:
        """Return a worker that has joined."""
        own = StageWorker()

        async def start() -> Worker:
            return await make_worker(self.url, own, self._folder)

        worker = self._wait(start())
        self.own[worker] = own
        return worker

    def end(self, worker: Worker) -> None:
        """End a worker as a signal does; the stage that it runs goes to another one."""
        own = self.own.pop(worker)
        self._wait(worker.close())
        own.close()

    def close(self) -> None:
        """End all."""
        for worker in list(self.own):
            self.end(worker)
        self._wait(self.scheduler.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def dask_workers() -> Iterator[Workers]:
    """Yield a scheduler without workers."""
    with tempfile.TemporaryDirectory() as folder, dask.config.set(SETTINGS):
        workers = Workers(folder)
        try:
            yield workers
        finally:
            workers.close()
