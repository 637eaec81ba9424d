"""What a panel is, what it says, and how it fails: the records of consensus as inference."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from client_kit.vocabulary import OnAbstention
from consensus_server.core.asking import Adaptive
from consensus_server.core.budgets import Budget, Tariff
from consensus_server.core.consensus.answers.gates import REFUSAL
from consensus_server.core.consensus.records import Policy
from consensus_server.core.inference import Failure, Question, Reply, UpstreamRequest
from consensus_server.core.labels import AnswerFate, ClusterContest, Label
from consensus_server.ports import Upstream
from consensus_server.service.fan_out import WaitLimits
from consensus_server.service.panel_memory import MemoryTerms, Recalled


class UnknownPanel(LookupError):  # noqa: N818 - reads as a state of the world
    """There is no such panel, or this caller may not use it."""


class QuorumMissed(Exception):  # noqa: N818 - reads as what happened
    """Too few upstreams replied in time."""

    def __init__(
        self, message: str, asked: tuple[UpstreamRequest, ...], question: Question, *, late: bool = False
    ) -> None:
        """late: whether time ran out, rather than so many upstreams failing that the others were not waited for."""
        super().__init__(message)
        self.asked = asked
        self.question = question
        self.late = late

    @property
    def too_long(self) -> bool:
        """Whether every failure is that the question does not fit the upstream's context."""
        failures = [each.failure.failure for each in self.asked if each.failure is not None]
        return bool(failures) and set(failures) == {Failure.CONTEXT_TOO_LONG}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Upstreams that answer together, and how."""

    name: str
    upstreams: tuple[Upstream, ...]
    limits: WaitLimits
    policy: Policy
    equivalence: str = "semantic"
    fingerprint: str = ""
    """Changes with the panel's configuration."""
    on_abstention: OnAbstention = OnAbstention.NULL
    adaptive: Adaptive | None = None
    """None: all are asked at once."""
    samples: int = 1
    """Answers of each upstream to one question; see `asking.turns_of`."""
    fallback: Upstream | None = None
    """Asked where the quorum is missed."""
    fallback_on_abstention: bool = False
    """And where the panel abstains."""
    tariffs: Mapping[str, Tariff] = field(default_factory=dict)
    """By upstream, the fallback too."""
    memory: MemoryTerms | None = None
    """None: each question is decided as the first."""
    learns: bool = True
    """Whether it remembers a question; not one that compares answers by another equivalence than the panel's own."""

    @property
    def priced(self) -> bool:
        """Whether it is known what every upstream costs."""
        return all(each.name in self.tariffs and self.tariffs[each.name].price is not None for each in self.reached)

    @property
    def fewest(self) -> int | None:
        """Turns below which it does not begin; None: all."""
        return None if self.adaptive is None else self.adaptive.first

    @property
    def reached(self) -> tuple[Upstream, ...]:
        """All that may be asked, the fallback too."""
        return (*self.upstreams, *(() if self.fallback is None else (self.fallback,)))


@dataclass(frozen=True, slots=True)
class PanelCaller:
    """Somebody with a token for panels."""

    name: str
    token_hash: str
    panels: frozenset[str]
    budget: Budget | None = None
    expires: date | None = None
    """The first day, in UTC, on which the token holds no more."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision: a label as a round would give it, and what became of each reply."""

    label: Label
    fates: tuple[AnswerFate, ...]
    chosen: Reply | None
    """None for an abstention."""
    contests: tuple[ClusterContest, ...] = ()
    fallback: str | None = None
    """Upstream that answers in place of the panel."""
    reliabilities: Mapping[str, float] = field(default_factory=dict)
    """How far each upstream was trusted, -1..1, by what the panel remembers of it; nobody where there is no memory."""

    @property
    def declined(self) -> bool:
        """Whether all who replied refuse to answer."""
        return bool(self.fates) and all(fate.gate == REFUSAL for fate in self.fates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consensus:
    """A panel's answer to a question."""

    choices: tuple[Choice, ...]
    asked: tuple[UpstreamRequest, ...]
    """By voter, choice and sample, a fallback after the others."""
    question: Question
    encoder: str
    """Digest of the encoder's identity."""
    waiting_seconds: float
    encoding_seconds: float
    deciding_seconds: float
    recalled: Recalled | None = None
    """What the panel knew of its upstreams; None where it has no memory."""

    def tokens(self) -> tuple[int, int]:
        """Prompt and completion tokens of all that was said, as far as upstreams counted them."""
        replies = [each.said for each in self.asked if each.said is not None]
        return (
            sum(reply.prompt_tokens or 0 for reply in replies),
            sum(reply.completion_tokens or 0 for reply in replies),
        )


@dataclass(frozen=True, slots=True)
class Panels:
    """What one state of the panels file says."""

    panels: tuple[Panel, ...] = ()
    callers: tuple[PanelCaller, ...] = ()

    @property
    def upstreams(self) -> frozenset[Upstream]:
        """All that any panel asks."""
        return frozenset(upstream for panel in self.panels for upstream in panel.reached)
