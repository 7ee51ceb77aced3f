"""The prediction log of a service: every answer is noted off the request path, in segments that survive a kill."""

import itertools
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlnb.serving import segments

FLUSH = 0.5  # seconds between two writes to the disk: what a crash can lose at most, and one second with the next line
FOLDER = "MLNB_LOG"  # folder of the prediction log; without it nothing is written down
SHIPPED = "MLNB_LOG_TO"  # folder in object storage that finished segments are copied to, as fsspec writes it
MASKED = "masked"
NUMBERS = itertools.count(1)  # of the segments of this process

Convert = Callable[[Path], Any]  # what turns a finished segment into a Parquet file


@dataclass(frozen=True)
class Policy:
    """How the log is kept."""

    limit: int = 100_000  # rows that may wait to be written
    when_full: str = "drop"  # drop: the answer goes out unlogged and is counted; wait: it goes out when there is room
    rows: int = 100_000  # rows after which a segment ends
    seconds: float = 300.0  # and the time after which it does
    masked: frozenset[str] = frozenset()  # columns whose values are not written down
    event_time: bool = False  # whether a request says when it happened, as those of a simulated world do

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Policy":
        """Return the policy that MLNB_LOG_LIMIT, _WHEN_FULL, _ROWS, _SECONDS and _MASK state; ValueError if wrong."""
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
        masked = frozenset(filter(None, (part.strip() for part in environment.get("MLNB_LOG_MASK", "").split(","))))
        told = environment.get("MLNB_LOG_EVENT_TIME", "") == "1"
        return cls(when_full=when_full, masked=masked, event_time=told, **numbers)


class Recorder:
    """Writes what `put` is given to a folder, from a thread of its own.

    A segment is a file of JSON lines, one a request, named `<start>-<process>-<number>.jsonl`; when it ends it is
    handed to `convert`. A line counts once its newline is there.
    """

    def __init__(
        self,
        folder: Path,
        policy: Policy | None = None,
        convert: Convert | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self.policy = policy or Policy()
        self.recorded = 0  # rows on the disk
        self.dropped = 0  # rows that were not logged, for want of room or of a disk
        self.failure = ""  # why the disk refused, in words
        self._convert = convert
        self._clock = clock
        self._waiting: deque[dict[str, Any]] = deque()
        self._rows = 0  # rows in `_waiting`
        self._room = threading.Condition()
        self._ended = threading.Event()
        self._segment: Path | None = None
        self._handle = -1
        self._held, self._begun = 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._work, name="prediction log", daemon=True)
        self._thread.start()

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "Recorder | None":
        """Return the log that MLNB_LOG asks for, or None; segments become Parquet where pyarrow is installed."""
        folder = environment.get(FOLDER)
        if not folder:
            return None
        convert: Convert | None = segments.convert if find_spec("pyarrow") else None
        if environment.get(SHIPPED):
            convert = partial(segments.convert_and_ship, url=environment[SHIPPED])
        return cls(Path(folder), Policy.read(environment), convert)

    def put(
        self,
        request: str,  # its id
        version: str,  # of the model
        rows: list[dict[str, Any]],
        answers: list[dict[str, Any]],
        seconds: float,  # how long it took
        event_time: bytes = b"",  # when it happened, as the request says; see `Policy`
        shadow: bool = False,  # whether the answers were never sent
    ) -> None:
        """Note a request that was answered."""
        entry = {"rows": rows, "answers": answers, "shadow": shadow}
        self._add(max(1, len(rows)), request, version, seconds, event_time, entry)

    def refuse(self, request: str, version: str, problems: list[dict[str, Any]], event_time: bytes = b"") -> None:
        """Note a request that was refused, with the columns at fault."""
        columns = sorted({str(problem["column"]) for problem in problems if problem["column"] is not None})
        self._add(1, request, version, 0.0, event_time, {"rows": [], "answers": [], "refused": columns})

    def _add(
        self, rows: int, request: str, version: str, seconds: float, event_time: bytes, entry: dict[str, Any]
    ) -> None:
        with self._room:
            if self._rows + rows > self.policy.limit and self._waiting:
                if self.policy.when_full == "drop":
                    self.dropped += rows
                    return
                while self._rows + rows > self.policy.limit and self._waiting and not self._ended.is_set():
                    self._room.wait(FLUSH)
            at = self._moment(event_time)
            self._waiting.append({"id": request, "time": at, "model": version, "ms": 1000 * seconds, **entry})
            self._rows += rows

    def _moment(self, event_time: bytes) -> float:
        if self.policy.event_time and event_time:
            with suppress(ValueError):
                return float(event_time)
        return self._clock()

    def close(self, patience: float = 10.0) -> None:
        """Write what is waiting and end."""
        self._ended.set()
        self._thread.join(patience)

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
                self._end_segment()
            if last and not self._waiting:
                return

    def _write(self, taken: Iterable[dict[str, Any]], rows: int) -> None:
        try:
            if self._segment is None:
                self._start_segment()
            data = b"".join(map(self._line, taken))
            while data:
                data = data[os.write(self._handle, data) :]
            os.fsync(self._handle)
        except OSError as error:  # a full disk must not stop the service: it goes on answering, and counts
            self.dropped += rows
            self.failure = str(error)
            return
        self.recorded += rows
        self._held += rows
        self.failure = ""

    def _line(self, entry: dict[str, Any]) -> bytes:
        if self.policy.masked:
            rows = [
                {
                    name: MASKED if name in self.policy.masked and value is not None else value
                    for name, value in r.items()
                }
                for r in entry["rows"]
            ]
            entry = entry | {"rows": rows}
        return json.dumps(entry, separators=(",", ":"), default=str).encode() + b"\n"

    def _start_segment(self) -> None:
        self._begun, self._held = self._clock(), 0
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(self._begun))
        path = self.folder / f"{stamp}-{os.getpid()}-{next(NUMBERS)}.jsonl"
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._segment = path

    def _end_segment(self) -> None:
        path, self._segment = self._segment, None
        os.close(self._handle)
        if self._convert is not None and path is not None:
            try:
                self._convert(path)
            except Exception as error:  # noqa: BLE001 -- the lines are safe; whoever reads them converts them then
                self.failure = f"{path.name} stays as it is: {error}"
