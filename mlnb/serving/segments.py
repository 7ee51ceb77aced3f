"""Segments of the prediction log: lines while they are written, Parquet with one row a predicted row once they end."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

FACTS = ("request", "row", "time", "model", "milliseconds", "shadow", "refused")  # of every predicted row
INPUT, OUTPUT = "in.", "out."  # what the names of the columns of rows and answers begin with


def read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the requests of a segment of JSON lines, and how many lines were torn or damaged."""
    requests, damaged = [], 0
    data = path.read_bytes()
    lines = data.split(b"\n")
    damaged += bool(lines.pop())  # what follows the last newline was never finished
    for line in lines:
        try:
            requests.append(json.loads(line))
        except ValueError:
            damaged += bool(line.strip())
    return requests, damaged


def flatten(requests: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield a flat record a predicted row: FACTS, `in.<column>`, `out.<field>`; one of row -1 for a refused request."""
    for request in requests:
        if "refused" in request:
            facts = {"request": request["id"], "row": -1, "time": float(request["time"]), "model": request["model"]}
            yield {**facts, "milliseconds": 0.0, "shadow": False, "refused": ", ".join(request["refused"])}
        for number, (row, answer) in enumerate(zip(request["rows"], request["answers"], strict=False)):
            yield {
                "request": request["id"],
                "row": number,
                "time": float(request["time"]),
                "model": request["model"],
                "milliseconds": float(request["ms"]),
                "shadow": bool(request.get("shadow", False)),
                "refused": None,
                **{f"{INPUT}{name}": value for name, value in row.items()},
                **{f"{OUTPUT}{name}": value for name, value in _fields(answer)},
            }


def _fields(answer: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """An answer's fields; those of an object inside it by `outer.inner`."""
    for name, value in answer.items():
        if isinstance(value, dict):
            yield from _fields(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def to_table(records: list[dict[str, Any]]) -> Any:
    """Return an Arrow table of flat records: a column is of numbers, truth values or texts, whichever fits all."""
    import pyarrow as pa

    names = list(dict.fromkeys(name for record in records for name in record))
    return pa.table({name: _column(pa, [record.get(name) for record in records]) for name in names})


def _column(pa: Any, values: list[Any]) -> Any:
    known = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in known) and known:
        return pa.array(values, pa.bool_())
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        try:
            return pa.array([None if value is None else float(value) for value in values], pa.float64())
        except OverflowError:
            pass
    return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())


def convert(path: Path) -> Path | None:
    """Turn a segment of JSON lines into Parquet beside it and remove the lines; None when it holds no whole line."""
    import pyarrow.parquet as parquet

    requests, _ = read_lines(path)
    records = list(flatten(requests))
    target = path.with_suffix(".parquet")
    if records:
        part = target.with_suffix(".part")  # whoever reads sees the whole file or none
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            parquet.write_table(to_table(records), file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    path.unlink()
    return target if records else None


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
