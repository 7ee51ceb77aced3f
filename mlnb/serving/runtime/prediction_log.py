"""The prediction log of a service: every answer is noted off the request path, in segments that survive a kill."""

import itertools
import json
import logging
import os
import queue
import secrets
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlnb.methods.contracts.responses import RowProblem
from mlnb.serving.runtime import log_segments
from mlnb.serving.runtime.request_bodies import MASKED
from mlnb.serving.runtime.structured_logs import log

FLUSH = 0.5  # seconds between two writes to the disk: what a crash can lose at most, and one second with the next line
FOLDER = "MLNB_LOG"  # folder of the prediction log; without it nothing is written down
SHIPPED = "MLNB_LOG_TO"  # folder in object storage that finished segments are copied to, as fsspec writes it
NUMBERS = itertools.count(1)  # of the segments of this process
WORD = secrets.token_hex(4)  # of this process: in containers many have the same number, and ship to one folder
COMMAND = (sys.executable, "-P", str(Path(log_segments.__file__)))  # what turns a finished segment into Parquet
HOUR = 3600.0  # seconds that it may take, with its way to object storage

Convert = Callable[[Path], Any]  # what is done with a finished segment
Count = Callable[[str, int], None]  # told what became of so many rows: recorded or dropped
Content = list[dict[str, Any]] | bytes  # rows or answers, or the JSON list of them

encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
quote = json.encoder.encode_basestring_ascii


def read_masked(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the columns that MLNB_LOG_MASK names, whose values are not written down."""
    return frozenset(filter(None, (part.strip() for part in environment.get("MLNB_LOG_MASK", "").split(","))))


@dataclass(frozen=True)
class Policy:
    """How the log is kept.

    Attributes:
        limit: rows that may wait to be written.
        when_full: drop: the answer goes out unlogged and is counted; wait: it goes out when there is room.
        rows: rows after which a segment ends.
        seconds: and the time after which it does.
        masked: columns whose values are not written down.
        event_time: whether a request says when it happened, as those of a simulated world do.
    """

    limit: int = 100_000
    when_full: str = "drop"
    rows: int = 100_000
    seconds: float = 300.0
    masked: frozenset[str] = frozenset()
    event_time: bool = False

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Policy":
        """Return the policy that MLNB_LOG_LIMIT, _WHEN_FULL, _ROWS, _SECONDS and _MASK state.

        Raises:
            ValueError: if wrong.
        """
        when_full = environment.get("MLNB_LOG_WHEN_FULL", cls.when_full)
        if when_full not in ("drop", "wait"):
            raise ValueError(f"MLNB_LOG_WHEN_FULL is {when_full!r}; expected drop or wait.")
        numbers: dict[str, Any] = {}
        for name, kind in (("limit", int), ("rows", int), ("seconds", float)):
            text = environment.get(f"MLNB_LOG_{name.upper()}")
            if text is not None:
                numbers[name] = kind(text)
                if numbers[name] <= 0:
                    raise ValueError(f"MLNB_LOG_{name.upper()} is {text}; expected a number above 0.")
        told = environment.get("MLNB_LOG_EVENT_TIME", "") == "1"
        return cls(when_full=when_full, masked=read_masked(environment), event_time=told, **numbers)


class Recorder:
    """Writes what `put` is given to a folder, from a thread of its own.

    A segment is a file of JSON lines, one a request, named `<start>-<process>-<word>-<number>.jsonl`; when it ends it
    is handed to `convert`, in another thread. A line counts once its newline is there.
    """

    def __init__(
        self,
        folder: Path,
        policy: Policy | None = None,
        convert: Convert | None = None,
        clock: Callable[[], float] = time.time,
        count: Count = lambda result, rows: None,
    ) -> None:
        self.folder = folder
        self.policy = policy or Policy()
        self.recorded = 0  # rows on the disk
        self.dropped = 0  # rows that were not logged, for want of room or of a disk
        self.failure = ""  # why the disk refused, in words
        self._convert, self._clock, self._count = convert, clock, count
        self._waiting: deque[bytes | tuple[bytes, Content, Content]] = deque()
        self._rows = 0  # rows in `_waiting`
        self._room = threading.Condition()
        self._ended = threading.Event()
        self._segment: Path | None = None
        self._handle = -1
        self._held, self._begun = 0, 0.0
        self._finished: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        folder.mkdir(parents=True, exist_ok=True)
        self._threads = [
            threading.Thread(target=work, name="prediction log", daemon=True) for work in (self._work, self._finish)
        ]
        for thread in self._threads:
            thread.start()

    @classmethod
    def read(
        cls, environment: Mapping[str, str] = os.environ, count: Count = lambda result, rows: None
    ) -> "Recorder | None":
        """Return the log that MLNB_LOG asks for, or None; segments become Parquet where pyarrow is installed."""
        folder = environment.get(FOLDER)
        if not folder:
            return None
        url = environment.get(SHIPPED, "")
        convert = partial(convert_apart, url=url) if url or find_spec("pyarrow") else None
        return cls(Path(folder), Policy.read(environment), convert, count=count)

    def put(
        self,
        request: str,
        version: str,
        rows: Content,
        answers: Content,
        seconds: float,
        event_time: bytes = b"",
        shadow: bool = False,
        count: int | None = None,
    ) -> None:
        """Note a request that was answered; bytes, as they came and went, are written down as they are.

        Args:
            request: its id.
            version: of the model.
            seconds: how long it took.
            event_time: when it happened, as the request says; see `Policy`
            shadow: whether the answers were never sent.
            count: rows, where they are given as bytes.
        """
        count = len(rows) if count is None else count
        head = f'"ms":{1000 * seconds:.4f},"shadow":{"true" if shadow else "false"}'
        self._add(count, request, version, event_time, head, rows, answers)

    def refuse(self, request: str, version: str, problems: Sequence[RowProblem], event_time: bytes = b"") -> None:
        """Note a request that was refused, with the columns at fault."""
        columns = sorted({problem.column for problem in problems if problem.column is not None})
        self._add(1, request, version, event_time, f'"ms":0.0,"refused":{encode(columns)}', b"[]", b"[]")

    def _add(
        self, rows: int, request: str, version: str, event_time: bytes, head: str, sent: Content, said: Content
    ) -> None:
        rows = max(1, rows)
        at = self._moment(event_time)
        start = f'{{"id":{quote(request)},"time":{at!r},"model":{quote(version)},{head},"rows":'.encode()
        entry: bytes | tuple[bytes, Content, Content] = (start, sent, said)
        if isinstance(sent, bytes) and isinstance(said, bytes) and not self.policy.masked:
            entry = _line(start, sent, said)
        with self._room:
            if self._rows + rows > self.policy.limit and self._waiting:
                if self.policy.when_full == "drop":
                    self._drop(rows)
                    return
                while self._rows + rows > self.policy.limit and self._waiting and not self._ended.is_set():
                    self._room.wait(FLUSH)
            self._waiting.append(entry)
            self._rows += rows

    def _drop(self, rows: int) -> None:
        self.dropped += rows
        self._count("dropped", rows)

    def _moment(self, event_time: bytes) -> float:
        if self.policy.event_time and event_time:
            with suppress(ValueError):
                return float(event_time)
        return self._clock()

    def close(self, patience: float = 10.0) -> None:
        """Write what is waiting and end; what is not converted in time stays as lines."""
        self._ended.set()
        for thread in self._threads:
            thread.join(patience)

    def _work(self) -> None:
        while True:
            last = self._ended.wait(FLUSH)
            with self._room:
                taken, rows = self._waiting, self._rows
                self._waiting, self._rows = deque(), 0
                self._room.notify_all()
            if taken:
                self._write(taken, rows)
            if self._segment and (
                last or self._held >= self.policy.rows or self._clock() - self._begun >= self.policy.seconds
            ):
                path, self._segment = self._segment, None
                os.close(self._handle)
                self._finished.put(path)
            if last and not self._waiting:
                self._finished.put(None)
                return

    def _write(self, taken: Iterable[bytes | tuple[bytes, Content, Content]], rows: int) -> None:
        try:
            if self._segment is None:
                self._start_segment()
            data = b"".join(entry if isinstance(entry, bytes) else self._encode(*entry) for entry in taken)
            while data:
                data = data[os.write(self._handle, data) :]
            os.fsync(self._handle)
        except OSError as error:  # a full disk must not stop the service: it goes on answering, and counts
            with self._room:
                self._drop(rows)
            self._fail(str(error))
            return
        self.recorded += rows
        self._count("recorded", rows)
        self._held += rows
        self.failure = ""

    def _fail(self, why: str) -> None:
        if why != self.failure:
            log("prediction log failed", logging.ERROR, why=why, dropped=self.dropped)
        self.failure = why

    def _encode(self, start: bytes, sent: Content, said: Content) -> bytes:
        if self.policy.masked:
            rows = json.loads(_bare(sent)) if isinstance(sent, bytes) else sent
            sent = [
                {n: MASKED if n in self.policy.masked and value is not None else value for n, value in row.items()}
                for row in rows
            ]
        sent, said = (part if isinstance(part, bytes) else encode(part).encode() for part in (sent, said))
        return _line(start, sent, said)

    def _start_segment(self) -> None:
        self._begun, self._held = self._clock(), 0
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(self._begun))
        path = self.folder / f"{stamp}-{os.getpid()}-{WORD}-{next(NUMBERS)}.jsonl"
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._segment = path

    def _finish(self) -> None:
        while (path := self._finished.get()) is not None:
            if self._convert is not None:
                try:
                    self._convert(path)
                except Exception as error:  # noqa: BLE001 -- the lines are safe; whoever reads them converts them then
                    self._fail(f"{path.name} stays here: {error}")


def convert_apart(path: Path, url: str = "") -> None:
    """Convert a segment, and ship it where `url` says, in a process of its own that gives way to all others.

    Raises OSError with what it said last when it fails.
    """
    done = subprocess.run([*COMMAND, path, url], capture_output=True, text=True, timeout=HOUR, check=False)
    if done.returncode:
        raise OSError(f"{(done.stderr.strip().splitlines() or ['no word'])[-1]} (exit code {done.returncode})")


def _line(start: bytes, sent: bytes, said: bytes) -> bytes:
    """A line of a segment: JSON has no line feed but between its tokens, where it may as well be a blank."""
    return b'%b%b,"answers":%b}\n' % (start, _bare(sent).replace(b"\n", b" "), said.replace(b"\n", b" "))


def _bare(body: bytes) -> bytes:
    """A body without the mark of byte order that it may begin with."""
    return body.removeprefix(b"\xef\xbb\xbf")
