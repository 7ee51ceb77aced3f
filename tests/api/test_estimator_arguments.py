"""Parameters, targets and weights of estimators: each value is used, or refused by an error that names it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlnb
from mlnb.api.estimator_arguments import read_classes, read_numbers, read_options, read_weights
from mlnb.errors import ParameterError

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2**70),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=3),
    st.builds(complex),
    st.builds(dict),
    st.builds(lambda: np.array([1, 2])),
    st.builds(lambda: pd.NA),
)
CELLS = [None, np.nan, np.inf, pd.NA, pd.NaT, 0, 1, 2.5, True, "a", "b", "", b"c", 2**80, pd.Timestamp(0), 1j, (1,)]


@settings(max_examples=150)
@given(st.sampled_from(["metric", "families", "trials", "seconds", "random_state", "n_jobs"]), JUNK)
def test_a_parameter_is_used_or_refused_by_its_name(name, value):
    try:
        options = read_options(mlnb.TableRegressor(**{name: value}))
    except ParameterError as error:
        assert str(error).startswith(f"Found {name}=") and "; expected " in str(error)
    else:
        assert options.jobs >= 1 and 0 <= options.seed < 2**32 and 0 <= options.seconds < np.inf
        assert options.trials is None or options.trials >= 1


@pytest.mark.parametrize("jobs", [-1, -2, None, 1, 3])
def test_jobs_are_those_of_scikit_learn(jobs):
    assert read_options(mlnb.TableClassifier(n_jobs=jobs)).jobs == (3 if jobs == 3 else max(1, read_jobs(jobs)))


def read_jobs(jobs):
    import joblib

    return 1 if jobs is None else joblib.effective_n_jobs(jobs)


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
def test_a_generator_draws_the_seed(make):
    first, again, other = (read_options(mlnb.TableClassifier(random_state=make(seed))).seed for seed in (1, 1, 2))
    assert first == again != other
    generator = make(0)
    assert len({read_options(mlnb.TableClassifier(random_state=generator)).seed for _ in range(3)}) == 3
    assert read_options(mlnb.TableClassifier(random_state=None)).seed == 0


@pytest.mark.filterwarnings("ignore")  # of scikit-learn, for targets in two dimensions
@settings(max_examples=150)
@given(st.lists(st.sampled_from(CELLS), min_size=1, max_size=9), st.booleans())
def test_targets_are_used_or_refused(cells, series):
    y = pd.Series(cells, dtype=object) if series else cells
    for read in (lambda: read_numbers(y, len(cells)), lambda: read_classes(y, len(cells), None)):
        try:
            values = read()
        except ValueError as error:
            assert len(str(error)) > 10
        except TypeError as error:
            assert "bytes" in str(error)  # scikit-learn's
        else:
            assert not pd.isna(pd.Series(cells, dtype=object)).any()
            assert len(values) == (3 if isinstance(values, tuple) else len(cells))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1.0, np.nan, 2.0], "1 of 3 targets missing, the first in row 1; expected numbers"),
        (pd.Series([1, pd.NA, 2], dtype="Int64"), "the first in row 1"),
        ([1.0, 2.0, -np.inf], "infinity: found 1 of 3 targets, the first in row 2"),
        (["a", "b", "c"], "TableClassifier predicts classes"),
        (pd.date_range("2024", periods=3), "expected numbers"),
        ([1.0, 2.0], "3 rows of X and 2 of y"),
    ],
)
def test_a_wrong_target_is_named(y, message):
    with pytest.raises(ValueError, match=message):
        read_numbers(y, 3)


def test_classes_are_named_as_the_user_knows_them():
    with pytest.raises(ValueError, match=r"the classes 'x' \(2\), 'y' \(1\); expected at least 3 rows"):
        read_classes(["x", "y", "x"], 3, None)
    with pytest.raises(ValueError, match="types int, str"):
        read_classes(pd.Series(["x", 1], dtype=object), 2, None)
    with pytest.raises(ValueError, match="one class, 'x' in the rows with a weight above 0"):
        read_classes(["x", "y"], 2, np.array([1.0, 0.0]))
    y, weights = np.arange(12) % 3, (np.arange(12) % 3 != 1) * 1.0  # of three classes two have rows that count
    assert read_classes(y, 12, weights)[2] == "binary" and read_classes(y, 12, None)[2] == "multiclass"


@pytest.mark.parametrize("weights", [[1.0], [[1.0]] * 12, 2.0, ["a"] * 12, [-1.0] * 12, [np.nan] * 12, [0.0] * 12])
def test_bad_sample_weights_get_a_clear_error(weights):
    with pytest.raises(ValueError, match=r"Found sample weights .*; expected"):
        read_weights(weights, 12)
