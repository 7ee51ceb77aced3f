"""Segments of the prediction log: JSON lines while they are written; Parquet, one row a predicted row, once they end.

The finished segments of a process are entries of a chain, `<process>-<token>.chain`: each entry has the digest and the
number of rows of its segment, and the digest of the entry before, so that every later change is found.

This file also runs as a script, `python log_segments.py SEGMENT` with the URL to copy to as its input, which may have a
password; it imports nothing of mlnb for that.
"""

import gc
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mlnb.codec import Json, JsonObject

COLUMNS = ("request", "row", "time", "model", "milliseconds", "shadow", "refused")  # of every predicted row
_SHARED = ("request", "time", "model", "milliseconds", "shadow", "refused", "row")  # the order they are collected in
INPUT, OUTPUT = "in.", "out."  # prefixes of the columns of rows and responses
CHAIN = ".chain"  # suffix of the files with the digests of finished segments
ORIGIN = "0" * 64  # digest that the first entry of a chain has as that of the one before

Names = tuple[tuple[str, ...], tuple[str, ...]]  # of the columns of rows and of responses
Group = tuple[list[int], list[tuple[Any, ...]]]  # positions in the table, and the values there


class LogRecord(NamedTuple):
    """One request in the prediction log.

    Attributes:
        id: of the request.
        time: seconds since 1970.
        model: name and version.
        ms: milliseconds that the response took.
        rows: as the client sent them.
        responses: as the client received them, or as the shadow would have.
        shadow: whether the responses were not returned.
        refused: columns at fault of a refused request; None: it was not refused.
        numbers: of the rows in the client's request; None: all, from 0.
    """

    id: str
    time: float
    model: str
    ms: float
    rows: "Sequence[JsonObject]"
    responses: "Sequence[JsonObject]"
    shadow: bool = False
    refused: Sequence[str] | None = None
    numbers: Sequence[int] | None = None


class ChainEntry(NamedTuple):
    """A finished segment in the chain of its process.

    Attributes:
        segment: name of its file.
        rows: in it.
        digest: SHA-256 of its bytes.
        previous: digest of the entry before, `ORIGIN` for the first.
    """

    segment: str
    rows: int
    digest: str
    previous: str

    @property
    def own_digest(self) -> str:
        """SHA-256 of everything above."""
        return hashlib.sha256(self.line()).hexdigest()

    def line(self) -> bytes:
        """Return the entry as a line of JSON."""
        return json.dumps(self._asdict(), sort_keys=True).encode() + b"\n"


def parse_entry(line: bytes) -> ChainEntry:
    """Return the entry of a line. Raises `ValueError` when it is not what `ChainEntry.line` has written."""
    try:
        entry = ChainEntry(**json.loads(line))
    except TypeError as error:
        raise ValueError(str(error)) from None
    if list(map(type, entry)) != [str, int, str, str] or entry.line() != line:
        raise ValueError("its fields are not those of an entry")
    return entry


def read_lines(path: Path) -> tuple[list[LogRecord], int]:
    """Return the records of a segment of JSON lines, and how many lines were incomplete or damaged."""
    damaged: list[bytes] = []
    return list(_read_records(path, damaged.append)), len(damaged)


def _read_records(path: Path, on_damage: Callable[[bytes], Any]) -> Iterator[LogRecord]:
    """Yield the records of a segment; lines that hold none are passed to `on_damage`."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):  # what follows the last one was never finished
                try:
                    record = LogRecord(**json.loads(line))
                    if _is_valid(record):
                        yield record
                        continue
                except (TypeError, ValueError):
                    pass
            if line.strip():
                on_damage(line)


def _is_valid(record: Any) -> bool:
    """Return whether the fields of a record have their types, which damage may have changed."""
    lists = (record.rows, record.responses)
    return (
        isinstance(record.time, int | float)
        and all(isinstance(value, list | None) for value in (record.refused, record.numbers))
        and all(isinstance(values, list) and all(isinstance(value, dict) for value in values) for values in lists)
    )


def to_table(records: Iterable[LogRecord]) -> Any:
    """Return an Arrow table with one row a predicted row, in order, and one with row -1 for a refused request.

    Its columns are COLUMNS, `in.<column>` and `out.<field>`, each of numbers, booleans or texts, whichever fits all.
    Rows with the same keys are turned into columns together. The history of a forecast and its horizon differ in
    length: the table has as many rows as the longer one.
    """
    import pyarrow as pa

    groups: dict[Names, Group] = {}
    positions = itertools.count()
    nothing: JsonObject = {}
    for record in records:
        shared = (record.id, record.time, record.model, record.ms, bool(record.shadow))
        if record.refused is not None:
            _add(groups, ((), ()), next(positions), (*shared, ", ".join(record.refused), -1))
        pairs = itertools.zip_longest(record.rows, record.responses, fillvalue=nothing)
        for number, (row, response) in zip(record.numbers or itertools.count(), pairs, strict=False):
            output = _flatten(response)
            values = (*shared, None, number, *row.values(), *output.values())
            _add(groups, (tuple(row), tuple(output)), next(positions), values)
    count = next(positions)
    columns: dict[str, list[Any] | tuple[Any, ...]] = {}
    for (row_names, output_names), (where, rows) in groups.items():
        names = [*_SHARED, *(f"{INPUT}{name}" for name in row_names), *(f"{OUTPUT}{name}" for name in output_names)]
        for name, values in zip(names, zip(*rows, strict=True), strict=True):
            if len(where) == count:
                columns[name] = values
                continue
            whole = columns.setdefault(name, [None] * count)
            for position, value in zip(where, values, strict=True):
                whole[position] = value  # type: ignore[index]
    return pa.table({name: _to_array(pa, columns[name]) for name in (*COLUMNS, *columns) if name in columns})


def _add(groups: dict[Names, Group], key: Names, position: int, values: tuple[Any, ...]) -> None:
    where, rows = groups.setdefault(key, ([], []))
    where.append(position)
    rows.append(values)


def _flatten(response: "JsonObject") -> "JsonObject":
    """Return a response's fields; those of an object in it as `outer.inner`."""
    flat: dict[str, Json] = {}
    for name, value in response.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{inner}": field for inner, field in _flatten(value).items()})
        else:
            flat[name] = value
    return flat


def _to_array(pa: Any, values: Sequence[Any]) -> Any:
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {float}:
        return pa.array(values, pa.float64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds <= {int, float}:
        try:
            return pa.array([None if value is None else float(value) for value in values], pa.float64())
        except OverflowError:
            pass
    texts = values if kinds == {str} else [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold and UTF-8 cannot
        return pa.array([v and v.encode("utf-8", "backslashreplace").decode() for v in texts], pa.string())


def _open_private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def convert_segment(path: Path) -> Path | None:
    """Write a segment of JSON lines as a Parquet file of the same name and remove the lines.

    Damaged lines are kept in a file of the same name with the suffix `.damaged`.

    Returns:
        the Parquet file; None when the segment holds no complete line.
    """
    import pyarrow.parquet as parquet

    damaged: list[bytes] = []
    table = to_table(_read_records(path, damaged.append))
    target = path.with_suffix(".parquet")
    if table.num_rows:
        part = target.with_suffix(f".{os.getpid()}.part")  # readers see the whole file or none
        with open(part, "wb", opener=_open_private) as file:
            parquet.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        _add_to_chain(part, target, table.num_rows)
    if damaged:
        with open(path.with_suffix(".damaged"), "ab", opener=_open_private) as file:
            file.writelines(damaged)
    path.unlink(missing_ok=True)
    return target if table.num_rows else None


def chain_path(segment: Path) -> Path:
    """Return the file of the chain that a segment belongs to: that of the process which has written it."""
    writer = segment.stem.partition("-")[2].rpartition("-")[0]
    return segment.with_name((writer or "segments") + CHAIN)


def _add_to_chain(part: Path, target: Path, rows: int) -> None:
    """Rename a finished file to a segment, and add it to its chain; one that is there already stays as it is."""
    digest = _digest(part)
    with open(chain_path(target), "a+b", opener=_open_private) as file:
        with suppress(ImportError):  # Windows has no flock
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        lines = [line for line in file if line.endswith(b"\n")]  # a killed process may have left a part of a line
        entries = []
        for line in lines:
            with suppress(ValueError):  # an altered line is reported by those who verify the chain
                entries.append(parse_entry(line))
        present = [entry.digest for entry in entries if entry.segment == target.name]
        if present and target.exists() and _digest(target) == present[0]:  # a process was killed after it was written
            part.unlink()
            return
        part.replace(target)
        if not present:
            file.truncate(sum(map(len, lines)))
            file.write(ChainEntry(target.name, rows, digest, entries[-1].own_digest if entries else ORIGIN).line())
            file.flush()
            os.fsync(file.fileno())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def convert_and_ship(path: Path, url: str) -> Path | None:
    """Convert a segment, then copy every finished one that is not there yet to a folder of object storage.

    A copy that fails is made with the next segment: no local file is removed.

    Raises:
        OSError: the storage refuses.
    """
    import fsspec

    converted = convert_segment(path)
    storage, folder = fsspec.core.url_to_fs(url)
    storage.makedirs(folder, exist_ok=True)
    for segment in sorted(path.parent.glob("*.parquet")):
        mark = segment.with_suffix(".shipped")
        if not mark.exists():
            storage.put_file(str(segment), f"{folder.rstrip('/')}/{segment.name}")
            mark.touch()
    if converted:
        chain = chain_path(converted)
        storage.put_file(str(chain), f"{folder.rstrip('/')}/{chain.name}")
    return converted


if __name__ == "__main__":  # a service runs this in a separate process
    gc.disable()  # there are no reference cycles here, and the collector would look at every value again and again
    with suppress(AttributeError, OSError):
        os.nice(19)
    segment, to = Path(sys.argv[1]), sys.stdin.read()
    if to:
        convert_and_ship(segment, to)
    else:
        convert_segment(segment)
