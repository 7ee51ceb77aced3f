"""A request in the prediction logs of a project: its segment, inputs, responses and labels."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlnb.codec import Record
from mlnb.engine.files import warn_damaged
from mlnb.engine.project import Project
from mlnb.monitoring.labels import read_labels
from mlnb.monitoring.monitoring_paths import label_database
from mlnb.serving.runtime.log_segments import INPUT, OUTPUT, read_lines, to_table


class LoggedRow(Record, frozen=True, kw_only=True):
    """A row of a request.

    Args:
        row: its number in the request, from 0.
        inputs: value of each column, as the client sent it.
        response: value of each field, as the client received it.
        label: the true value, where it has arrived.
    """

    row: int
    inputs: dict[str, Any]
    response: dict[str, Any]
    label: str | None = None


class LoggedRequest(Record, frozen=True, kw_only=True):
    """A request and where it was logged.

    Args:
        id: the id of the request.
        segment: file of the prediction log, relative to the project.
        time: seconds since 1970.
        model: tag of the model that responded, as in the header X-Model-Version.
        shadow: whether the response was only logged.
        refused: columns at fault of a refused request; None: it was not refused.
        rows: its rows; none of a refused request.
    """

    id: str
    segment: str
    time: float
    model: str
    shadow: bool
    refused: str | None
    rows: tuple[LoggedRow, ...]


def find_request(project: Project, request: str) -> list[LoggedRequest]:
    """Return the responses to the requests with an id: one for each model that has responded, in the order of time."""
    matches = []
    for folder in sorted((project.store_root / "predictions").glob("*")):
        labels = read_labels(label_database(project, folder.name))
        for path in sorted(folder.glob("*.parquet")) + sorted(folder.glob("*.jsonl")):
            groups: dict[tuple[str, float, bool], list[dict[str, Any]]] = {}
            for values in _read_rows(path, request):
                groups.setdefault((values["model"], values["time"], bool(values["shadow"])), []).append(values)
            for (model, time, shadow), rows in groups.items():
                logged = LoggedRequest(
                    id=request,
                    segment=path.relative_to(project.root).as_posix(),
                    time=time,
                    model=model,
                    shadow=shadow,
                    refused=next((row["refused"] or "" for row in rows if row["row"] < 0), None),
                    rows=tuple(
                        LoggedRow(
                            row=int(row["row"]),
                            inputs=_fields(row, INPUT),
                            response=_fields(row, OUTPUT),
                            label=labels.get((request, int(row["row"])), (None,))[0],
                        )
                        for row in rows
                        if row["row"] >= 0
                    ),
                )
                matches.append(logged)
    return sorted(matches, key=lambda logged: (logged.time, logged.model))


def _read_rows(path: Path, request: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a request in a segment; a segment that is damaged has a warning and none."""
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        if path.suffix == ".parquet":
            table = parquet.read_table(path, filters=[("request", "=", request)])
        elif path.with_suffix(".parquet").exists():
            return  # it was converted, and is about to go
        else:
            table = to_table(record for record in read_lines(path)[0] if record.id == request)
    except FileNotFoundError:
        return
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        warn_damaged(f"Segment {path} of the prediction log is damaged and is left out: {error}.")
        return
    yield from table.to_pylist()


def _fields(row: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the values of the columns with a prefix that the request has; those of other requests are empty."""
    fields = {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}
    return {name: _parse(value) for name, value in fields.items() if value is not None}


def _parse(value: Any) -> Any:
    """Return a list or an object that the log has as text."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
