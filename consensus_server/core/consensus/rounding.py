"""The one precision at which numbers are compared and published."""

from typing import Final

import numpy as np
from jaxtyping import Float64

DECIMALS: Final = 6
"""Differences below a millionth are noise of the encoder and of float arithmetic; they decide nothing."""
SLACK: Final = 1e-9
"""More than the rounding of a sum, less than any difference that counts."""


def settled(values: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """`values` rounded to `DECIMALS`; equal results are ties. Never -0.0, which would print unlike 0.0.

    Rounded finer before, since the mean of two settled numbers often lies half way between two others: there the order in
    which a sum was taken would choose.
    """
    return np.round(np.round(values, DECIMALS + 4), DECIMALS) + 0.0
