"""What a round is decided from beside its answers: what earlier rounds and upheld appeals say of those who gave them.

All of it is kept with the round, so that a round decided again gives the same labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

REPUTATION_PROMPTS: Final = 20.0
"""Prompts, at most, that a reputation counts as."""


@dataclass(frozen=True, slots=True)
class Reputation:
    """What earlier rounds say of a participant's reliability."""

    mean: float
    """Mean standardised centrality of its answers there; 0 is the middle of the pool, whatever the pool."""
    prompts: float
    """Prompts behind it, those of older rounds counted in part."""


@dataclass(frozen=True, slots=True)
class EarlierRounds:
    """What is known before a round; nothing by default."""

    reputations: Mapping[str, Reputation] = field(default_factory=dict)
    """By participant; who is not in it is a newcomer and starts in the middle of the pool."""
    exempt: frozenset[tuple[str, str]] = frozenset()
    """(participant, gate): answers that this gate must not reject, since an appeal was upheld."""
    in_full: bool = False
    """Whether reputations count with all their prompts. In a round they do not, since the round itself shows more than its past;
    a single question shows nothing (`core.panel_memory`)."""

    def of(self, names: Sequence[str]) -> "Known":
        """What is known of the participants of a round, as columns in the order of `names`."""
        newcomer = Reputation(0.0, 0.0)
        reputations = [self.reputations.get(name, newcomer) for name in names]
        return Known(
            mean=np.array([each.mean for each in reputations], dtype=np.float64),
            prompts=np.array([each.prompts for each in reputations], dtype=np.float64),
            exempt={
                gate: np.array([(name, gate) in self.exempt for name in names])
                for gate in sorted({gate for _, gate in self.exempt})
            },
            in_full=self.in_full,
        )


@dataclass(frozen=True, slots=True)
class Known:
    """Reputations and exemptions by the numbers that a round gives its participants."""

    mean: Float64[np.ndarray, " participants"]
    """0 for a newcomer."""
    prompts: Float64[np.ndarray, " participants"]
    """Behind the reputation; 0 for a newcomer."""
    exempt: Mapping[str, Bool[np.ndarray, " participants"]]
    """By gate; a gate from which nobody is exempt is left out."""
    in_full: bool = False
    """Whether reputations count with all their prompts."""

    def exempt_from(self, gate: str, participant: Int64[np.ndarray, " answers"]) -> Bool[np.ndarray, " answers"]:
        """Which answers the gate must let pass."""
        who = self.exempt.get(gate)
        return np.zeros(len(participant), dtype=bool) if who is None else who[participant]
