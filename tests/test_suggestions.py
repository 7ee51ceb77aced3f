"""Suggestions of the closest name."""

from mlnb.suggestions import did_you_mean


def test_a_close_name_is_suggested_and_a_distant_one_is_not():
    assert did_you_mean("tunne", ["train", "tune"]) == " Did you mean 'tune'?"
    assert did_you_mean("x", ["train", "tune"]) == ""
    assert did_you_mean("tune", []) == ""
