"""Verification: one bit of one row is a difference, and the message names the row."""

import numpy as np
import pytest

from mlnb.serving.batch.compiled.verification import verify

ORIGINAL = np.array([[0.25, 0.75], [0.5, 0.5], [np.nan, 0.0]])


def test_equal_bits():
    actual = verify(ORIGINAL.copy(), ORIGINAL)
    assert (actual.equal, actual.rows, actual.first, actual.largest) == (True, 3, None, 0.0)
    assert str(actual) == "all bits are equal in 3 rows"


@pytest.mark.parametrize(("value", "largest"), [(np.nextafter(0.5, 1), 2**-53), (0.25, 0.25)])
def test_one_bit_is_a_difference(value, largest):
    compiled = ORIGINAL.copy()
    compiled[1, 1] = value
    actual = verify(compiled, ORIGINAL)
    assert (actual.equal, actual.different, actual.first, actual.largest) == (False, 1, 1, largest)
    assert str(actual).startswith("found other bits in 1 of 3 rows, expected none (first: row 1, largest difference ")


def test_the_sign_of_zero_is_a_bit():
    compiled = ORIGINAL.copy()
    compiled[2, 1] = -0.0
    assert verify(compiled, ORIGINAL).different == 1


def test_another_shape_differs_everywhere():
    actual = verify(ORIGINAL[:, 0], ORIGINAL)
    assert (actual.equal, actual.different) == (False, 3)


def test_values_of_one_output():
    assert verify(np.array([1.0, 2.0]), np.array([1.0, 2.0])).equal
    assert verify(np.array([1.0, 2.5]), np.array([1.0, 2.0])).largest == 0.5
