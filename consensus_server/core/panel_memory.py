"""What a panel remembers of past questions: how each upstream stood on them, as two sums that fade, and nothing else.

One question tells nothing of who is reliable, so a panel takes it from the questions before, as a round takes it from its other
prompts. A question that lies a questions of the same upstream back counts 2^(-a / half life). docs/decisions/0027.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from consensus_server.core.consensus.answers.table import read
from consensus_server.core.consensus.records import Policy, Pool
from consensus_server.core.consensus.round.earlier import EarlierRounds, Reputation
from consensus_server.core.consensus.round.judging import judge_round
from consensus_server.core.consensus.round.trust import HALF_TELLING_VOTES, ParticipantStanding, shrunk

LEAST_ANSWERS: Final = 3
"""Admitted answers to a question from which it says who stands in the middle of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamMemory:
    """What a panel remembers of one upstream."""

    upstream: str
    version: str
    """Digest of what the upstream is asked for: another model behind the same name is another upstream."""
    encoder: str
    """Digest of the identity of the encoder by which it stood so."""
    total: float
    """Sum of its z over past questions, faded; z 0 is the middle of the answers to a question, 1 a standard deviation above."""
    weight: float
    """Sum of what those questions still count."""
    questions: int
    """All that were ever remembered."""

    @property
    def mean(self) -> float:
        """Mean z, the latest questions counting most."""
        return self.total / self.weight if self.weight else 0.0


def fading(half_life_questions: float) -> float:
    """What is left of a question's weight after one more: 2^(-1 / half life)."""
    return float(2.0 ** (-1.0 / half_life_questions))


def added(memory: UpstreamMemory, z: float, left: float) -> UpstreamMemory:
    """With one question more. left: what `fading` leaves of the former ones; stores compute the same."""
    total, weight = memory.total * left + z, memory.weight * left + 1.0
    return replace(memory, total=total, weight=weight, questions=memory.questions + 1)


def earlier_questions(memory: Iterable[UpstreamMemory]) -> EarlierRounds:
    """What a decision begins with."""
    return EarlierRounds({each.upstream: Reputation(each.mean, each.weight) for each in memory}, in_full=True)


def reliability_among(memory: UpstreamMemory, answers: int) -> float:
    """How far the panel trusts the upstream where so many answer, -1..1: as `round.trust.reliabilities` has it for one question."""
    others = max(answers - 1, 0)
    columns = 0.0, 1.0, memory.mean, memory.weight, others / (others + HALF_TELLING_VOTES)
    return round(float(shrunk(*(np.array([each]) for each in columns), in_full=True)[0]), 6)


def standings_on(pools: Sequence[Pool], policy: Policy, *, drop_refusals: bool) -> dict[str, float]:
    """z of each upstream on a question, everybody counting alike: what is remembered must not stand on what was remembered.

    pools: one for each choice, decided apart; z is their mean. Empty where fewer than three answers were admitted to each.
    """
    plain = replace(policy, reliability=False)
    found = [_standings(pool, plain, drop_refusals=drop_refusals) for pool in pools]
    telling = [rows for rows in found if len(rows) >= LEAST_ANSWERS]
    names = sorted({each.participant for rows in telling for each in rows})
    by_name = {name: [each.mean for rows in telling for each in rows if each.participant == name] for name in names}
    return {name: round(sum(means) / len(means), 6) for name, means in by_name.items()}


def _standings(pool: Pool, policy: Policy, *, drop_refusals: bool) -> list[ParticipantStanding]:
    """Of those with an admitted answer."""
    judged = judge_round(read([pool]), [pool], policy, EarlierRounds(), round_wide=True, drop_refusals=drop_refusals)
    return [each for each in judged[1] if each.prompts]
