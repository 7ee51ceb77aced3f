"""`mlnb schema`: the file that the project owns is written once, edited, and checked by every later reader."""

import json

import pandas as pd
import pytest
import toys
from in_process import mlnb_in_process

from mlnb.cli.labels import _check_schema
from mlnb.errors import DataError

RUN = ["run", "--data", "rows.csv", "--target", "y", "--upto", "validate", "--no-report"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project whose data are typed, with a schema."""
    root = toys.new_project(tmp_path_factory.mktemp("schema"))
    rows = pd.DataFrame({"x": range(80), "plan": ["basic", "plus"] * 40, "y": [0.5, 1.5, 2.5, 3.5] * 20})
    rows["mail"] = [f"u{number}@example.org" for number in range(80)]
    rows.to_csv(root / "rows.csv", index=False)
    mlnb_in_process(root, *RUN)
    return root


def test_the_schema_is_written_checked_and_enforced(root):
    text = mlnb_in_process(root, "schema")
    assert "schema.yaml  written from run" in text
    assert "mail looks like personal data (mail addresses) and is not declared: add to columns.toml" in text
    path = root / "schema.yaml"
    assert "exists already" in mlnb_in_process(root, "schema", code=2)
    assert "conforms to schema.yaml" in mlnb_in_process(root, "schema", "--check", "rows.csv")
    plan = mlnb_in_process(root, "plan", *RUN[1:-1])
    assert "expected changed" in plan and "reuse" in plan
    mlnb_in_process(root, *RUN)
    path.write_text(path.read_text().replace("- plus", "- premium"))
    text = mlnb_in_process(root, *RUN, code=3)
    assert "plan: found 'plus', expected one of ['basic', 'premium']" in text, text
    text = mlnb_in_process(root, "schema", "--check", "rows.csv", code=1)
    assert "'plus'" in text and "['basic', 'premium']" in text and "40" in text
    (finding,) = json.loads(mlnb_in_process(root, "schema", "--check", "rows.csv", "--json", code=1))
    assert (finding["column"], finding["rows"], finding["severity"]) == ("plan", 40, "error")
    mlnb_in_process(root, *RUN, "-p", "validate.expected", "")
    path.write_text("columns: [")
    assert "is no Pandera schema" in mlnb_in_process(root, "schema", "--check", "rows.csv", code=2)
    assert "written from run" in mlnb_in_process(root, "schema", "--force")


def test_labels_are_checked(root):
    path = root / "labels.yaml"
    _check_schema(path, pd.Series([99.0]), "y", "june.csv")
    mlnb_in_process(root, "schema", "--force")
    (root / "schema.yaml").rename(path)
    _check_schema(path, pd.Series(["0.5", None, 3.5]), "y", "june.csv")
    _check_schema(path, pd.Series([99.0]), "another", "june.csv")
    with pytest.raises(DataError, match=r"june.csv violates.*\n  y: found 99.0, expected values from 0.5 to 3.5"):
        _check_schema(path, pd.Series([0.5, 99.0]), "y", "june.csv")
