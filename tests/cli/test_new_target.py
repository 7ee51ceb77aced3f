"""`mlnb new` writes only the name of a column that the data has."""

from pathlib import Path

import pytest

from mlnb.cli.main import main
from mlnb.cli.new_target import HEAD, check_target
from mlnb.errors import ParameterError


def test_a_column_that_does_not_exist_is_refused_with_the_closest_name(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("churn.csv").write_text("age;plan;Churn\n31;basic;yes\n45;pro;no\n")
    assert main(["new", "shop", "--data", "churn.csv", "--target", "Chrun"]) == 2
    assert "there is no target column 'Chrun'; did you mean 'Churn'?" in capsys.readouterr().err
    assert not Path("shop").exists()
    for target in ("Churn", "3"):
        check_target(Path("churn.csv"), target)
    with pytest.raises(ParameterError, match="there is no column 4: the table has 3 columns"):
        check_target(Path("churn.csv"), "4")


def test_large_files_are_checked_by_their_head_and_other_sources_by_the_stage(tmp_path, monkeypatch):
    monkeypatch.setattr("mlnb.cli.new_target.WHOLE", 100)
    large = tmp_path / "large.csv"
    large.write_text("age,churn\n" + "31,yes\n" * 200)
    assert large.stat().st_size < HEAD
    check_target(large, "churn")
    with pytest.raises(ParameterError, match="did you mean 'churn'"):
        check_target(large, "chrun")
    (tmp_path / "large.json").write_text("[" + ", ".join(['{"a": 1}'] * 99) + "]")
    for other in ("large.json", "missing.csv"):
        check_target(tmp_path / other, "chrun")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1")
    check_target(broken, "chrun")
