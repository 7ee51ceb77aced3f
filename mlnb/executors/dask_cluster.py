"""A Dask cluster as this project uses it: tasks of one message and one reply, on workers of `mlnb worker` alone.

A task runs again on another worker when its worker is lost, and is ended when the process that requested it is gone.
"""

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from distributed import Client, Future, KilledWorker
from distributed.core import rpc
from distributed.utils import LoopRunner

from mlnb.errors import ExecutorError, SettingsError
from mlnb.executors.worker_versions import Versions, differences, worker_versions

SCHEME = "dask"
RESOURCE = "mlnb"  # of which each worker has one, and each task needs one
VERSIONS = "mlnb"  # name of a worker's versions in what the scheduler has about it
CONNECT_SECONDS = 10.0
WORKER_SECONDS = 30.0  # that the first worker may take to join
POLL = 0.2
LOST_SECONDS = 15  # without a heartbeat, after which the scheduler gives the stage of a worker to another one
LINK_SECONDS = 15  # without an acknowledgement, after which a connection counts as lost
SETTINGS = {
    "distributed.scheduler.worker-ttl": f"{LOST_SECONDS}s",
    "distributed.scheduler.work-stealing": False,  # a stage runs where it has begun
    "distributed.comm.timeouts.tcp": f"{LINK_SECONDS}s",
    "distributed.worker.memory.terminate": False,  # the kernels have the memory, not the worker
    "distributed.worker.memory.pause": False,
}
Task = Callable[[str, str], str]  # topic of the notes, message -> reply


def cluster_address(url: str) -> str:
    """Return the address that Dask uses for `dask://HOST:PORT`. Raises `SettingsError` for another form."""
    try:
        parts = urlsplit(url)
        if parts.scheme == SCHEME and parts.hostname and parts.port and parts.path in ("", "/"):
            return f"tcp://{parts.netloc}"
    except ValueError:  # the port is no number
        pass
    raise SettingsError(
        f"{url!r} is no address of a scheduler; expected dask://HOST:PORT, or local as the setting `executor`."
    )


def connect(url: str) -> Client:
    """Return a client of the scheduler at `dask://HOST:PORT`. Raises `ExecutorError` when it does not respond."""
    address = cluster_address(url)
    log_from(logging.CRITICAL)  # a lost connection is an error of this module
    try:
        LoopRunner().run_sync(_check_response, address)  # in a thread: in a notebook, this one has a loop that runs
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False, name="mlnb")
    except Exception as error:  # another server sends bytes that Dask cannot read
        raise ExecutorError(
            f"No scheduler responds at {url} ({type(error).__name__}). Start one: `mlnb worker --scheduler {url}`."
        ) from error


async def _check_response(address: str) -> None:
    """Request the identity of a scheduler: a `Client` waits without limit for a server that accepts and is silent."""
    async with asyncio.timeout(CONNECT_SECONDS), rpc(address, timeout=CONNECT_SECONDS) as scheduler:
        await scheduler.identity()


def log_from(level: int) -> None:
    """Have Dask log messages of a level, and of higher ones; the logger of clients has another level by default."""
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(level)


def joined_workers(client: Client) -> dict[str, Versions]:
    """Return the versions of each worker that `mlnb worker` has started, by its address."""
    workers: Mapping[str, Mapping[str, Any]] = client.scheduler_info()["workers"]
    return {address: worker[VERSIONS] for address, worker in workers.items() if VERSIONS in worker}


def check_equal(workers: Mapping[str, Versions]) -> None:
    """Raise `ExecutorError` that names what differs when a worker is not as this machine."""
    own = worker_versions()
    for address, versions in workers.items():
        if different := differences(own, versions):
            raise ExecutorError(
                f"The worker at {address} differs from this machine: {different}. Install the same versions, with one "
                "constraints.txt, on machines of one platform."
            )


def check_admission(url: str) -> None:
    """Raise `ExecutorError` that names the difference when a worker that has joined is not as this machine."""
    client = connect(url)
    try:
        check_equal(joined_workers(client))
    finally:
        client.close()


class DaskCluster:
    """A connection to the workers of a scheduler; used by several threads."""

    def __init__(self, url: str) -> None:
        """Connect, and wait for the first worker.

        Args:
            url: dask://HOST:PORT.

        Raises:
            SettingsError: The URL has another form.
            ExecutorError: No scheduler responds, no worker joins, or one differs from this machine.
        """
        self.url = url
        self._client = connect(url)
        self._cancelled = threading.Event()
        self._running: dict[str, SimpleQueue[str | None]] = {}  # notes by name; None: the end
        try:
            self._wait_for_workers()
        except ExecutorError:
            self._client.close()
            raise

    def _wait_for_workers(self) -> None:
        latest = time.monotonic() + WORKER_SECONDS
        while not (workers := joined_workers(self._client)):
            if time.monotonic() > latest:
                raise ExecutorError(f"No worker has joined {self.url}. Start one: `mlnb worker --on {self.url}`.")
            time.sleep(POLL)
        check_equal(workers)

    def hosts(self) -> int:
        """Return the number of machines with workers."""
        return len({urlsplit(address).hostname for address in joined_workers(self._client)})

    def call(self, task: Task, name: str, message: str, on_note: Callable[[str], None], copies: int = 1) -> str | None:
        """Run a task on one worker, again on another one when it is lost; return its reply, None after `cancel`.

        Args:
            task: A function of a module that workers have.
            name: Names the work: while one copy of it runs, each process that requests it gets its notes and its reply.
            message: What it gets.
            on_note: Called with each note that it sends, in this thread.
            copies: Number of workers that run it at once; the first reply counts, and the others are ended.

        Raises:
            ExecutorError: The scheduler was lost, or the task has ended several workers.
        """
        topics = [f"mlnb-{name}"] if copies == 1 else [f"mlnb-{secrets.token_hex(16)}" for _ in range(copies)]
        notes = self._running[name] = SimpleQueue[str | None]()
        futures: list[Future[str]] = []
        for number, topic in enumerate(topics):
            self._client.subscribe_topic(topic, lambda event: notes.put(event[1]))
            options = {"key": topic, "pure": False, "resources": {RESOURCE: 1}, "priority": -number}
            futures.append(self._client.submit(task, topic, message, **options))
            futures[-1].add_done_callback(lambda _: notes.put(None))
        try:
            while not self._cancelled.is_set():
                if (note := notes.get()) is not None:
                    on_note(note)
                elif any(future.status == "finished" for future in futures) or all(one.done() for one in futures):
                    break
            return self._reply(futures)
        finally:
            self._running.pop(name)
            for topic, future in zip(topics, futures, strict=True):
                self._client.unsubscribe_topic(topic)
                if not future.done():  # that of a finished one would end the next task of this name
                    future.cancel()

    def _reply(self, futures: "list[Future[str]]") -> str | None:
        """Return the reply of the first task that has one; None after `cancel`."""
        finished = next((future for future in futures if future.status == "finished"), None)
        if finished is None and self._cancelled.is_set():
            return None
        try:
            return str((finished or futures[0]).result())
        except KilledWorker as error:
            raise ExecutorError(f"{error.allowed_failures + 1} workers ended while they ran it.") from error
        except CancelledError as error:
            raise ExecutorError(f"The connection to the scheduler at {self.url} was lost.") from error

    def cancel(self) -> None:
        """End all tasks: each `call` returns None at once, and workers end what they run."""
        self._cancelled.set()
        for notes in list(self._running.values()):
            notes.put(None)

    def close(self) -> None:
        """Close the connection; workers stay."""
        self._client.close()
