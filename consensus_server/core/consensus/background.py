"""What a round is decided from beside its answers: what earlier rounds know of those who gave them.

All of it is kept with the round, so that a round decided again gives the same labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

CARRIED_PROMPTS: Final = 20.0
"""Prompts, at most, that a name from earlier rounds counts as."""


@dataclass(frozen=True, slots=True)
class Prior:
    """A participant's name from earlier rounds."""

    mean: float
    """Mean standardised centrality of its answers there; 0 is the middle of the pool, whatever the pool."""
    prompts: float
    """Prompts behind it, those of older rounds counted in part."""


@dataclass(frozen=True, slots=True)
class Background:
    """What is known before a round; nothing by default."""

    priors: Mapping[str, Prior] = field(default_factory=dict)
    """By participant; who is not in it is a newcomer and starts in the middle of the pool."""
    exempt: frozenset[tuple[str, str]] = frozenset()
    """(participant, guard): answers that this guard must not refuse, since an appeal was upheld."""


@dataclass(frozen=True, slots=True)
class Known:
    """The same by the numbers that a round gives its participants."""

    mean: Float64[np.ndarray, " participants"]
    prompts: Float64[np.ndarray, " participants"]
    exempt: Mapping[str, Bool[np.ndarray, " participants"]]
    """By guard; a guard from which nobody is exempt is left out."""

    def spared(self, guard: str, participant: Int64[np.ndarray, " answers"]) -> Bool[np.ndarray, " answers"]:
        """Which answers the guard must let pass."""
        who = self.exempt.get(guard)
        return np.zeros(len(participant), dtype=bool) if who is None else who[participant]


def by_number(background: Background, names: Sequence[str]) -> Known:
    """names: of the participants, at their numbers."""
    priors = [background.priors.get(name, Prior(0.0, 0.0)) for name in names]
    guards = {guard for _, guard in background.exempt}
    return Known(
        mean=np.array([prior.mean for prior in priors], dtype=np.float64),
        prompts=np.array([prior.prompts for prior in priors], dtype=np.float64),
        exempt={guard: np.array([(name, guard) in background.exempt for name in names]) for guard in sorted(guards)},
    )


def nothing_known(participants: int) -> Known:
    """Of that many participants: all newcomers, none exempt."""
    return Known(np.zeros(participants), np.zeros(participants), {})
