"""The table of predictions that a job writes: row numbers, repeated columns of the input, and the responses."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from mlnb.methods.tasks.responders import ResponseColumns

RESERVED = ("row", "file")  # columns of the output that are no predictions


def make_output(rows: np.ndarray, responses: ResponseColumns, retained: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    """Return the table of predictions.

    Columns that never have missing values are declared so, which makes writing them a fifth faster.

    Args:
        rows: number of each row (n,) int64.
        responses: to these rows.
        retained: columns of the input that the output repeats (n,).
    """
    created = _to_columns(responses)
    names = name_retained(list(retained), (*created, *RESERVED))
    repeated = {names[name]: column for name, column in retained.items()}
    columns = {"row": pa.array(rows)} | repeated | created
    schema = pa.schema([pa.field(name, each.type, nullable=name in repeated) for name, each in columns.items()])
    return pa.table(columns, schema)


def name_retained(keep: Sequence[str], created: Sequence[str]) -> dict[str, str]:
    """Return the name in the output of each column that it repeats: a different one where the output has that name.

    Args:
        keep: columns of the input.
        created: columns that the output has in any case.
    """
    names = {name: name for name in keep if name not in created}
    taken = {*created, *names}
    for name in dict.fromkeys(keep):
        if name in names:
            continue
        retained = f"input {name}"
        while retained in taken:
            retained = f"input {retained}"
        names[name] = retained
        taken.add(retained)
    return {name: names[name] for name in keep}


def _to_columns(responses: ResponseColumns) -> dict[str, pa.Array]:
    """Return the responses as columns by name."""
    columns: dict[str, pa.Array] = {}
    if responses.labels is not None:
        codes, names = pa.array(responses.labels.astype(np.int32)), pa.array(list(responses.names))
        columns["prediction"] = pa.DictionaryArray.from_arrays(codes, names, safe=False)
    if responses.values is not None:
        columns["prediction" if responses.labels is None else "score"] = pa.array(responses.values)
    if responses.bounds is not None:
        columns |= {end: _to_numbers(responses.bounds[:, j]) for j, end in enumerate(("low", "high"))}
    if responses.probabilities is not None:
        classes = enumerate(responses.names)
        columns |= {f"probability {name}": _to_numbers(responses.probabilities[:, j]) for j, name in classes}
    return columns


def _to_numbers(values: np.ndarray) -> pa.Array:
    return pa.array(np.ascontiguousarray(values))
