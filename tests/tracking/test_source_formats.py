"""How the source of a run was read: layout, missing values and the formats of its columns, in report and command."""

import pytest

from mlnb.cli.main import main
from mlnb.codec import to_json
from mlnb.errors import DamagedFileWarning
from mlnb.methods.contracts.table_formats import ColumnFormat, DateFormat, NumberFormat
from mlnb.methods.tables.columns import Schema
from mlnb.reports.run_report import write_report
from mlnb.tracking.source_formats import read_formats

EURO = ColumnFormat(number=NumberFormat(decimal=",", thousands="."))
DAY = ColumnFormat(date=DateFormat(spellings=("%d.%m.%Y",), dayfirst=True))


def with_formats(values):
    """Return the JSON of a schema of which two columns have a format."""
    schema = Schema.from_json(values).to_json()
    by_name = {column["name"]: column for column in schema["columns"]}
    by_name["fare"] |= {"format": to_json(EURO), "sentinels": [-999.0]}
    by_name["cabin"] |= {"format": to_json(DAY)}
    return schema | {"layout": {**schema["layout"], "separator": ";", "encoding": "cp1252"}}


@pytest.fixture
def project(tmp_path, example):
    return example.make_project(tmp_path / "titanic")


def test_every_format_is_shown_in_report_and_command(project, example, monkeypatch, capsys):
    run = example.make_run(project, change={"schema": with_formats})
    rows = {(row.column, row.setting): row.value for row in read_formats(run)}
    assert rows[None, "separator"] == ";" and rows[None, "encoding"] == "cp1252"
    assert rows["fare", "numbers"] == "decimal ',', thousands '.'" and rows["fare", "missing"] == "-999"
    assert rows["cabin", "dates"] == "%d.%m.%Y, day first"
    page = write_report(run).read_text(encoding="utf-8")
    monkeypatch.chdir(project.root)
    for arguments in (["show"], ["show", "validate"]):
        assert main(arguments) == 0
        text = capsys.readouterr().out
        assert all(value in text for value in rows.values())
    assert all(value.replace("'", "&#39;").replace("<na>", "&lt;na&gt;") in page for value in rows.values())


def test_before_the_source_was_read_there_are_none(project, example):
    assert read_formats(example.make_run(project, upto="ingest")) == []


def test_a_damaged_schema_leaves_a_gap(project, example):
    run = example.make_run(project, change={"schema": lambda values: {"columns": [{"name": "fare"}]}})
    with pytest.warns(DamagedFileWarning, match="schema"):
        assert read_formats(run) == []
