"""What one question to a panel may cost, and what it has cost."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from consensus_server.core.budgets import NOTHING, Amount, Tariff
from consensus_server.core.inference import Question, UpstreamRequest
from consensus_server.service.budgets import BudgetSpent
from consensus_server.service.fan_out import Turn

MOST_TOKENS = "consensus.max_total_tokens"
"""The field of a request that limits what it costs."""


class Book:
    """The requests of one question, and their amounts."""

    def __init__(self, tariffs: Mapping[str, Tariff], question: Question) -> None:
        self._tariffs = tariffs
        self._reserved = _reserved(tariffs, question)
        self._asked: list[UpstreamRequest] = []

    def enter(self, asked: Iterable[UpstreamRequest]) -> None:
        """Note what became of requests."""
        self._asked += asked

    def spent(self) -> Amount:
        """By what upstreams counted; as reserved where that is not known, as of those that were given up."""
        return _sum_of(self._asked, self._tariffs, self._reserved)

    def at_most(self, choices: Iterable[Sequence[Turn]]) -> Amount:
        """What the requests are reserved."""
        turns = (turn for choice in choices for turn in choice)
        return sum((self._reserved(each.upstream.name) for turn in turns for each in turn), NOTHING)

    def within(
        self,
        choices: Sequence[Sequence[Turn]],
        most_tokens: int | None,
        fewest: int | None,
        besides: Sequence[Sequence[Turn]] = (),
    ) -> list[Sequence[Turn]]:
        """The turns of each choice, the last ones left out as far as these many tokens demand.

        fewest: turns that a choice keeps; None: all. besides: turns that may come on top, as of a fallback. Raises BudgetSpent where those cost more.
        """
        turns = len(choices[0])
        for keep in range(turns, min(turns, fewest or turns) - 1, -1):
            kept = [choice[:keep] for choice in choices]
            if most_tokens is None or self.at_most([*kept, *besides]).tokens <= most_tokens:
                return kept
        raise BudgetSpent(
            f"The request may cost {self.at_most([*kept, *besides]).tokens} tokens of all upstreams together, and {MOST_TOKENS} allows "
            f"{most_tokens}. Raise it, or lower max_tokens, n, or the question.",
            param=MOST_TOKENS,
        )


def spent(asked: Iterable[UpstreamRequest], tariffs: Mapping[str, Tariff], question: Question) -> Amount:
    """What became of the requests costs so much."""
    return _sum_of(asked, tariffs, _reserved(tariffs, question))


def _sum_of(
    asked: Iterable[UpstreamRequest], tariffs: Mapping[str, Tariff], reserved: Callable[[str], Amount]
) -> Amount:
    amounts = (tariffs.get(each.upstream, Tariff()).spent(each, reserved(each.upstream)) for each in asked)
    return sum(amounts, NOTHING)


def _reserved(tariffs: Mapping[str, Tariff], question: Question) -> Callable[[str], Amount]:
    """What a request to an upstream is reserved. A question may be megabytes, and its requests hundreds: each upstream measures it once."""
    return cache(lambda upstream: tariffs.get(upstream, Tariff()).at_most(question))
