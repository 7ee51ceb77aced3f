"""The prediction log of a service: requests are recorded off the request path, in segments that survive a kill."""

import asyncio
import logging
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from mlnb.methods.contracts.responses import RowProblem
from mlnb.serving.runtime import log_segments
from mlnb.serving.runtime.log_lines import Content, encode, quote, write_line
from mlnb.serving.runtime.log_policy import LogPolicy
from mlnb.serving.runtime.segment_file import SegmentFile
from mlnb.serving.runtime.structured_logs import log_event
from mlnb.settings import ServiceSettings
from mlnb.url_passwords import mask_passwords

FLUSH = 0.5  # seconds between two writes to disk: what a crash can lose at most, and one second with the next line
COMMAND = (sys.executable, "-P", str(Path(log_segments.__file__)))  # what turns a finished segment into Parquet
LIMIT_BYTES = 2**26  # of JSON text that may wait to be written
HOUR = 3600.0  # seconds that this may take, with the copy to object storage

Convert = Callable[[Path], Any]  # called with a finished segment
CountRows = Callable[[str, int], None]  # called with "recorded" or "dropped", and a number of rows


class _Waiting(NamedTuple):
    """A record whose line is written later: its start, rows and responses."""

    start: bytes
    rows: Content
    responses: Content

    def size(self) -> int:
        """Return the bytes of its JSON text."""
        return sum(len(part) for part in (self.rows, self.responses) if isinstance(part, bytes | bytearray))


class PredictionLog:
    """Writes records to a folder, from a separate thread.

    A segment is a file of JSON lines, one a request, named `<start>-<process>-<token>-<number>.jsonl`; when it ends,
    another thread passes it to `convert`. A line counts once its newline is there.

    Args:
        folder: of the segments.
        policy: how the log is kept.
        convert: called with each finished segment; None: it stays as lines.
        clock: returns seconds since 1970.
        count: called with the number of rows that were recorded or dropped.
    """

    def __init__(
        self,
        folder: Path,
        policy: LogPolicy | None = None,
        convert: Convert | None = None,
        clock: Callable[[], float] = time.time,
        count: CountRows = lambda result, rows: None,
    ) -> None:
        self.folder = folder
        self.policy = policy or LogPolicy()
        self.recorded = 0  # rows on disk
        self.dropped = 0  # rows that were not logged, because the queue or the disk was full
        self.failure = ""  # why the last write failed
        self._convert, self._clock, self._count = convert, clock, count
        self._queue: deque[_Waiting] = deque()
        self._rows = self._bytes = 0  # rows and bytes in `_queue`
        self._space = threading.Condition()
        self._ended = threading.Event()
        self._segment: SegmentFile | None = None
        self._finished: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        folder.mkdir(parents=True, exist_ok=True)
        self._threads = [
            threading.Thread(target=work, name="prediction log", daemon=True) for work in (self._work, self._finish)
        ]
        for thread in self._threads:
            thread.start()

    @classmethod
    def from_settings(
        cls, settings: ServiceSettings, count: CountRows = lambda result, rows: None, model: str = ""
    ) -> "PredictionLog | None":
        """Return the log that the settings configure, or None; segments become Parquet where pyarrow is installed.

        Args:
            settings: of the service.
            count: called with the number of rows that were recorded or dropped.
            model: whose log it is, in a folder of that name; empty: the service has one model.
        """
        if not settings.log:
            return None
        url = f"{settings.log_to.rstrip('/')}/{model}" if settings.log_to and model else settings.log_to
        convert = partial(convert_in_process, url=url) if url or find_spec("pyarrow") else None
        return cls(Path(settings.log, model), LogPolicy.from_settings(settings), convert, count=count)

    def record(
        self,
        request: str,
        version: str,
        rows: Content,
        responses: Content,
        seconds: float,
        event_time: bytes = b"",
        shadow: bool = False,
        count: int | None = None,
        numbers: Sequence[int] = (),
    ) -> None:
        """Record a request and its responses; JSON text is written as it is.

        Args:
            request: id of the request.
            version: of the model.
            rows: as the client sent them.
            responses: as the client receives them.
            seconds: that the responses took.
            event_time: seconds since 1970 as the request states them; see `LogPolicy`.
            shadow: whether the responses are not returned.
            count: number of rows; needed where they are JSON text.
            numbers: of the rows in the client's request, of which other models got the others; empty: all, from 0.
        """
        count = len(rows) if count is None else count
        head = f'"ms":{1000 * seconds:.4f},"shadow":{"true" if shadow else "false"}'
        if numbers:
            head += f',"numbers":{encode(numbers)}'
        self._add(count, request, version, event_time, head, rows, responses)

    def record_refusal(
        self, request: str, version: str, problems: Sequence[RowProblem], event_time: bytes = b""
    ) -> None:
        """Record a request that was refused, with the columns at fault."""
        columns = sorted({problem.column for problem in problems if problem.column is not None})
        self._add(1, request, version, event_time, f'"ms":0.0,"refused":{encode(columns)}', b"[]", b"[]")

    def _add(
        self, count: int, request: str, version: str, event_time: bytes, head: str, rows: Content, responses: Content
    ) -> None:
        count = max(1, count)
        time = self._time_of(event_time)
        start = f'{{"id":{quote(request)},"time":{time!r},"model":{quote(version)},{head},"rows":'.encode()
        entry = _Waiting(start, rows, responses)
        size = entry.size()
        with self._space:
            if self._is_full(count, size):
                if self.policy.when_full == "drop":
                    self._drop(count)
                    return
                while self._is_full(count, size) and not self._ended.is_set() and not _in_event_loop():
                    self._space.wait(FLUSH)
            self._queue.append(entry)
            self._rows += count
            self._bytes += size

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be written, and no segment is open."""
        return self._segment is None and not self._queue

    def may_wait(self, rows: int) -> bool:
        """Return whether recording a request with that many rows may take until the queue has space."""
        return self.policy.when_full == "wait" and self._is_full(rows, 0)

    def _is_full(self, rows: int, size: int) -> bool:
        full = self._rows + rows > self.policy.limit or self._bytes + size > LIMIT_BYTES
        return full and bool(self._queue)  # a request that is larger than the queue has it alone

    def _drop(self, rows: int) -> None:
        self.dropped += rows
        self._count("dropped", rows)

    def _time_of(self, event_time: bytes) -> float:
        if self.policy.event_time and event_time:
            with suppress(ValueError):
                return float(event_time)
        return self._clock()

    def close(self, patience: float = 10.0) -> None:
        """Write what is waiting and end; what is not converted within `patience` seconds stays as lines."""
        self._ended.set()
        for thread in self._threads:
            thread.join(patience)

    def _work(self) -> None:
        while True:
            last = self._ended.wait(FLUSH)
            with self._space:
                entries, rows = self._queue, self._rows
                self._queue, self._rows, self._bytes = deque(), 0, 0
                self._space.notify_all()
            if self._segment and self._segment.is_gone():
                self._drop_segment(self._segment)
            if entries:
                self._write(entries, rows)
            if self._segment and (last or self._is_complete(self._segment)):
                self._finish_segment(self._segment)
            if last and not self._queue:
                self._finished.put(None)
                return

    def _write(self, entries: Iterable[_Waiting], rows: int) -> None:
        try:
            if self._segment is None:
                self._segment = SegmentFile(self.folder, self._clock())
            lines = (part for entry in entries for part in write_line(*entry, self.policy.masked))
            self._segment.write(lines, rows)
        except OSError as error:  # a full disk must not stop the service: it goes on, and counts
            with self._space:
                self._drop(rows)
            if self._segment and self._segment.is_broken:
                self._finish_segment(self._segment)
            self._fail(str(error))
            return
        self.recorded, self.failure = self.recorded + rows, ""
        self._count("recorded", rows)

    def _is_complete(self, segment: SegmentFile) -> bool:
        return segment.rows >= self.policy.rows or self._clock() - segment.start >= self.policy.seconds

    def _finish_segment(self, segment: SegmentFile) -> None:
        segment.close()
        self._finished.put(segment.path)
        self._segment = None

    def _drop_segment(self, segment: SegmentFile) -> None:
        """Count the rows of a segment that was deleted or moved; the next record begins another one."""
        with self._space:
            self._drop(segment.rows)
        segment.close()
        self._segment = None
        self._fail(f"{segment.path} was deleted or moved, or its folder was")

    def _fail(self, reason: str) -> None:
        if reason != self.failure:
            log_event("prediction log failed", logging.ERROR, reason=reason, dropped=self.dropped)
        self.failure = reason

    def _finish(self) -> None:
        while (path := self._finished.get()) is not None:
            if self._convert is not None:
                try:
                    self._convert(path)
                except Exception as error:  # noqa: BLE001 -- the lines are safe; readers convert them
                    self._fail(f"{path.name} was not converted: {error}")


def convert_in_process(path: Path, url: str = "") -> None:
    """Convert a segment, and copy it to `url`, in a separate process of the lowest priority.

    Raises:
        OSError: it failed; the message is the last line of its output.
    """
    done = subprocess.run(
        [*COMMAND, path],
        input=url,
        capture_output=True,
        text=True,
        timeout=HOUR,
        check=False,
        start_new_session=True,  # Ctrl-C ends the service, and it waits for this
    )
    if done.returncode:
        reason = mask_passwords((done.stderr.strip().splitlines() or ["no output"])[-1])
        raise OSError(f"{reason} (exit code {done.returncode})")


def _in_event_loop() -> bool:
    """Return whether this thread runs an event loop, which must not wait."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
