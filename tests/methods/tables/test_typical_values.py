"""Examples of a schema are no single row's values."""

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.tables.column_profiles import describe_column
from mlnb.methods.tables.columns import Schema
from mlnb.methods.tables.typical_values import LEAST_ROWS, separate_example

KINDS = {"income": "number", "count": "number", "sex": "category", "name": "category", "born": "date", "ok": "boolean"}


@pytest.mark.parametrize("seed", range(20))
def test_the_example_is_no_single_row(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = int(random.integers(1, 30))
    table = pd.DataFrame(
        {
            "income": random.normal(50_000, 9_000, rows).round(2),
            "count": random.integers(0, 3, rows).astype(float),
            "sex": random.choice(["f", "m"], rows),
            "name": [f"person {n}" for n in range(rows)],
            "born": pd.to_datetime("1950-01-01") + pd.to_timedelta(random.integers(0, 9_000, rows), unit="D"),
            "ok": random.random(rows) < 0.5,
        }
    )
    names = random.choice(list(KINDS), int(random.integers(1, 4)), replace=False).tolist()
    columns = tuple(describe_column(name, KINDS[name], table[name], "feature") for name in names)
    schema = separate_example(Schema(columns, rows), table)
    example = {column.name: column.example for column in schema.columns}
    assert example.get("name") is None and "person" not in str(schema.column(names[0]).common)
    same = np.ones(rows, dtype=bool)
    for name, value in example.items():
        wanted = pd.Timestamp(value) if name == "born" and value else value
        same &= table[name].isna() if value is None else (table[name] == wanted)
    assert same.sum() == 0 or same.sum() >= LEAST_ROWS
    if "income" in example:
        assert len(str(example["income"]).rstrip("0")) <= 2
