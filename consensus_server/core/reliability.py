"""Reputation: what earlier rounds know of a participant, how it fades, and when its answers depart from it.

Each published round stores one row per participant. A participant's reputation is the mean of the means in its rows,
weighted by prompts, where a row loses half of its weight every `half_life_rounds`. How much a reputation counts in the
round that follows stands in `consensus.round.trust.shrunk`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from consensus_server.core.consensus.round.earlier import Reputation
from consensus_server.core.consensus.round.trust import ParticipantStanding
from consensus_server.core.consensus.rounding import DECIMALS

DRIFT: Final = 0.75
"""Standard deviations of a pool by which a participant's mean may depart from its reputation before somebody should look."""
DRIFT_PROMPTS: Final = 10.0
"""Prompts, in the round and behind the reputation, below which a difference is chance."""
FAR_ABOVE: Final = 1.0
"""A participant whose mean lies this far above the median stands far above the rest."""
FEW: Final = 0.25
"""Largest part of the participants that still counts as a few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """One participant in one published round."""

    participant: str
    mean: float
    """Mean standardised centrality of its admitted answers; 0 is the middle of the pools."""
    prompts: int
    """Prompts with an admitted answer of it."""
    refused: int = 0
    """Answers of it that gates kept out: counted from their fates when somebody asks, and not kept with the row."""
    prior_mean: float
    prior_prompts: float
    """Prompts behind its reputation when the round began; 0 for a newcomer."""
    reliability: float
    """From the round and the reputation together, -1..1; 0 is the middle of the pool."""
    weight: float
    """Weight of its vote in the support of others: exp(beta reliability), or 1 where the policy trusts all alike."""
    newcomer: bool
    """It had no reputation: it began in the middle of the pool."""
    drifted: bool
    """Its mean departed from its reputation by more than `DRIFT`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How unlike the participants of a round are; without naming them, for the round's card."""

    participants: int
    newcomers: int
    drifted: int
    lowest: float
    """Least mean of all participants."""
    median: float
    highest: float
    few_far_above: bool
    """A few stand far above the rest. More central, that is: no figure of a round tells whether they are better."""


def reputation_of(past: Iterable[tuple[int, Reliability]], number: int, half_life_rounds: float) -> Reputation | None:
    """The reputation with which a participant begins round `number`; None for a newcomer.

    past: (round, row) of its published rounds before, in their order. With age a = number - round in rounds and
    fading d = 2^(-a / half life): prompts = sum n d, mean = sum n d m / sum n d. Rounded, so that what is stored
    decides as what was computed.
    """
    if half_life_rounds <= 0:
        return None
    rows = [(2 ** (-(number - at) / half_life_rounds) * row.prompts, row.mean) for at, row in past if at < number]
    prompts = sum(weight for weight, _ in rows)
    if round(prompts, DECIMALS) <= 0:
        return None
    mean = sum(weight * mean for weight, mean in rows) / prompts
    return Reputation(round(mean, DECIMALS), round(prompts, DECIMALS))


def row_of(standing: ParticipantStanding, *, weight: float) -> Reliability:
    """The row that a round keeps of a participant."""
    enough = min(standing.prompts, standing.prior_prompts) >= DRIFT_PROMPTS
    return Reliability(
        participant=standing.participant,
        mean=standing.mean,
        prompts=standing.prompts,
        prior_mean=standing.prior_mean,
        prior_prompts=standing.prior_prompts,
        reliability=standing.reliability,
        weight=round(weight, DECIMALS),
        newcomer=standing.prior_prompts <= 0,
        drifted=enough and abs(standing.mean - standing.prior_mean) > DRIFT,
    )


def spread_of(rows: Sequence[Reliability]) -> Spread | None:
    """How far the participants stand apart; None where nobody was measured."""
    means = sorted(row.mean for row in rows if row.prompts)
    if not means:
        return None
    middle = median(means)
    above = sum(mean - middle > FAR_ABOVE for mean in means)
    return Spread(
        participants=len(rows),
        newcomers=sum(row.newcomer for row in rows),
        drifted=sum(row.drifted for row in rows),
        lowest=means[0],
        median=round(middle, DECIMALS),
        highest=means[-1],
        few_far_above=0 < above <= max(1, FEW * len(means)),
    )
