"""A panel and what a policy chose for it: plain records."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64


@dataclass(frozen=True, slots=True)
class Panel:
    """The answers of one panel. A seat is one member's answer, or one sample of it; samples have neighbouring seats."""

    columns: Int64[np.ndarray, "prompts size"]
    """Column of the bank in which the answer of each seat stands."""
    honest: int
    """Seats of members that are no attackers; they come first."""
    attacked: Bool[np.ndarray, " prompts"]
    """Prompts on which the attackers attack."""

    def counts(self, prompt: int, seat: int) -> bool:
        """Whether the answer of a seat is an honest one to an attacked prompt."""
        return bool(self.attacked[prompt]) and seat < self.honest


@dataclass(frozen=True, slots=True)
class Picks:
    """What a policy chose for a panel."""

    slot: Int64[np.ndarray, " prompts"]
    """Seat whose answer was chosen; -1 for an abstention."""
    source: Int64[np.ndarray, " prompts"]
    """Prompt that the chosen answer is to: itself, or another wording of its question."""
    confidence: Float64[np.ndarray, " prompts"]
    """Of the label, 0..1; nan for an abstention."""
    votes: Float64[np.ndarray, " prompts"]
    """Of all admitted answers together: participants that count."""
    turned_away: Counter[str]
    """Honest answers to attacked prompts that each gate kept out."""


def nothing_picked(prompts: int) -> Picks:
    """Of so many prompts, before anything is decided: no label, no votes, nobody turned away."""
    return Picks(
        np.full(prompts, -1), np.arange(prompts), np.full(prompts, np.nan), np.zeros(prompts), Counter()
    )  # fmt: skip
