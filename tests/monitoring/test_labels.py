"""Delayed labels: equal ones are added once, different ones are a conflict, and a failure adds none."""

import pytest

from mlnb.errors import UsageError
from mlnb.monitoring.labels import add_labels, as_text, read_labels


def test_equal_labels_are_added_once(tmp_path):
    database = tmp_path / "labels.db"
    first = add_labels(database, [("a", 0, "yes"), ("a", 1, "no"), ("b", 0, None)], 10.0, "june.csv")
    assert (first.new, first.unchanged, first.empty) == (2, 0, 1)
    again = add_labels(database, [("a", 0, "yes"), ("a", 1, "no"), ("b", 0, 1.0)], 20.0)
    assert (again.new, again.unchanged) == (1, 2)
    assert read_labels(database) == {("a", 0): ("yes", 10.0), ("a", 1): ("no", 10.0), ("b", 0): ("1", 20.0)}


def test_a_database_whose_first_labels_were_refused_has_none(tmp_path):
    def refused():
        raise UsageError("no column 'y'")
        yield

    with pytest.raises(UsageError):
        add_labels(tmp_path / "labels.db", refused(), 1.0)
    assert read_labels(tmp_path / "labels.db") == {} == read_labels(tmp_path / "none.db")


def test_a_different_label_is_a_conflict_unless_replacing(tmp_path):
    database = tmp_path / "labels.db"
    add_labels(database, [("a", 0, "yes")], 10.0)
    refused = add_labels(database, [("a", 0, "no")], 20.0)
    assert refused.conflicts == [("a", 0, "yes", "no")] and read_labels(database)[("a", 0)] == ("yes", 10.0)
    replaced = add_labels(database, [("a", 0, "no")], 30.0, replace=True)
    assert replaced.changed == 1 and read_labels(database)[("a", 0)] == ("no", 30.0)


def test_two_labels_of_a_row_in_one_file_are_a_conflict(tmp_path):
    added = add_labels(tmp_path / "labels.db", [("a", 0, "yes"), ("a", 0, "no"), ("a", 0, "yes")], 1.0)
    assert (added.new, added.unchanged, len(added.conflicts)) == (1, 1, 1)


def test_labels_of_unknown_requests_are_reported_and_stored(tmp_path):
    database = tmp_path / "labels.db"
    added = add_labels(database, [("a", 0, 1), ("x", 0, 0), ("x", 1, 0)], 1.0, requests={"a"})
    assert added.unknown == ["x"] and len(read_labels(database)) == 3  # their segment may come later


def test_a_failure_adds_no_label(tmp_path):
    database = tmp_path / "labels.db"

    def broken():
        yield "a", 0, "yes"
        raise UsageError("Line 2 cannot be read.")

    with pytest.raises(UsageError):
        add_labels(database, broken(), 1.0)
    assert add_labels(database, [], 1.0).new == 0 and read_labels(database) == {}
    assert read_labels(tmp_path / "none.db") == {}


def test_labels_as_text():
    assert [as_text(v) for v in (True, 3.0, 2.5, "yes", "1.0", 7)] == ["true", "3", "2.5", "yes", "1", "7"]


def test_labels_of_unknown_classes_are_counted_and_stored(tmp_path):
    database = tmp_path / "labels.db"
    rows = [("a", 0, "Yes"), ("a", 1, 1.0), ("a", 2, "Yes"), ("a", 3, None), ("a", 4, "no")]
    added = add_labels(database, rows, 1.0, classes=("no", "1", "2"))
    assert added.new_classes == {"Yes": 2} and len(read_labels(database)) == 4
    assert add_labels(database, rows, 1.0).new_classes == {}
