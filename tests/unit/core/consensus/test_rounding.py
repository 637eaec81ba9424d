"""Numbers are settled alike however they were summed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from consensus_server.core.consensus.rounding import settled


@given(millionths=st.integers(-2_000_000, 2_000_000), over=st.sampled_from([2, 4, 8, 3, 5]))
def test_the_last_bit_of_a_mean_decides_nothing(millionths, over):
    """Means of settled numbers lie half way between two settled ones in one case of two."""
    mean = millionths * 1e-6 / over
    around = np.array([np.nextafter(mean, -9), mean, np.nextafter(mean, 9), mean + 2e-15, mean - 2e-15])
    assert len(set(settled(around).tolist())) == 1


def test_nothing_is_negative_zero():
    assert str(settled(np.array([-1e-9]))[0]) == "0.0"


def test_settled_has_six_decimals_and_no_negative_zero():
    np.testing.assert_array_equal(settled(np.array([0.12345678, 1 / 3])), [0.123457, 0.333333])
    assert not np.signbit(settled(np.array([-1e-9])))[0]
