"""What differs between two versions of data: columns, rows by key or by content, and distributions."""

import numpy as np
import pandas as pd
import pytest

from mlnb.errors import UsageError
from mlnb.governance.data_differences import ColumnChange, RowChanges, compare_versions, type_version
from mlnb.methods.contracts.declarations import ColumnDeclaration, Declarations

RANDOM = np.random.default_rng(0)
CUSTOMERS = pd.DataFrame(
    {
        "customer": [f"C{number:04}" for number in range(400)],
        "age": RANDOM.integers(18, 90, 400).astype(str),
        "plan": RANDOM.choice(["basic", "plus"], 400),
    }
)


def version(name, table, declared=None):
    return type_version(name, table, {}, Declarations(columns=declared or {}))


def test_equal_versions_have_no_difference():
    shuffled = CUSTOMERS.sample(frac=1, random_state=1)[["plan", "customer", "age"]].reset_index(drop=True)
    difference = compare_versions(version("a", CUSTOMERS), version("b", shuffled))
    assert difference.is_empty and difference.rows.unchanged == 400 and difference.rows.key == ("customer",)
    assert not any(one.drifted for one in difference.drift)


def test_rows_are_compared_by_an_identifier():
    after = CUSTOMERS.iloc[3:].copy()
    after.loc[after.index[:2], "age"] = "17"
    after.loc[after.index[1:4], "plan"] = "pro"
    after = pd.concat([after, pd.DataFrame({"customer": ["X1"], "age": ["40"], "plan": ["plus"]})], ignore_index=True)
    rows = compare_versions(version("a", CUSTOMERS), version("b", after)).rows
    assert rows == RowChanges(
        key=("customer",), before=400, after=398, unchanged=393, added=1, removed=3, changed=4,
        cells={"plan": 3, "age": 2},
    )  # fmt: skip


def test_without_an_identifier_rows_are_compared_by_content():
    table = CUSTOMERS.drop(columns="customer")
    doubled = pd.concat([table.iloc[1:], table.iloc[1:3]], ignore_index=True)
    rows = compare_versions(version("a", table), version("b", doubled)).rows
    assert rows.key == () and (rows.before, rows.after, rows.changed) == (400, 401, 0)
    assert rows.added - rows.removed == 1 and rows.unchanged + rows.added == 401


def test_columns_that_a_version_lacks_or_types_otherwise_are_named():
    after = CUSTOMERS.rename(columns={"plan": "tariff"})
    after["age"] = [f"{value}.5" for value in after["age"]]
    difference = compare_versions(version("a", CUSTOMERS), version("b", after))
    assert difference.columns == (
        ColumnChange(column="age", before="whole number", after="number"),
        ColumnChange(column="plan", before="category", after=""),
        ColumnChange(column="tariff", before="", after="category"),
    )
    assert difference.rows.changed == 400 and not difference.is_empty


def test_a_shifted_column_is_first():
    after = CUSTOMERS.assign(age=(CUSTOMERS["age"].astype(int) + 30).astype(str))
    drift = compare_versions(version("a", CUSTOMERS), version("b", after)).drift
    assert [one.column for one in drift] == ["age", "plan"] and [one.drifted for one in drift] == [True, False]
    assert drift[0].kind == "number" and "Kolmogorov-Smirnov" in drift[0].reason


def test_declarations_decide_types():
    declared = {"age": ColumnDeclaration(kind="category"), "absent": ColumnDeclaration(kind="number")}
    difference = compare_versions(version("a", CUSTOMERS), version("b", CUSTOMERS, declared))
    assert difference.columns == (ColumnChange(column="age", before="whole number", after="category"),)
    assert [one.column for one in difference.drift] == ["plan"]


@pytest.mark.parametrize(
    "key, expected",
    [(["plan"], "398 rows of version a have the key"), (["custmer"], "no such column.*'customer'")],
)
def test_a_key_must_identify_the_rows(key, expected):
    one = version("a", CUSTOMERS)
    with pytest.raises(UsageError, match=expected):
        compare_versions(one, one, key)
