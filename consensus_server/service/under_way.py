"""One question to a panel while it is under way: what was asked, what it may cost, and what came back."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from consensus_server.core.inference import Question, RequestState, UpstreamRequest
from consensus_server.ports import Encoder
from consensus_server.service.asking import turns_of
from consensus_server.service.books import Book
from consensus_server.service.fan_out import Turn
from consensus_server.service.panel_memory import Recalled
from consensus_server.service.panels import Panel, QuorumMissed


@dataclass(slots=True)
class UnderWay:
    """A question, and what became of it so far."""

    panel: Panel
    question: Question
    choices: int
    encoder: Encoder
    book: Book
    """What pays for it."""
    recalled: Recalled | None = None
    """What the panel knows of its upstreams; None: not read yet, or nothing is remembered."""
    asked: tuple[UpstreamRequest, ...] = ()
    """By voter, choice and sample, a fallback after the others."""
    started: float = field(default_factory=time.perf_counter)
    waited: float = 0.0
    """Seconds from the start to the latest replies."""

    def enter(self, asked: tuple[UpstreamRequest, ...]) -> None:
        """Note what became of requests, and what they cost."""
        self.book.enter(asked)
        self.asked += asked
        self.waited = time.perf_counter() - self.started

    def so_far(self, asked: Sequence[UpstreamRequest]) -> "UnderWay":
        """The same with these requests only, to look at what they would decide."""
        return replace(self, asked=tuple(asked))

    def missed(self) -> list[int]:
        """Choices in which fewer upstreams replied than the quorum."""
        return [k for k in range(self.choices) if len(self._replied(k)) < self.panel.limits.quorum]

    def require_quorum(self, missed: Sequence[int]) -> None:
        """Raises QuorumMissed where a choice that missed it has no answer of the fallback either."""
        for choice in missed:
            if self.of_fallback(choice) is None:
                raise self._missed(choice)

    def of_fallback(self, choice: int) -> UpstreamRequest | None:
        """The answer of the fallback to a choice; None where it was not asked, or has none."""
        name = None if self.panel.fallback is None else self.panel.fallback.name
        own = (each for each in self.asked if each.choice == choice and each.upstream == name)
        return next((each for each in own if each.state is RequestState.ANSWERED), None)

    def _replied(self, choice: int) -> set[str]:
        """Who did, for a choice; also who declines: then the panel abstains."""
        return {each.voter for each in self._own(choice) if each.reply is not None}

    def _own(self, choice: int) -> list[UpstreamRequest]:
        """The requests of the panel itself to a choice, without its fallback's."""
        fallback = None if self.panel.fallback is None else self.panel.fallback.name
        return [each for each in self.asked if each.choice == choice and each.upstream != fallback]

    def _missed(self, choice: int) -> QuorumMissed:
        quorum = self.panel.limits.quorum
        replied = self._replied(choice)
        own = {each.voter: each for each in self._own(choice)}
        all_asked = {each.voter: each for each in self.asked if each.choice == choice}
        silent = [_in_words(each) for voter, each in all_asked.items() if voter not in replied]
        failed = sum(each.state is RequestState.FAILED for each in own.values())
        return QuorumMissed(
            f"{len(replied)} of {len(own)} upstreams of the panel {self.panel.name} answered; it needs "
            f"{quorum}. {'; '.join(silent)}",
            self.asked,
            self.question,
            late=len(own) - failed >= quorum,
        )


def fallback_turns(panel: Panel, question: Question, choices: Iterable[int]) -> list[list[Turn]]:
    """The fallback's turn for each of some choices; none where the panel has none."""
    if panel.fallback is None:
        return []
    return [turns_of([panel.fallback], question, choice=k, samples=1) for k in choices]


def _in_words(asked: UpstreamRequest) -> str:
    """In words fit for whoever may use the panel."""
    if asked.failure is not None:
        return f"{asked.voter}: {asked.failure.failure}"
    late = asked.state is RequestState.LATE
    return f"{asked.voter}: {f'late after {asked.seconds:.1f} s' if late else asked.state.replace('_', ' ')}"
