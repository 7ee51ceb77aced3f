"""The helper that every test waits with."""

import pytest
from waiting import wait_for


def test_it_returns_the_first_true_value():
    values = iter([0, "", None, "there", "later"])
    assert wait_for(lambda: next(values), 5, "a value", pause=0) == "there"


def test_it_names_what_it_waited_for_and_what_it_saw_last():
    with pytest.raises(AssertionError, match=r"after 0.05 s: the model not seen, last: 0\nthe log"):
        wait_for(lambda: 0, 0.05, "the model", detail=lambda: "the log")


def test_named_exceptions_count_as_not_yet(tmp_path):
    with pytest.raises(AssertionError, match='last: "FileNotFoundError'):
        wait_for(lambda: (tmp_path / "none").read_text(), 0.05, "the file", ignoring=(OSError,))
    with pytest.raises(FileNotFoundError):
        wait_for(lambda: (tmp_path / "none").read_text(), 0.05, "the file")
