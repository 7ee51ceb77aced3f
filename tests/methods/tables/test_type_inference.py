"""Conversion of text cells to numbers and dates, with evidence from the whole table."""

import itertools

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.contracts.declarations import ColumnDeclaration
from mlnb.methods.tables import type_inference
from mlnb.methods.tables.column_formats import read_cells
from mlnb.methods.tables.spellings import Spelling
from mlnb.methods.tables.type_inference import clean


def typed(*cells, spelling=None, target=False, **others):
    """The kind, the values and the findings of a column `x` in a table with other columns."""
    raw = pd.DataFrame({"x": list(cells), **others})
    table, schema, findings = clean(raw, "x" if target else None, spelling or Spelling())
    return schema.column("x"), table["x"].tolist(), [f for f in findings if f.column == "x"]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-2.5", "1e3", ".5"], [1.0, -2.5, 1000.0, 0.5]),
        (["1,234", "2,345.5", "12"], [1234.0, 2345.5, 12.0]),
        (["1.234,5", "2,25", "7"], [1234.5, 2.25, 7.0]),
        (["$1,200", "-$3", "$2"], [1200.0, -3.0, 2.0]),
        (["12 %", "7%", "8%"], [12.0, 7.0, 8.0]),
        (["8 kg", "12 kg", "1.5kg"], [8.0, 12.0, 1.5]),
        (["(10.5)", "3", "-4"], [-10.5, 3.0, -4.0]),
        (["\u22122.5", "1", "2"], [-2.5, 1.0, 2.0]),
        (["11'338", "2'000", "5"], [11338.0, 2000.0, 5.0]),
        (["12.5k", "3M", "870"], [12500.0, 3e6, 870.0]),
        (["1.950.267", "472.853", "12"], [1950267.0, 472853.0, 12.0]),
        (["0.12340000000000001", "-7.6", "12"], [0.12340000000000001, -7.6, 12.0]),
    ],
)
def test_numbers_in_many_spellings(cells, values):
    column, parsed, _ = typed(*cells)
    assert column.kind == "number" and parsed == values


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["2024-02-29", "2023-01-01"], ["2024-02-29", "2023-01-01"]),
        (["29.02.2024", "1.3.2024"], ["2024-02-29", "2024-03-01"]),
        (["12/31/2023", "01/02/2024"], ["2023-12-31", "2024-01-02"]),
        (["31/12/2023", "01/02/2024"], ["2023-12-31", "2024-02-01"]),
        (["Jan 5, 2024", "Feb 7, 2024"], ["2024-01-05", "2024-02-07"]),
        (["5 Jan 2024", "7 Feb 2024"], ["2024-01-05", "2024-02-07"]),
        (["Jan-24", "Feb-24"], ["2024-01-01", "2024-02-01"]),
        (["1749-01", "1749-02"], ["1749-01-01", "1749-02-01"]),
        (["2024-W05", "2024-W06"], ["2024-01-29", "2024-02-05"]),
        (["2024-Q1", "2024-Q2"], ["2024-01-01", "2024-04-01"]),
    ],
)
def test_dates_in_many_spellings(cells, values):
    column, parsed, _ = typed(*cells)
    assert column.kind == "date" and [str(value)[:10] for value in parsed] == values


def test_a_column_is_read_by_the_evidence_of_the_others():
    column, rent, _ = typed("862", "1.919", "989", area=["72,5", "158,3", "71,4"])
    assert rent == [862, 1919, 989] and column.format.number.thousands == "."
    column, rent, _ = typed("862", "1.919", "989", rate=["0.25", "0.5", "0.75"])
    assert rent == [862, 1.919, 989] and column.format is None


def test_what_can_be_read_both_ways_is_reported_with_the_setting():
    _, rent, findings = typed("862", "1.919", "989", "450", "1.250")
    assert rent[1] == 1919
    doubts = [f for f in findings if f.severity == "warning"]
    assert len(doubts) == 1 and "ingest.decimal" in doubts[0].action and "1919" in doubts[0].action
    _, rent, findings = typed("862", "1.919", "989", spelling=Spelling(decimal="."))
    assert rent[1] == 1.919 and not [f for f in findings if f.severity == "warning"]


@pytest.mark.parametrize("cells", [["1,5", "2.5"] * 9, ["$5", "€6"] * 9, ["5 kg", "7 lb"] * 9, ["5%", "12"] * 9])
def test_numbers_that_contradict_each_other_are_never_mixed(cells):
    column, _, findings = typed(*cells)
    assert column.kind == "category"
    assert any(f.check == "number format" and f.severity == "warning" for f in findings)


def test_the_order_of_day_and_month_is_that_of_the_file():
    ends = ["25/12/2015", "26/12/2015", "27/12/2015"]
    _, dates, findings = typed("01/02/2016", "03/04/2016", "05/06/2016", end=ends)
    assert str(dates[0])[:10] == "2016-02-01" and not [f for f in findings if f.severity == "warning"]
    _, dates, findings = typed("01/02/2016", "03/04/2016", "07/06/2016")
    assert str(dates[0])[:10] == "2016-01-02" and "ingest.dayfirst" in findings[0].action
    monthly = [f"01/{month:02}/{year}" for year in (2016, 2017) for month in range(1, 13)]
    _, dates, findings = typed(*monthly)
    assert str(dates[1])[:10] == "2016-02-01" and not [f for f in findings if f.severity == "warning"]


def test_a_local_midnight_remains_that_day():
    column, dates, _ = typed(*[f"2024-0{m}-0{d}T00:00:00+0{1 + (m > 3)}:00" for m in (3, 4) for d in (1, 2, 3)])
    assert [str(d)[:10] for d in dates] == [f"2024-0{m}-0{d}" for m in (3, 4) for d in (1, 2, 3)]
    assert column.format.date.zone == "local"


def test_instants_are_evenly_spaced_when_the_clock_changes():
    repeated = ["2024-10-27T01:00:00+02:00", "2024-10-27T02:00:00+02:00", "2024-10-27T02:00:00+01:00"]
    skipped = ["2024-03-31T01:00:00+01:00", "2024-03-31T03:00:00+02:00", "2024-03-31T04:00:00+02:00"]
    for cells in (repeated, skipped):
        column, hours, _ = typed(*cells)
        assert column.format is None and {b - a for a, b in itertools.pairwise(hours)} == {pd.Timedelta(hours=1)}
    days = [
        f"2024-{m}-{d}T00:00:00{o}" for m, d, o in (("03", 30, "+01:00"), ("03", 31, "+01:00"), ("04", "01", "+02:00"))
    ]
    column, values, _ = typed(*days)
    assert column.local and [str(value)[:10] for value in values] == ["2024-03-30", "2024-03-31", "2024-04-01"]


def test_placeholder_dates_and_months_in_digits():
    _, _, findings = typed("1900-01-01", "2024-01-05", "2024-02-06", "2024-03-07")
    assert [f.check for f in findings if f.severity == "warning"] == ["placeholder date"]
    column, dates, _ = typed("202401", "202402", "202403", "202404", "202312")
    assert column.kind == "date" and str(dates[0])[:10] == "2024-01-01"
    assert typed("200000", "195000", "201300", "210050")[0].kind == "number"


def test_the_cells_of_the_training_file_are_read_as_in_training():
    raw = pd.DataFrame(
        {
            "price": ["1.950.267", "472.853,5", "12", ""] * 5,
            "paid": ["$990.95", "$3", "(2.50)", "$1,000"] * 5,
            "day": ["02.09.2022", "25.12.2021", "01.02.2022", "n/a"] * 5,
            "opens": ["00:30", "23:15", "12:00", "07:45"] * 5,
            "share": ["5%", "12.5 %", "1%", "-"] * 5,
        }
    )
    table, schema, _ = clean(raw)
    for column in schema.columns:
        present = table[column.name].notna().to_numpy()
        cells = raw[column.name][present].str.strip().tolist()
        values = table[column.name][present]
        expected = values.astype("datetime64[us]").astype(np.int64) / 1e6 if column.kind == "date" else values
        read = read_cells(cells, column.format)
        assert read.tolist() == np.asarray(expected, dtype=float).tolist(), column.name


def test_digits_behind_a_decimal_point_do_not_make_a_code_but_sixteen_before_it_do():
    assert typed("12345678901234567", "12345678901234568", "1")[0].kind == "category"
    raw = pd.Series(["0.12340000000000001", "1.5", ""], dtype="str")
    assert type_inference._plain_numbers(raw) is not None, "read at once, not text by text"
    assert type_inference._plain_numbers(pd.Series(["12345678901234567"], dtype="str")) is None


def test_whole_numbers_taken_for_an_identifier_are_a_warning_with_the_declaration():
    raw = pd.DataFrame({"id": range(50, 0, -1), "name": [f"n{i}" for i in range(50)], "x": np.arange(50) % 7})
    _, schema, findings = clean(raw)
    by_column = {each.column: each for each in findings if each.check == "identifier"}
    assert {name: each.severity for name, each in by_column.items()} == {"id": "warning", "name": "info"}
    assert 'columns.toml: role = "feature"' in by_column["id"].action and schema.column("id").role == "identifier"


@pytest.mark.parametrize("declared", [None, ColumnDeclaration(kind="date", format="%d.%m.%y")])
def test_births_with_years_of_two_digits_are_in_the_past(declared):
    births = pd.Series(pd.date_range("1931-02-03", "2004-02-29", 200).astype("datetime64[s]"))
    raw = pd.DataFrame({"x": births.dt.strftime("%d.%m.%y").tolist()})
    table, schema, findings = clean(raw, declarations={} if declared is None else {"x": declared})
    assert table["x"].dt.date.tolist() == births.dt.date.tolist()
    again = read_cells(["29.02.00", "31.12.30", "01.01.31"], schema.column("x").format).astype("datetime64[s]")
    assert [str(day)[:10] for day in again] == ["2000-02-29", "2030-12-31", "1931-01-01"]
    assert [f.severity for f in findings if f.check == "ambiguous dates"] == ["warning"]
    assert any("1931 to 2004" in f.action for f in findings)


@pytest.mark.parametrize(
    "cells",
    [
        ["23/05/06", "23/05/07", "23/05/08"],
        [f"{15 + month // 12}/{month % 12 + 1:02}/01" for month in range(50)],
        ["10/10/01", "10/10/02", "10/10/03", "10/10/04", "10/10/05"],
    ],
)
def test_dates_whose_year_may_come_first_are_a_warning(cells):
    _, parsed, findings = typed(*cells)
    assert "ambiguous dates" in [f.check for f in findings if f.severity == "warning"]
    if cells[0] == "15/01/01":
        assert parsed[13].year == 2016 and parsed[13].month == 2


def test_a_declared_date_whose_order_is_open_is_a_warning():
    raw = pd.DataFrame({"x": ["01/02/2016", "03/04/2016", "07/09/2016", "11/10/2016"]})
    findings = clean(raw, declarations={"x": ColumnDeclaration(kind="date")})[2]
    assert "ambiguous dates" in [f.check for f in findings if f.severity == "warning"]
