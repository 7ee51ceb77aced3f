"""Times, codes, sentinels and truth values in texts."""

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.tables.parsing import find_codes, find_sentinels, parse_booleans, parse_clocks, read_clocks

SOME = np.arange(40.0) % 17


@pytest.mark.parametrize(
    ("numbers", "sentinels"),
    [
        (np.r_[SOME, -999.0, -999.0, np.nan], (-999.0,)),
        (np.r_[SOME * 100, 999.0, 999.0], ()),
        (np.full(50, 999.0), ()),
        (np.array([]), ()),
        (np.r_[SOME + 90.0, 99.0, 99.0], ()),
    ],
)
def test_sentinels_are_far_from_all_other_numbers(numbers, sentinels):
    assert find_sentinels(numbers) == sentinels


def test_times_of_day_become_seconds():
    assert parse_clocks(pd.Series(["7:15 PM", "12:05am"])).tolist() == [69300.0, 300.0]
    clocks = read_clocks(pd.Series(["12:30", "noon", "7:15 PM"]))
    assert clocks[0] == 45000 and np.isnan(clocks[1]) and clocks[2] == 69300


def test_codes_and_truth_values():
    assert find_codes(pd.Series(["+49301234567", "+4930765432"])) == "telephone numbers"
    assert parse_booleans(pd.Series(["yes", "maybe"])) is None
