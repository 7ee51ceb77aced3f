"""The helper process that holds the client of the remote store: requests and replies are matched by number.

A client that was used before a fork makes the child hang. So no process that forks has one: not the warm parent, not
the kernels, which fork for snapshots, and not the command either.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from mlnb.engine.remote_messages import Numbered, Reply, Request, line, replies

MODULE = "mlnb.remote.helper"
PATIENCE = 1.0  # seconds that a helper may take to end
GONE = "its helper process has ended"


class RemoteProcess:
    """A running helper process.

    Attributes:
        pid: Its process id.
    """

    def __init__(self, root: Path, settings: Mapping[str, str]) -> None:
        """Start the process.

        Args:
            root: Folder of the project.
            settings: Environment variables with the settings of the remote store.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **settings},
            start_new_session=True,  # a terminal's Ctrl-C reaches mlnb first
        )
        self.pid = self._process.pid
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Reply]] = {}
        self._number = 0
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="remote", daemon=True)
        self._reader.start()

    def request(self, request: Request) -> Reply:
        """Send a request; return its reply, which states when the process has ended."""
        future: Future[Reply] = Future()
        with self._lock:
            self._number += 1
            number = self._number
            if self._ended:
                return Reply(number=number, down=GONE)
            self._waiting[number] = future
            try:
                assert self._process.stdin is not None
                self._process.stdin.write(line(Numbered(number=number, request=request)))
                self._process.stdin.flush()
            except (OSError, ValueError):
                self._waiting.pop(number)
                return Reply(number=number, down=GONE)
        return future.result()

    def close(self) -> None:
        """End the process; uploads in progress are given up, and no other process sees a part of them."""
        with self._lock:
            self._ended = True
            assert self._process.stdin is not None
            with suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            reply = replies.decode(text)
            with self._lock:
                future = self._waiting.pop(reply.number)
            future.set_result(reply)
        with self._lock:
            self._ended = True
            waiting, self._waiting = self._waiting, {}
        for number, future in waiting.items():
            future.set_result(Reply(number=number, down=GONE))
