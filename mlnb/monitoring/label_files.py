"""The labels of a file, each with the request and the position that it belongs to."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlnb.errors import UsageError
from mlnb.methods.contracts.problems import ProblemContract, required
from mlnb.methods.operations.label_matching import LabelPosition, name_position, period_text
from mlnb.methods.series.calendars import Frequency
from mlnb.methods.tables.values import to_label
from mlnb.methods.tasks.task_traits import traits_of

STEP = "step"  # column of a file that names the step ahead instead of its timestamp

FileRow = Mapping[str, Any]  # a row of a file by column


def label_rows(
    rows: Iterable[FileRow], contract: ProblemContract, request: str, label: str, row: str
) -> Iterator[tuple[str, LabelPosition, Any]]:
    """Yield request, position and label of a file's rows; the label is None where it is missing.

    A label of a ranking may name its item instead of the row. A label of a forecast names the series and the timestamp
    or the step; without a request it is the true value, and belongs to every forecast of that timestamp.

    Args:
        rows: of the file.
        contract: task, item, series.
        request: column of the request id.
        label: column of the label.
        row: column of the number of the row in its request.

    Raises:
        UsageError: a column is missing, or a value in it cannot be read.
    """
    unit, item = traits_of(contract.task).unit, contract.item
    ruler = Frequency.of(contract.ruler) if unit == "history" else None
    for number, record in enumerate(rows, 1):
        if ruler is not None:
            yield _forecast_label(record, number, contract, ruler, request, label)
        elif unit == "query" and row not in record and item is not None and item in record:
            name, _, value = _row_label(record, number, request, label, row)
            yield name, name_position(item=to_label(record[item])), value
        else:
            yield _row_label(record, number, request, label, row)


def _row_label(record: FileRow, number: int, request: str, label: str, row: str) -> tuple[str, int, Any]:
    """Return request, number of the row, and label. Raises `UsageError`."""
    for column in (request, label):
        if column not in record:
            raise UsageError(
                f"The file has no column {column!r}; it has {', '.join(map(str, record))}. "
                "Name the columns: --request NAME, --label NAME."
            )
    index = record.get(row, 0)
    try:
        position = int(index)
    except (TypeError, ValueError):
        position = -1
    if position < 0 or (isinstance(index, float) and index != position):
        raise UsageError(f"Line {number}: found {index!r} as number of the row, expected a whole number from 0 on.")
    return str(record[request]), position, _label_of(record[label])


def _forecast_label(
    record: FileRow, number: int, contract: ProblemContract, ruler: Frequency, request: str, label: str
) -> tuple[str, str, Any]:
    """Return request (empty: every request), step of a series, and label. Raises `UsageError`."""
    time, keys = required(contract.time, "time"), contract.series
    at = time if time in record else STEP
    lacking = [name for name in (label, at, *keys) if name not in record]
    if lacking or (at == STEP and request not in record):
        needed = f"{', '.join([repr(label), *map(repr, keys)])}, and {time!r}, or {request!r} and {STEP!r}"
        raise UsageError(
            f"The file has no column {(lacking or [request])[0]!r}; it has {', '.join(map(str, record))}. "
            f"A label of a forecast needs {needed}."
        )
    series = [to_label(record[name]) or "" for name in keys]
    try:
        when = {STEP: int(record[STEP])} if at == STEP else {"time": period_text(record[time], ruler)}
    except (TypeError, ValueError):
        raise UsageError(f"Line {number}: found {record[at]!r} in {at!r}, expected a date, or a step.") from None
    name = record.get(request)
    return "" if name is None else str(name), name_position(series=series, **when), _label_of(record[label])


def _label_of(value: Any) -> Any:
    """Return the label of a cell; None for an empty one."""
    return None if value is None or value != value or value == "" else value
