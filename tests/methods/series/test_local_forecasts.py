"""Local forecasts have the same bits alone and in a batch, and stay near the window."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.methods.series.local_forecasts import CELLS, GRID, LOCAL, local_forecasts

VALUES = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, -1.0, 1e-300, 1e9])), min_size=1, max_size=30
)


@settings(max_examples=40)
@given(VALUES, st.integers(1, 7), st.integers(1, 9))
def test_a_window_has_the_same_bits_alone_and_after_missing_values(values, season, horizon):
    window = np.r_[[np.nan] * 5, values]
    others = np.stack([window, np.arange(len(window), dtype=float)])
    alone = local_forecasts(np.array(values)[None], season, horizon)
    assert local_forecasts(others, season, horizon)[:1].tobytes() == alone.tobytes()


@settings(max_examples=60)
@given(VALUES, st.integers(1, 7))
def test_forecasts_are_finite_and_stay_near_the_window(values, season):
    window = np.array(values)
    ahead = local_forecasts(window[None], season, 6)
    reach = 3 * np.ptp(window) + 1e-9 * np.abs(window).max() + 1e-290
    assert (ahead >= window.min() - reach).all() and (ahead <= window.max() + reach).all()
    if window.min() >= 0:
        assert (ahead >= 0).all()


@pytest.mark.parametrize("value", [5.0, -5.0, 0.0])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_a_constant_is_continued(value, count):
    np.testing.assert_allclose(local_forecasts(np.full((1, count), value), 7, 3), value, rtol=1e-12)


def test_shift_and_scale_of_the_additive_models_carry_over():
    window = np.random.default_rng(0).normal(size=(1, 60)).cumsum(axis=1) - 1e3
    names = [LOCAL.index(name) for name in ("holt_winters", "damped_trend", "theta")]
    plain = local_forecasts(window, 4, 5)[:, :, names]
    np.testing.assert_allclose(local_forecasts(3 * window, 4, 5)[:, :, names], 3 * plain, rtol=1e-9)
    np.testing.assert_allclose(local_forecasts(window - 500, 4, 5)[:, :, names], plain - 500, rtol=1e-6)


def test_windows_of_several_threads_have_the_same_bits_alone():
    windows = np.random.default_rng(0).normal(5.0, 2.0, size=(CELLS // GRID + 3, 16)).cumsum(axis=1)
    windows[::3, :6] = np.nan
    together = local_forecasts(windows, 4, 3)
    assert len(together) == len(windows)
    for at in (0, len(windows) // 2, len(windows) - 1):
        assert together[at : at + 1].tobytes() == local_forecasts(windows[at : at + 1], 4, 3).tobytes()
