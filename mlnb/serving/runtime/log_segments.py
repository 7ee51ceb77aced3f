"""Segments of the prediction log: lines while they are written, Parquet with one row a predicted row once they end."""

import gc
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

FACTS = ("request", "row", "time", "model", "milliseconds", "shadow", "refused")  # of every predicted row
_SHARED = ("request", "time", "model", "milliseconds", "shadow", "refused", "row")  # the order they are collected in
INPUT, OUTPUT = "in.", "out."  # what the names of the columns of rows and answers begin with


def read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the requests of a segment of JSON lines, and how many lines were torn or damaged."""
    damaged: list[bytes] = []
    return list(_requests(path, damaged.append)), len(damaged)


def _requests(path: Path, damaged: Callable[[bytes], Any]) -> Iterator[dict[str, Any]]:
    """The requests of a segment, one at a time; lines that are none are handed to `damaged`."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):  # what follows the last was never finished
                try:
                    yield json.loads(line)
                    continue
                except ValueError:
                    pass
            if line.strip():
                damaged(line)


def to_table(requests: Iterable[dict[str, Any]]) -> Any:
    """Return an Arrow table with a row a predicted row, in order; one of row -1 for a refused request.

    Its columns are FACTS, `in.<column>` and `out.<field>`, each of numbers, truth values or texts, whichever fits all.
    Rows with the same keys are turned into columns together. A forecast has a history for rows and a horizon for
    answers: of it a record holds one of each, or of either, and nothing is left out.
    """
    import pyarrow as pa

    groups: dict[Any, tuple[list[int], list[tuple[Any, ...]]]] = {}
    places = itertools.count()
    nothing: dict[str, Any] = {}
    for request in requests:
        shared = (request["id"], request["time"], request["model"], request["ms"], bool(request.get("shadow", False)))
        if "refused" in request:
            record = (*shared, ", ".join(request["refused"]), -1)
            _add(groups, ((), ()), next(places), record)
        pairs = itertools.zip_longest(request["rows"], request["answers"], fillvalue=nothing)
        for number, (row, answer) in enumerate(pairs):
            said = _flat(answer)
            record = (*shared, None, number, *row.values(), *said.values())
            _add(groups, (tuple(row), tuple(said)), next(places), record)
    count = next(places)
    columns: dict[str, list[Any] | tuple[Any, ...]] = {}
    for (row_names, answer_names), (where, records) in groups.items():
        names = [*_SHARED, *(f"{INPUT}{name}" for name in row_names), *(f"{OUTPUT}{name}" for name in answer_names)]
        for name, values in zip(names, zip(*records, strict=True), strict=True):
            if len(where) == count:
                columns[name] = values
                continue
            whole = columns.setdefault(name, [None] * count)
            for place, value in zip(where, values, strict=True):
                whole[place] = value  # type: ignore[index]
    return pa.table({name: _column(pa, columns[name]) for name in (*FACTS, *columns) if name in columns})


def _add(groups: dict[Any, tuple[list[int], list[tuple[Any, ...]]]], key: Any, place: int, record: Any) -> None:
    where, records = groups.setdefault(key, ([], []))
    where.append(place)
    records.append(record)


def _flat(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer's fields; those of an object inside it by `outer.inner`."""
    flat = {}
    for name, value in answer.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{inner}": found for inner, found in _flat(value).items()})
        else:
            flat[name] = value
    return flat


def _column(pa: Any, values: Sequence[Any]) -> Any:
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
    except UnicodeEncodeError:  # half a pair of surrogates, which JSON can say and UTF-8 cannot
        return pa.array([v and v.encode("utf-8", "backslashreplace").decode() for v in texts], pa.string())


def convert(path: Path) -> Path | None:
    """Turn a segment of JSON lines into Parquet beside it and remove the lines; None when it holds no whole line."""
    import pyarrow.parquet as parquet

    table = to_table(_requests(path, lambda line: None))
    target = path.with_suffix(".parquet")
    if table.num_rows:
        part = target.with_suffix(f".{os.getpid()}.part")  # whoever reads sees the whole file or none
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            parquet.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    path.unlink(missing_ok=True)
    return target if table.num_rows else None


def convert_and_ship(path: Path, url: str) -> Path | None:
    """Convert a segment, then copy every finished one that is not there yet to a folder of object storage.

    A copy that fails is made with the next segment: nothing here is removed. Raises OSError when storage refuses.
    """
    import fsspec

    made = convert(path)
    storage, folder = fsspec.core.url_to_fs(url)
    storage.makedirs(folder, exist_ok=True)
    for segment in sorted(path.parent.glob("*.parquet")):
        mark = segment.with_suffix(".shipped")
        if not mark.exists():
            storage.put_file(str(segment), f"{folder.rstrip('/')}/{segment.name}")
            mark.touch()
    return made


if __name__ == "__main__":  # python segments.py SEGMENT [URL]: a service has this done beside it
    gc.disable()  # nothing here refers to itself, and a collector would look at every value again and again
    with suppress(AttributeError, OSError):
        os.nice(19)
    segment, to = Path(sys.argv[1]), "".join(sys.argv[2:])
    if to:
        convert_and_ship(segment, to)
    else:
        convert(segment)
