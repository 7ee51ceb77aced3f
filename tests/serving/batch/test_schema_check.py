"""Files to score against the project's schema: what was found and expected in each column, added up over parts."""

import pandas as pd
import pytest

from mlnb.errors import DataError
from mlnb.methods.audit.project_schema import infer_schema
from mlnb.methods.tables.type_inference import clean
from mlnb.serving.batch import schema_check, unit_tables
from mlnb.serving.batch.schema_check import find_violations, refuse_violations


@pytest.fixture
def trained():
    """The schema of a table, and the Pandera schema that is inferred from it."""
    table = pd.DataFrame(
        {
            "age": [str(20 + number % 40) for number in range(60)],
            "plan": ["basic", "plus", None] * 20,
            "since": [f"2024-0{1 + number % 9}-15" for number in range(60)],
            "paid": ["yes", "no"] * 30,
            "y": [str(number % 7) for number in range(60)],
        }
    )
    typed, schema, _ = clean(table, "y")
    return table, schema, infer_schema(typed, schema, pd.Timestamp("2024-09-20"))


def listed(findings):
    return sorted((one.column, one.rows, one.message) for one in findings)


def test_violations_are_listed_with_column_found_and_expected(trained, tmp_path, monkeypatch):
    table, schema, expected = trained
    monkeypatch.setattr(unit_tables, "ROWS", 16)
    monkeypatch.setattr("mlnb.methods.audit.project_schema.current_time", lambda: pd.Timestamp("2024-09-25"))
    path = tmp_path / "rows.csv"

    def write(rows):
        rows.to_csv(path, index=False)
        return str(path)

    assert find_violations([write(table)], schema, expected) == []
    assert find_violations([write(table.drop(columns="y"))], schema, expected) == []
    rows = table.drop(columns="paid").assign(extra="1")
    rows.loc[[3, 40, 41], "age"] = ["99", "17", "old"]
    rows.loc[[5, 50], "plan"] = "gold"
    assert listed(find_violations([write(rows)], schema, expected)) == [
        ("age", 1, "found 'old', expected the type number"),
        ("age", 2, "found 99.0, expected values from 20.0 to 59.0"),
        ("extra", None, "found column 'extra', expected no such column"),
        ("paid", None, "found no column 'paid', expected the column"),
        ("plan", 2, "found 'gold', expected one of ['basic', 'plus']"),
    ]
    assert [one.column for one in find_violations([str(path)], schema, expected, features_only=True)] == ["age", "plan"]


def test_freshness_is_that_of_the_newest_row_of_all_parts(trained, tmp_path, monkeypatch):
    table, schema, expected = trained
    monkeypatch.setattr(unit_tables, "ROWS", 16)
    path = str(tmp_path / "rows.csv")
    table.sort_values("since", ascending=False).to_csv(path, index=False)
    for now, late in (("2024-09-25", False), ("2024-10-25", True)):
        monkeypatch.setattr("mlnb.methods.audit.project_schema.current_time", lambda now=now: pd.Timestamp(now))
        findings = find_violations([path], schema, expected)
        assert [one.column for one in findings] == ["since"] * late
        assert all("expected a value of the last" in one.message for one in findings)


def test_a_refusal_lists_the_most_and_counts_the_rest(trained, tmp_path, monkeypatch):
    table, schema, expected = trained
    path = str(tmp_path / "rows.csv")
    table.assign(age="1", plan="none such").to_csv(path, index=False)
    findings = find_violations([path], schema, expected, features_only=True)
    refuse_violations([], "rows.csv")
    monkeypatch.setattr(schema_check, "SHOWN", 1)
    with pytest.raises(
        DataError, match=r"(?s)rows.csv violates.*age: found 1.0.*\(60 rows\).*and [12] more.*--ignore-schema"
    ):
        refuse_violations(findings, "rows.csv")
