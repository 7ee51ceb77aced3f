"""Suggestions of the closest name, and lists of the first names."""

from pathlib import Path

from mlnb.suggestions import LISTED, did_you_mean, list_names, similar_file


def test_a_close_name_is_suggested_and_a_distant_one_is_not():
    assert did_you_mean("tunne", ["train", "tune"]) == " Did you mean 'tune'?"
    assert did_you_mean("x", ["train", "tune"]) == ""
    assert did_you_mean("tune", []) == ""


def test_a_file_is_suggested_with_the_folder_that_was_typed(tmp_path: Path) -> None:
    (tmp_path / "März 1").mkdir()
    (tmp_path / "März 1" / "Kündigung.csv").touch()
    assert similar_file("März 1/Kundigung.csv", tmp_path) == " Did you mean 'März 1/Kündigung.csv'?"
    assert similar_file("März 1/prices.parquet", tmp_path) == similar_file("nowhere/a.csv", tmp_path) == ""
    absolute = str(tmp_path / "März 1" / "Kündigungen.csv")
    assert similar_file(absolute) == f" Did you mean {str(tmp_path / 'März 1' / 'Kündigung.csv')!r}?"


def test_lists_of_names_are_bounded():
    assert list_names([]) == "none" and list_names(["b", "a"]) == "a, b"
    assert list_names([f"{number:03}" for number in range(LISTED + 5)]).endswith("019 and 5 more")
