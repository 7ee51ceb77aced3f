"""Periods, timestamps and calendar features of plain Python are those of the methods."""

from runpy import run_path

import numpy as np
import pytest

from mlnb.methods.series.calendars import Frequency, calendar
from mlnb.serving.edge.portable_export import PORTABLE

grid = run_path(str(PORTABLE / "time_grid.py"))
GRIDS = [("s", 30, 7.5, False), ("h", 1, 1800.0, False), ("D", 2, 3600.0, False), ("B", 2, 30600.0, False),
         ("W", 1, 345600.0, False), ("M", 2, 0.0, True), ("Q", 1, 0.0, True), ("Y", 1, 0.0, False)]  # fmt: skip


@pytest.mark.parametrize(("unit", "factor", "phase", "end"), GRIDS)
def test_periods_and_calendars_are_those_of_the_methods(unit, factor, phase, end):
    frequency = Frequency(unit, factor, phase=phase, end=end)
    windows = {"frequency": frequency.to_json(), "holidays": []}
    periods = np.arange(-70, 70)
    moments = frequency.stamps(periods)
    assert [grid["timestamp"](int(period), windows) for period in periods] == moments.tolist()
    assert [grid["number_of"](when, windows) for when in moments.tolist()] == periods.tolist()
    expected = calendar(moments, frequency, [])
    actual = [grid["calendar"](when, windows) for when in moments.tolist()]
    np.testing.assert_array_equal(np.array(actual).reshape(expected.shape), expected)
