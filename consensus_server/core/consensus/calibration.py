"""From a confidence score to an estimated probability that a label is good, and from there to an abstention.

The numbers are fitted elsewhere, on judged answers; here they are constants of a policy.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from consensus_server.core.consensus.rounding import settled


@dataclass(frozen=True, slots=True)
class Calibration:
    """A function fitted to one confidence score: straight lines between points, level beyond the first and last."""

    method: str
    """Name of the confidence score for which it holds."""
    scores: tuple[float, ...]
    """Ascending, 0..1."""
    probabilities: tuple[float, ...]
    """Of each of `scores`: never falling, 0..1."""
    least_score: float = 0.0
    """A label with a lower score becomes an abstention; 0: none does."""
    source: str | None = None
    """SHA-256 of the judged answers."""


def calibrated(scores: Float64[np.ndarray, " pools"], calibration: Calibration | None) -> Float64[np.ndarray, " pools"]:
    """The estimated probabilities, settled; the scores themselves without a calibration. A score of 0 stays 0."""
    if calibration is None:
        return scores
    estimated = np.interp(scores, calibration.scores, calibration.probabilities)
    return np.where(scores > 0, settled(estimated), 0.0)
