"""Roles of columns, and their entries in the schema."""

import pandas as pd
import pytest

from mlnb.methods.tables.column_profiles import describe_column, find_role, is_name_of_id


def test_names_of_identifiers():
    assert all(map(is_name_of_id, ("id", "customer_id", "CustomerID", "row no"))) and not is_name_of_id("paid")


@pytest.mark.parametrize(
    ("name", "kind", "values", "role"),
    [
        ("flag", "boolean", pd.Series([True, None], dtype="boolean"), "feature"),
        ("row", "number", pd.Series(range(100)) + 1.0, "identifier"),
        ("hash", "category", pd.Series([f"h{i}" for i in range(100)]), "identifier"),
        ("hash", "category", pd.Series([f"h{i}" for i in range(10)]), "feature"),
    ],
)
def test_roles(name, kind, values, role):
    assert find_role(name, kind, values)[0] == role


def test_entries_of_the_schema():
    column = describe_column("x", "number", pd.Series([3.0, 1.0, None]), "feature", sentinels=(-999.0,))
    assert column.sentinels == (-999.0,) and column.nullable
    named = describe_column("y", "category", pd.Series(["b", "a", None, "b"] * 5), "feature")
    assert named.categories == ("a", "b") and named.example == "b" and named.missing == 0.25
    assert describe_column("z", "boolean", pd.Series([None, None], dtype="boolean"), "dropped").example is None
