"""Delayed labels: equal ones are added once, different ones are a conflict, and a failure adds none."""

import sqlite3
from contextlib import closing

import pytest

from mlnb.errors import UsageError
from mlnb.monitoring.labels import ORIGIN, LabelHead, add_labels, as_text, read_events, read_head, read_labels


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
    added = add_labels(database, [("a", 0, 1), ("x", 0, 0), ("x", 1, 0)], 1.0, requests={"a": 1})
    assert added.unknown == ["x"] and len(read_labels(database)) == 3  # their segment may come later


def test_labels_of_rows_that_a_request_does_not_have_are_reported(tmp_path):
    counted_from_one = [("a", 1, "no"), ("a", 2, "yes"), ("", 7, "yes")]
    added = add_labels(tmp_path / "labels.db", counted_from_one, 1.0, requests={"a": 2})
    assert (added.new, added.beyond) == (3, [("a", 2)])


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


def test_corrections_are_new_events_and_the_last_one_counts(tmp_path):
    database = tmp_path / "labels.db"
    add_labels(database, [("a", 0, "yes"), ("a", "x", "no")], 10.0, "june.csv")
    assert read_head(tmp_path / "none.db") == LabelHead() and read_head(database).number == 2
    add_labels(database, [("a", 0, "no"), ("a", "x", "no")], 20.0, "july.csv", replace=True)
    events = read_events(database)
    assert [event[:6] for event in events] == [
        (1, "a", 0, "yes", 10.0, "june.csv"),
        (2, "a", "x", "no", 10.0, "june.csv"),
        (3, "a", 0, "no", 20.0, "july.csv"),
    ]
    previous = [ORIGIN, *(event.digest for event in events)]
    assert all(event.digest == event.expected_digest(before) for event, before in zip(events, previous, strict=False))
    assert read_head(database) == LabelHead(number=3, digest=events[2].digest)
    assert read_labels(database) == {("a", 0): ("no", 20.0), ("a", "x"): ("no", 10.0)}
    with closing(sqlite3.connect(database)) as connection:
        for statement in ("UPDATE label_events SET label = 'no'", "DELETE FROM label_events"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


def test_labels_of_an_earlier_version_become_events(tmp_path):
    database = tmp_path / "a#1?.db"  # a name that a URL has to quote
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE labels (request TEXT, row, label TEXT, arrived REAL, origin TEXT)")
        connection.execute("CREATE TABLE changed (request TEXT, row, before TEXT, after TEXT, at REAL, origin TEXT)")
        connection.execute("INSERT INTO labels VALUES ('a', 0, 'no', 30.0, 'july.csv'), ('b', 1, 'yes', 10.0, '')")
        connection.execute("INSERT INTO changed VALUES ('a', 0, 'yes', 'no', 30.0, 'july.csv')")
    before = read_labels(database)
    assert before == {("a", 0): ("no", 30.0), ("b", 1): ("yes", 10.0)} and read_events(database) == []
    assert add_labels(database, [("a", 0, "no"), ("c", 0, "yes")], 40.0).unchanged == 1
    assert read_labels(database) == {**before, ("c", 0): ("yes", 40.0)}
    assert [(event.request, event.label, event.origin) for event in read_events(database)] == [
        ("a", "yes", "before a correction, july.csv"),
        ("b", "yes", ""),
        ("a", "no", "july.csv"),
        ("c", "yes", ""),
    ]
