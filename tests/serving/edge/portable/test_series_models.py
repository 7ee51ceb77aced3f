"""The models of a window in plain Python have the bits of numpy's, for any window."""

from runpy import run_path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.methods.series.local_forecasts import LOCAL, local_forecasts
from mlnb.serving.edge.portable_export import PORTABLE

portable = run_path(str(PORTABLE / "series_models.py"))["local_forecasts"]
VALUES = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, -1.0, 1e-300, 1e9])), min_size=1, max_size=30
)


@settings(max_examples=40)
@given(VALUES, st.integers(1, 7), st.integers(1, 9), st.booleans())
def test_plain_python_and_numpy_agree_to_the_last_bit(values, season, horizon, positive):
    window = np.abs(values) + 1.0 if positive else np.array(values)
    expected = local_forecasts(window[None], season, horizon)[0]
    actual = portable([float("nan")] * 5 + window.tolist(), season, horizon)
    assert np.array([actual[name] for name in LOCAL]).T.tobytes() == expected.tobytes()
