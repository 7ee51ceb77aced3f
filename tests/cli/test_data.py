"""`mlnb data`: the list of versions, the difference of two, and a restored file, as text and as JSON."""

import json

import pytest
from data_runs import data_project, ingest

from mlnb.cli.main import main

ROWS = [f"C{number:03},{20 + number % 50},{'plus' if number % 3 else 'basic'}" for number in range(120)]
OLDER = [f"C{number:03},{60 + number % 50},{'plus' if number % 3 else 'basic'}" for number in range(10, 130)]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two runs that have read different rows."""
    project = data_project(tmp_path)
    for minute, rows in enumerate((ROWS, OLDER), 1):
        (tmp_path / "people.csv").write_text("\n".join(["customer,age,plan", *rows, ""]))
        ingest(project, "people.csv", minute)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return project


def shown(capsys, *arguments, code=0):
    assert main(["data", *arguments]) == code
    return capsys.readouterr().out


def test_versions_are_listed_newest_first(project, capsys):
    head, newest, oldest = shown(capsys).splitlines()
    assert head.split()[:3] == ["version", "rows", "columns"] and head.split()[-1] == "state"
    assert newest.split()[1] == oldest.split()[1] == "120" and newest.endswith("stored")
    listed = json.loads(shown(capsys, "list", "--json"))
    assert [one["digest"][:12] for one in listed] == [newest.split()[0], oldest.split()[0]]
    assert "1 older version: --last 2 shows all" in shown(capsys, "--last", "1")


def test_a_difference_is_exit_code_1(project, capsys):
    newest, oldest = (one["digest"] for one in json.loads(shown(capsys, "--json")))
    text = shown(capsys, "diff", oldest[:8], "latest", code=1)
    assert "columns: the same names and types" in text
    assert "rows (by customer): 120 before, 120 after: 10 added, 10 removed, 110 changed, 0 unchanged" in text
    assert "age             number" in text and "1 column without distribution shift" in text
    difference = json.loads(shown(capsys, "diff", oldest, newest, "--key", "customer", "--json", code=1))
    assert difference["rows"]["cells"] == {"age": 110} and difference["drift"][0]["column"] == "age"
    assert "0 changed, 120 unchanged" in shown(capsys, "diff", newest, "people.csv")
    assert main(["data", "diff", newest, "nothing.csv"]) == 2


def test_a_version_is_restored_with_a_dvc_pointer(project, capsys):
    oldest = json.loads(shown(capsys, "--json"))[1]["digest"]
    text = shown(capsys, "restore", oldest[:12], "--to", "old.csv", "--dvc")
    assert text.startswith(f"old.csv  byte-equal with version {oldest[:12]} (120 rows, ")
    assert (project.root / "old.csv").read_text().splitlines()[1:] == ROWS
    assert "path: old.csv" in (project.root / "old.csv.dvc").read_text() and "old.csv.dvc" in text
    result = json.loads(shown(capsys, "restore", oldest, "--to", "old.parquet", "--json"))
    assert (result["equality"], result["origin"], result["pointer"]) == ("table-equal", "store", None)
    assert "0 changed, 120 unchanged" in shown(capsys, "diff", oldest, "old.parquet")


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["diff", "latest"], "expected `mlnb data diff A B`"),
        (["restore", "latest"], "which needs --to"),
        (["list", "--to", "a.csv"], "which needs --to"),
        (["list", "--key", "a"], "--key is for"),
        (["--last", "0"], "expected 1 or more"),
        (["restore", "ffffffff", "--to", "a.csv"], "No data version or run is called"),
    ],
)
def test_wrong_arguments(project, capsys, arguments, expected):
    assert main(["data", *arguments]) == 2
    assert expected in capsys.readouterr().err
