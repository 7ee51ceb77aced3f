"""A worker process seen from outside: send a job, follow its progress, end it for certain."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from mlnb.kernels.protocol.jobs import (
    AnyEvent,
    AnyJob,
    CellStarted,
    JobResult,
    NotebookJob,
    ResumeJob,
    WorkerWarning,
    decode_event,
    encode_line,
)

TERMINATE_SECONDS = 5.0  # between SIGTERM and SIGKILL


class Worker:
    """One worker process in a separate session, so that a terminal's Ctrl-C reaches mlnb first.

    Args:
        environment: of the process.
        on_warning: gets what the user should know, in a sentence.
        folder: of the notebooks that will come: the process first starts the warm parent of their kernels, so that the
            parent's imports overlap with its own.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        on_warning: Callable[[str], None] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlnb.kernels.driver.worker", *([] if folder is None else [str(folder)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            bufsize=1,
            env=dict(environment),
            start_new_session=True,
        )
        self.interrupted = False
        self.on_warning = on_warning
        self._events: queue.Queue[AnyEvent | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read_events, daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        """Whether the process can take another job."""
        return self.process.poll() is None and not self.interrupted

    def send(self, job: NotebookJob | ResumeJob) -> bool:
        """Send a job, or the word to continue a paused one; return whether the process could take it."""
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(encode_line(job))
        except (OSError, ValueError):
            return False
        return True

    def execute(self, job: AnyJob, on_cell: Callable[[int, int, str], None], limit: float | None) -> JobResult:
        """Send a job and return its result.

        Args:
            job: the job, or the word to continue one that was sent before.
            on_cell: called with the index of each cell that starts, the number of cells, and the heading above.
            limit: seconds that the job may take in all.
        """
        deadline = None if limit is None else time.monotonic() + limit
        last = JobResult(state="died")  # with the last cell that started
        if not self.send(job):
            return JobResult(state="died", cause=f"the worker process is gone{self._exit_signal()}")
        while True:
            try:
                event = self._events.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self.end()
                return msgspec.structs.replace(last, state="timeout", cause=f"the stage took longer than {limit:g} s")
            if self.interrupted:
                return msgspec.structs.replace(last, state="interrupted")
            if event is None:
                cause = f"the worker process is gone{self._exit_signal()}"
                return msgspec.structs.replace(last, state="died", cause=cause)
            if isinstance(event, CellStarted):
                last = JobResult(state="died", cell=event.cell, heading=event.heading)
                on_cell(event.cell, event.cells, event.heading)
            elif isinstance(event, JobResult):
                if event.cell is None:
                    event = msgspec.structs.replace(event, cell=last.cell, heading=last.heading)
                return event

    def interrupt(self) -> None:
        """End the job that runs, and the process with it."""
        self.interrupted = True
        self.end()

    def end(self) -> None:
        """End the process and its kernels: terminated first, then killed."""
        children = descendants(self.process.pid)
        try:
            self.process.terminate()
            if self.process.stdin:
                self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._reader.join(TERMINATE_SECONDS)
        if self.process.stdout and not self._reader.is_alive():
            self.process.stdout.close()

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                event = decode_event(line)
            except ValueError:  # printed by a library before the worker moved its output
                continue
            if isinstance(event, WorkerWarning):
                if self.on_warning is not None:
                    self.on_warning(event.text)
            else:
                self._events.put(event)
        self._events.put(None)

    def _exit_signal(self) -> str:
        """Return the signal that ended the process; its output ends a moment before its exit status is known."""
        try:
            code = self.process.wait(TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            return ""
        return f" (signal {signal.Signals(-code).name})" if code < 0 else ""


def descendants(pid: int) -> list[int]:
    """Return the ids of the processes below `pid`; none when it is gone."""
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
