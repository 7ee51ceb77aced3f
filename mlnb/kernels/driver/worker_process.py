"""A worker process seen from outside: send a job, hear where it is, end it for certain."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

Answer = dict[str, Any]
GRACE = 5.0  # seconds between asking a process to end and ending it


class Worker:
    """One worker process in a session of its own, so that a terminal's Ctrl-C reaches mlnb first."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlnb.kernels.driver.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            bufsize=1,
            env=dict(environment),
            start_new_session=True,
        )
        self._answers: queue.Queue[Answer | None] = queue.Queue()
        self.interrupted = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def alive(self) -> bool:
        """Whether the process can take another job."""
        return self.process.poll() is None and not self.interrupted

    def send(self, job: Answer) -> bool:
        """Hand over a job, or the word for one that waits to go on; return whether the process could take it."""
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(job) + "\n")
        except (OSError, ValueError):
            return False
        return True

    def execute(self, job: Answer, on_cell: Callable[[int, int, str], None], limit: float | None) -> Answer:
        """Return {"state", "cell", "heading", "cause"} of one job; `limit` is the seconds it may take in all."""
        deadline = None if limit is None else time.monotonic() + limit
        last: Answer = {"cell": None, "heading": ""}
        if not self.send(job):
            return {"state": "died", "cause": f"the worker process is gone{self._signal()}"}
        while True:
            try:
                answer = self._answers.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self.end()
                return {**last, "state": "timeout", "cause": f"the stage took longer than {limit:g} s"}
            if self.interrupted:
                return {**last, "state": "interrupted", "cause": ""}
            if answer is None:
                return {**last, "state": "died", "cause": f"the worker process is gone{self._signal()}"}
            if answer["event"] == "cell":
                last = {"cell": answer["cell"], "heading": answer["heading"]}
                on_cell(answer["cell"], answer["cells"], answer["heading"])
            elif answer["event"] == "done":
                return last | {name: value for name, value in answer.items() if value is not None}

    def interrupt(self) -> None:
        """End the job that runs, and the process with it."""
        self.interrupted = True
        self.end()

    def end(self) -> None:
        """End the process and its kernels: asked first, then made to."""
        children = descendants(self.process.pid)
        try:
            self.process.terminate()
            if self.process.stdin:
                self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._listener.join(GRACE)
        if self.process.stdout and not self._listener.is_alive():
            self.process.stdout.close()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                self._answers.put(json.loads(line))
            except ValueError:
                continue
        self._answers.put(None)

    def _signal(self) -> str:
        code = self.process.poll()
        return f" (signal {signal.Signals(-code).name})" if code is not None and code < 0 else ""


def descendants(pid: int) -> list[int]:
    """Return the process ids below `pid`, found with psutil; none when it is gone."""
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
