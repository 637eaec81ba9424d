"""What a comparison of two answers found."""

from typing import Final, NamedTuple

HARD: Final = 0.6
"""Strength from which two answers cannot both be right. Below it a finding is a doubt: the pool is less sure."""


class Finding(NamedTuple):
    """Why two answers of a pool do not say the same."""

    first: int
    """Place of one answer in the pool, and of the other."""
    second: int
    strength: float
    """0..1; see `HARD`."""
    kind: str
    """What differs: `opposite:` and the axis, `number:` and the dimension, `negation`, `verdict`, `name` and others."""
    words_first: str
    """The deciding words of one answer, and of the other."""
    words_second: str

    @property
    def hard(self) -> bool:
        return self.strength >= HARD

    def turned(self) -> "Finding":
        """The same with the other answer first."""
        return Finding(self.second, self.first, self.strength, self.kind, self.words_second, self.words_first)
