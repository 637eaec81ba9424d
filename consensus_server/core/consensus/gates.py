"""Which answers enter a pool. Every refusal has the name of the gate that refused.

A gate sees the answers of many pools at once and says, for each, whether it refuses. To add one, write the function
and enter it in `GATES`; where several refuse, the first in the table gives the name.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32

from consensus_server.core.consensus.invisible import visible

_UNSEEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
"""Control, format (zero-width and direction marks among them), and the separators."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Answers that ask to be admitted, one row each, of any number of pools."""

    texts: Sequence[str]
    vectors: Float32[np.ndarray, "answers dimension"]


Gate = Callable[[Candidates], Bool[np.ndarray, " answers"]]
"""True where an answer is refused."""


def _shows_something(text: str) -> bool:
    """Whether a reader would see any character of `text`. Ends at the first such character."""
    return any(unicodedata.category(char) not in _UNSEEN_CATEGORIES and visible(char) for char in text)


def _empty(candidates: Candidates) -> Bool[np.ndarray, " answers"]:
    """Nothing but white space, zero-width and control characters."""
    return np.fromiter((not _shows_something(text) for text in candidates.texts), dtype=bool)


def _not_embeddable(candidates: Candidates) -> Bool[np.ndarray, " answers"]:
    """The encoder gave no direction: a value that is not finite, or zeros only."""
    vectors = candidates.vectors
    usable: Bool[np.ndarray, " answers"] = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
    return ~usable


GATES: Final[Mapping[str, Gate]] = MappingProxyType({"empty": _empty, "not_embeddable": _not_embeddable})


def refusals(candidates: Candidates) -> list[str | None]:
    """The gate that keeps each answer out, or None for an admitted one; in the order of the answers."""
    verdict: list[str | None] = [None] * len(candidates.texts)
    for name, gate in GATES.items():
        for row in np.flatnonzero(gate(candidates)).tolist():
            verdict[row] = verdict[row] or name
    return verdict
