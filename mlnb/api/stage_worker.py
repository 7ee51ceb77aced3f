"""A worker of a Dask cluster: runs one stage at a time with warm kernels, as `mlnb stage` does."""

import asyncio
import logging
import os
import signal
import socket
import tempfile
import threading
import warnings
from pathlib import Path
from typing import Any

import dask
import msgspec
from distributed import Reschedule, Scheduler, Worker, WorkerPlugin, get_worker

from mlnb.api.planned_stages import PlannedStage, PlanSource, must_run
from mlnb.api.run_execution import push_run
from mlnb.engine.digests import digest_file
from mlnb.engine.events import CellStarted, Event, EventDispatcher, StageProgress
from mlnb.engine.initial_record import RunOptions
from mlnb.engine.pipeline import Pipeline
from mlnb.engine.run_records import RunState
from mlnb.engine.runs import Run
from mlnb.engine.stage_files import CellNote, ProgressNote
from mlnb.engine.stage_jobs import OutcomeState
from mlnb.engine.stage_orders import OrderNote, OrderReply, StageOrder
from mlnb.engine.test_set_access import Access, add_accesses
from mlnb.errors import ExecutorError, MlnbError, RemoteError
from mlnb.executors import live_snapshots, local
from mlnb.executors.dask_cluster import (
    CONNECT_SECONDS,
    RESOURCE,
    SETTINGS,
    VERSIONS,
    check_admission,
    cluster_address,
    log_from,
)
from mlnb.executors.worker_versions import worker_versions
from mlnb.signing.trusted_keys import required_keys

PLUGIN = "mlnb"  # name of a `StageWorker` among the plugins of a worker
COMMAND = ("mlnb", "worker")
REJOIN_SECONDS = 2.0  # between two attempts to join again


class StageWorker(WorkerPlugin):
    """Runs the stages that a worker gets; the kernels and the plan stay warm between them."""

    name = PLUGIN

    def __init__(self, keys: Path | None = None) -> None:
        """Start nothing yet.

        Args:
            keys: File with the public keys, one of which must have signed a plan; None: any plan is run.

        Raises:
            UsageError: The file is missing, damaged, or has no key.
        """
        if keys is not None:
            required_keys(keys)
        self._keys = keys
        self._lock = threading.Lock()
        self._source: PlanSource | None = None
        self._executor: local.LocalExecutor | None = None
        self._topic, self._stopping = "", False
        self._pipeline: Pipeline | None = None
        self.parents: set[Path] = set()  # folders of the warm parents of the plans whose stages it has run

    def transition(self, key: Any, start: Any, finish: Any, **_: Any) -> None:
        """End the stage of a task whose result is no longer requested."""
        if (start, finish) == ("executing", "released"):
            threading.Thread(target=self.stop, args=(str(key),)).start()

    def teardown(self, worker: Worker) -> None:
        """End the running stage when its worker ends, or is no longer known to the scheduler: another one runs it."""
        self.stop(self._topic)

    def stop(self, topic: str) -> None:
        """End the stage that reports to a topic, if it is running."""
        with self._lock:
            if topic != self._topic:
                return
            self._stopping, pipeline = True, self._pipeline
        if pipeline is not None:
            pipeline.interrupt()

    def close(self) -> None:
        """End all processes."""
        if self._executor is not None:
            self._executor.close()
        if self._source is not None:
            self._source.close()

    def run(self, topic: str, order: StageOrder, worker: Worker) -> OrderReply:
        """Run a stage and push its result; return how it ended.

        Raises:
            Reschedule: The worker is ending.
        """
        with self._lock:
            self._topic, self._pipeline, self._stopping = topic, None, False
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", RuntimeWarning)
            warnings.simplefilter("always", UserWarning)
            try:
                reply = self._run(topic, order, worker)
            except MlnbError as error:
                kind = type(error).__name__
                reply = OrderReply(state=OutcomeState.FAILED, message=f"{kind}: {error}", error=kind)
        if reply.state == OutcomeState.INTERRUPTED:
            raise Reschedule
        texts = tuple(dict.fromkeys(str(warning.message) for warning in caught))
        return msgspec.structs.replace(reply, host=socket.gethostname(), warnings=texts)

    def _run(self, topic: str, order: StageOrder, worker: Worker) -> OrderReply:
        planned = self._plans(order.remote).pull(order.recipe, order.forced)
        add_accesses(planned.planner.project.store_root, (Access(*one) for one in order.accesses))
        if not must_run(planned):
            return OrderReply(state=OutcomeState.FINISHED)
        run = self._execute(topic, planned, worker)
        if run.record.state == RunState.INTERRUPTED:
            return OrderReply(state=OutcomeState.INTERRUPTED)
        push_run(planned.planner, run)
        failure = run.record.failure
        remote = planned.planner.project.store.remote
        if failure is None:
            if remote is None or remote.down or remote.lacks_run(run.id):
                raise RemoteError(f"Stage {order.stage!r} has run, and its result could not be pushed.")
            return OrderReply(state=OutcomeState.FINISHED)
        notebook = digest_file(run.folder / failure.notebook) if failure.notebook else ""
        return OrderReply(
            state=OutcomeState.FAILED,
            cell=failure.cell,
            heading=failure.heading,
            message=failure.message,
            error=failure.error,
            notebook=notebook,
        )

    def _plans(self, url: str) -> PlanSource:
        if self._source is None or self._source.url != url:
            if self._source is not None:
                self._source.close()
            self._source = PlanSource(url, keys=self._keys)
        return self._source

    def _execute(self, topic: str, planned: PlannedStage, worker: Worker) -> Run:
        """Execute a stage; return its run. An executor that was interrupted is replaced."""
        self.parents.add(live_snapshots.parent_folder(planned.planner.project))
        if self._executor is None:
            self._executor = local.LocalExecutor(1)

        def report(event: Event) -> None:
            if isinstance(event, CellStarted):
                note = OrderNote(cell=CellNote(cell=event.cell, cells=event.cells, heading=event.heading))
            elif isinstance(event, StageProgress):
                note = OrderNote(progress=ProgressNote(done=event.done, total=event.total, text=event.text))
            else:
                return
            worker.log_event(topic, msgspec.json.encode(note).decode())

        options = RunOptions(pipeline=planned.pipeline, command=COMMAND, dispatched=True)
        pipeline = Pipeline(planned.planner, self._executor, EventDispatcher([report]), options, 1)
        with self._lock:
            self._pipeline, stopping = pipeline, self._stopping
        if stopping:
            pipeline.interrupt()
        try:
            return pipeline.execute()
        finally:
            with self._lock:
                self._pipeline = None
            if pipeline.cancelled.is_set():
                self._executor.close()
                self._executor = None


def run_order(topic: str, message: str) -> str:
    """Run a stage on this worker: the task of a future.

    Args:
        topic: Where notes are sent to.
        message: A `StageOrder` as JSON.

    Returns:
        An `OrderReply` as JSON.
    """
    worker = get_worker()
    own = worker.plugins[PLUGIN]
    assert isinstance(own, StageWorker)
    return msgspec.json.encode(own.run(topic, msgspec.json.decode(message, type=StageOrder), worker)).decode()


def make_worker(url: str, own: StageWorker, folder: str) -> Worker:
    """Return a worker that has not joined yet; it ends when it is no longer known to the scheduler."""
    versions = worker_versions()

    async def describe(worker: Worker) -> dict[str, str]:
        return versions

    return Worker(
        cluster_address(url),
        nthreads=1,
        name=f"{socket.gethostname()}-{os.getpid()}",
        resources={RESOURCE: 1},
        plugins=(own,),
        startup_information={VERSIONS: describe},
        dashboard=False,
        memory_limit=0,
        local_directory=folder,
    )


def serve_worker(url: str, keys: Path | None = None) -> None:
    """Join a cluster and run its stages until Ctrl-C or SIGTERM; join again when the connection was lost.

    Args:
        url: dask://HOST:PORT.
        keys: File with the public keys, one of which must have signed a plan; None: any plan is run.

    Raises:
        UsageError: The file is missing, damaged, or has no key.
        ExecutorError: No scheduler responds, or a worker that has joined before differs from this machine.
    """
    own = StageWorker(keys)
    check_admission(url)
    with tempfile.TemporaryDirectory(prefix="mlnb-worker-") as folder, dask.config.set(SETTINGS):
        try:
            asyncio.run(_serve_worker(url, own, folder))
        finally:
            own.close()
            live_snapshots.stop_idle_parents(own.parents)


async def _serve_worker(url: str, own: StageWorker, folder: str) -> None:
    stop = _stop_signals()
    while not stop.is_set():
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                worker = await make_worker(url, own, folder)
        except (OSError, TimeoutError, RuntimeError):
            await _sleep(stop, REJOIN_SECONDS)
            continue
        print(f"worker {worker.name} has joined {url}", flush=True)
        ended = asyncio.ensure_future(worker.finished())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            await worker.close()
        else:
            print(f"worker {worker.name}: the scheduler was lost; joins again", flush=True)
        await ended


def serve_scheduler(url: str) -> None:
    """Run the scheduler of a cluster until Ctrl-C or SIGTERM.

    Args:
        url: dask://HOST:PORT, of an address of this machine.

    Raises:
        ExecutorError: The port is in use, or the host is no address of this machine.
    """
    with dask.config.set(SETTINGS):
        asyncio.run(_serve_scheduler(url))


async def _serve_scheduler(url: str) -> None:
    stop = _stop_signals()
    try:
        scheduler = await Scheduler(host=cluster_address(url), dashboard=False, dashboard_address="127.0.0.1:0")
    except RuntimeError as error:
        reason = f"{url}: {error.__cause__ or error}"
        raise ExecutorError(
            f"No scheduler can listen at {reason}. Use an address and a free port of this machine."
        ) from error
    async with scheduler:
        print(f"scheduler at {scheduler.address.replace('tcp', 'dask', 1)}", flush=True)
        await stop.wait()


def _stop_signals() -> asyncio.Event:
    """Return an event that Ctrl-C and SIGTERM set; from now on, Dask reports warnings alone."""
    log_from(logging.WARNING)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
