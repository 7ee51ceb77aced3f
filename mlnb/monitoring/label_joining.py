"""Which label belongs to which answer: by request and row, by request and item, or by a forecast's series and stamp."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlnb.errors import UsageError
from mlnb.methods.contracts.problems import ProblemContract, required
from mlnb.methods.series.calendars import Frequency, parse_stamp, stamp_text
from mlnb.methods.tables.values import to_label
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.monitoring.labels import Place, pick

Known = Mapping[tuple[str, Place], tuple[str, float]]  # from `read_labels`
STEP = "step"  # column of a file that names the step ahead instead of its stamp


def place(**named: Any) -> str:
    """Return the text that stands for an item, or for a step of a series, in the database of labels."""
    return json.dumps(named, sort_keys=True, ensure_ascii=False)


def pick_places(
    rows: Iterable[Mapping[str, Any]], contract: ProblemContract, request: str, label: str, row: str
) -> Iterator[tuple[str, Place, Any]]:
    """Yield (request, place, label) of a file's rows, as the task names them; `UsageError` when a column lacks.

    A ranking's label may name its item instead of a row. A forecast's names series and stamp, or step; without a
    request it is the true value, and belongs to every forecast of that stamp.

    Args:
        rows: of a file.
        request: columns of the file: the request id,.
        label: the label,.
        row: and the number of the row.
    """
    if traits_of(contract.task).unit == "history":
        yield from _pick_steps(rows, contract, request, label)
        return
    for record in rows:
        item = contract.item
        if traits_of(contract.task).unit == "query" and row not in record and item is not None and item in record:
            ((name, _, value),) = pick([dict(record)], request, label, row)
            yield name, place(item=to_label(record[item])), value
        else:
            yield from pick([dict(record)], request, label, row)


def _pick_steps(
    rows: Iterable[Mapping[str, Any]], contract: ProblemContract, request: str, label: str
) -> Iterator[tuple[str, Place, Any]]:
    ruler, time, keys = Frequency.of(contract.ruler), required(contract.time, "time"), contract.series
    for number, record in enumerate(rows):
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
            when = {STEP: int(record[STEP])} if at == STEP else {"time": _stamp(record[time], ruler)}
        except (TypeError, ValueError):
            raise UsageError(
                f"Line {number + 1}: found {record[at]!r} in {at!r}, expected a date, or a step."
            ) from None
        value = record[label]
        missing = value is None or value != value or value == ""
        name = record.get(request)
        yield "" if name is None else str(name), place(series=series, **when), None if missing else value


def _stamp(value: Any, ruler: Frequency) -> str:
    """The stamp of a value's period, as a forecast's answer writes it."""
    import numpy as np

    period = ruler.periods(np.array([parse_stamp(value, ruler)]))
    return stamp_text(float(ruler.stamps(period)[0]), ruler)


def find_labels(log: Any, known: Known, contract: ProblemContract) -> list[str | None]:
    """Return the label of each logged row as text, None where it has not come.

    A request that was asked again under its id is one: its label belongs to the last answer of a version.

    Args:
        log: pandas, from `read_log`
    """
    identity = list(zip(log["request"].tolist(), log["row"].tolist(), log["model"].tolist(), strict=True))
    last = {key: index for index, key in enumerate(identity)}
    result: list[str | None] = []
    for number, keys in enumerate(_places(log, contract)):
        labels = (known[key][0] for key in keys if key in known)
        result.append(next(labels, None) if last[identity[number]] == number else None)
    return result


def _places(log: Any, contract: ProblemContract) -> Iterator[list[tuple[str, Place]]]:
    """Yield the keys under which each row's label may be, the most certain first."""
    requests, rows = log["request"].tolist(), log["row"].astype(int).tolist()
    if traits_of(contract.task).unit == "history":
        keys, ruler = [f"out.{name}" for name in contract.series or ()], Frequency.of(contract.ruler)
        series = log[keys].astype(str).to_numpy().tolist() if len(keys) else [[]] * len(log)
        for request, key, timestamp, step in zip(requests, series, log["out.time"], log["step"], strict=True):
            time = _stamp(timestamp, ruler) if isinstance(timestamp, str) else timestamp
            exact, ahead = place(series=key, time=time), place(series=key, step=int(step))
            yield [(request, exact), (request, ahead), ("", exact)]
        return
    item = f"in.{contract.item}"
    if traits_of(contract.task).unit == "query" and item in log:
        for request, row, name in zip(requests, rows, log[item].tolist(), strict=True):
            yield [(request, row), (request, place(item=to_label(name)))]
        return
    for request, row in zip(requests, rows, strict=True):
        yield [(request, row)]
