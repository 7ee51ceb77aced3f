"""Series of rows: keys with missing parts, numbers as keys, and order."""

import numpy as np

from mlnb.methods.series.calendars import Frequency
from mlnb.methods.series.time_series import build_histories, series_codes

DAY = 86_400.0


def test_keys_in_the_order_of_their_first_rows():
    arrays = {"shop": np.array(["b", None, "a", "b"], dtype=object), "unit": np.array([2.0, 1.0, 1.0, 2.0])}
    names, codes = series_codes(arrays, ["shop", "unit"])
    assert names == [("b", "2.0"), ("", "1.0"), ("a", "1.0")] and codes.tolist() == [0, 1, 2, 0]
    assert series_codes(arrays, ["shop"])[0] == [("b",), ("",), ("a",)]
    names, codes = series_codes(arrays, [])
    assert names == [()] and codes.tolist() == [0] * 4
    assert series_codes({"shop": np.zeros(0, dtype=object)}, ["shop"])[0] == []


def test_series_are_sorted_by_key_whatever_the_order_of_the_rows():
    arrays = {
        "day": np.array([3, 0, 1, 2, 0]) * DAY,
        "shop": np.array(["b", "b", "a", "a", None], dtype=object),
        "sold": np.array([4.0, 1.0, 2.0, 3.0, 9.0]),
    }
    series = build_histories(arrays, "day", "sold", ["shop"], Frequency("D", 1))
    assert [each.key for each in series] == [("",), ("a",), ("b",)]
    assert series[1].values.tolist() == [2.0, 3.0] and np.isfinite(series[2].values).tolist() == [1, 0, 0, 1]
    names, codes = series_codes(arrays, ["shop"])
    some = np.array([True, True, False, False, True])
    fewer = {name: values[some] for name, values in arrays.items()}
    retained = build_histories(fewer, "day", "sold", ["shop"], Frequency("D", 1), series=(names, codes[some]))
    assert [each.key for each in retained] == [("",), ("b",)]  # a series whose rows are left out is none
    assert retained[1].values.tobytes() == series[2].values.tobytes() and retained[1].first == series[2].first
