"""The prediction log as it lies on the disk: finished segments are Parquet, one row a predicted row."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mlnb.engine.files import writing

FACTS = ("request", "row", "time", "model", "milliseconds")  # of every predicted row
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
    """Yield one flat record a predicted row: request, row, time, model, milliseconds, `in.<column>`, `out.<field>`."""
    for request in requests:
        for number, (row, answer) in enumerate(zip(request["rows"], request["answers"], strict=False)):
            yield {
                "request": request["id"],
                "row": number,
                "time": float(request["time"]),
                "model": request["model"],
                "milliseconds": float(request["ms"]),
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
        with writing(target, 0o600) as file:
            parquet.write_table(to_table(records), file, compression="zstd")
    path.unlink()
    return target if records else None


def convert_finished(folder: Path) -> list[Path]:
    """Convert the segments that a process left behind when it was killed; those of living processes stay."""
    done = []
    for path in sorted(folder.glob("*.jsonl")):
        if not _alive(path):
            made = convert(path)
            done += [made] if made else []
    return done


def _alive(path: Path) -> bool:
    """Whether the process that a segment is named after is still there."""
    try:
        os.kill(int(path.stem.split("-")[1]), 0)
    except (ProcessLookupError, ValueError, IndexError):
        return False
    except PermissionError:
        return True
    return True


def read_log(folder: Path, since: float = float("-inf"), until: float = float("inf")) -> tuple[Any, int]:
    """Return a table (pandas) of the rows predicted in [since, until), seconds since 1970, and the lines damaged.

    Parquet and lines still being written are read alike; rows are in the order of time, each once.
    """
    import pandas as pd
    import pyarrow.parquet as parquet

    frames, damaged = [], 0
    for path in sorted(folder.glob("*.parquet")):
        try:
            frames.append(parquet.read_table(path).to_pandas())
        except (OSError, ValueError):  # ArrowInvalid: a file that was cut off on its way here
            damaged += 1
    for path in sorted(folder.glob("*.jsonl")):
        if path.with_suffix(".parquet").exists():
            continue  # it was converted, and is about to go
        try:
            requests, torn = read_lines(path)
        except FileNotFoundError:
            continue
        damaged += torn
        if requests:
            frames.append(to_table(list(flatten(requests))).to_pandas())
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        return pd.DataFrame({name: [] for name in FACTS}), damaged
    table = pd.concat(frames, ignore_index=True)
    inside = table[(table["time"] >= since) & (table["time"] < until)]
    inside = inside.drop_duplicates(["request", "row", "time"]).sort_values(["time", "request", "row"], kind="stable")
    return inside.reset_index(drop=True), damaged
