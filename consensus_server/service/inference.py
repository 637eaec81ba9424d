"""Consensus as inference: a panel of upstreams answers one question, and the same core as in a round decides."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import TypeVar

import numpy as np

from client_kit.vocabulary import OnAbstention
from client_kit.wire import content_digest
from consensus_server.core.asking import Adaptive, still_needed
from consensus_server.core.budgets import Budget, Tariff
from consensus_server.core.consensus.answers.gates import REFUSAL
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.meaning.tool_calls import or_calls
from consensus_server.core.consensus.records import Policy, Pool
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.errors import NotReady, TokenExpired
from consensus_server.core.federations import Prompt
from consensus_server.core.inference import Failure, Question, Reply, RequestState, UpstreamRequest
from consensus_server.core.labels import AnswerFate, ClusterContest, Label
from consensus_server.core.panel_memory import earlier_questions, reliability_among
from consensus_server.ports import Encoder, PooledAnswer, Upstream
from consensus_server.service.access import token_hash
from consensus_server.service.asking import EncodingOnce, Latencies, in_order, turns_of
from consensus_server.service.books import Book
from consensus_server.service.budgets import Budgets
from consensus_server.service.connections import Connections
from consensus_server.service.contradictions import with_findings
from consensus_server.service.deciding import Embedded, Material, Vectors, build_pools, label_round
from consensus_server.service.fan_out import Asking, Steps, Turn, WaitLimits
from consensus_server.service.panel_memory import MemoryTerms, PanelMemory, Recalled, within_reason

T = TypeVar("T")

Replies = Mapping[tuple[str, int], Reply]
"""Of one choice, by voter and sample."""

ANSWER = "answer"
"""Name of a panel's only prompt, which a round would call by its `prompt_id`."""


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


class Inference:
    """The panels of one server."""

    def __init__(
        self,
        panels: Panels,
        encoder: Callable[[], Encoder | None],
        budgets: Budgets | None = None,
        memory: PanelMemory | None = None,
        *,
        renewed: Callable[[], Panels | None] = lambda: None,
    ) -> None:
        """encoder: None while it loads. budgets: keeps those of callers; without it nobody has one.

        memory: of panels that have one; without it they have none. renewed: what the panels file says now, where that has changed since the last call.
        """
        self._budgets = budgets
        self._renewed = renewed
        self._encoder = encoder
        self._connections = Connections()
        self._latencies = Latencies()
        self._memory = memory
        self._take(panels)
        # One at a time: arithmetic gains nothing from threads that share the cores, and decisions never queue behind
        # use cases that wait for the database.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")

    def _take(self, panels: Panels) -> None:
        self._said = panels
        self._panels = {panel.name: panel for panel in panels.panels}
        self._callers = {caller.token_hash: caller for caller in panels.callers}

    async def renew(self) -> None:
        """Go by the panels file as it is now. Questions that are under way end as they began."""
        panels = await asyncio.to_thread(self._renewed)
        if panels is not None:
            gone = self._said.upstreams - panels.upstreams
            self._take(panels)
            await self._connections.retire(gone)

    def caller(self, token: str) -> PanelCaller | None:
        """Whose token for panels this is; None where it is none. Raises TokenExpired."""
        found = self._callers.get(token_hash(token))
        if found is not None and found.expires is not None and datetime.now(UTC).date() >= found.expires:
            raise TokenExpired(f"The token of {found.name} held until {found.expires}.")
        return found

    def panels(self, caller: PanelCaller | None) -> tuple[Panel, ...]:
        """Those that the caller may use, by name. None: the server's operator, who may use all."""
        return tuple(panel for name, panel in sorted(self._panels.items()) if caller is None or name in caller.panels)

    def panel(self, name: str, caller: PanelCaller | None) -> Panel:
        """Raises UnknownPanel, also for one that the caller may not use."""
        for panel in self.panels(caller):
            if panel.name == name:
                return panel
        raise UnknownPanel(name)

    async def answer(
        self,
        panel: Panel,
        question: Question,
        choices: int = 1,
        *,
        caller: PanelCaller | None = None,
        most_tokens: int | None = None,
    ) -> Consensus:
        """Ask the panel; `choices` independent decisions, each over one reply of every upstream, or as many as it takes.

        A seed is counted up from choice to choice. caller: whose budget pays. most_tokens: what the request may cost; of an
        adaptive panel fewer upstreams are asked for it, though no less than the first. Raises QuorumMissed where any choice
        has too few replies and no fallback that answers, BudgetSpent, and NotReady while the encoder loads.
        """
        loaded = self._encoder()
        if loaded is None:
            raise NotReady("The encoder is still loading; /readyz says when it is ready.")
        book = Book(panel.tariffs, question)
        reading = self._recall(panel, loaded)
        first = None if reading is None or panel.adaptive is None else await within_reason(reading)
        besides = _fallback_turns(panel, question, range(choices))
        turns = book.within(self._turns(panel, question, choices, first), most_tokens, panel.fewest, besides)
        budget = None if caller is None else caller.budget
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._connections.held(panel.reached))
            if self._budgets is not None and caller is not None and budget is not None:
                at_most = book.at_most([*turns, *besides])
                reserved = self._budgets.reserved(caller.name, budget, at_most, book.spent)
                await stack.enter_async_context(reserved)
            return await self._answered(panel, question, turns, EncodingOnce(loaded), book, reading, first)

    def _recall(self, panel: Panel, encoder: Encoder) -> "asyncio.Future[Recalled] | None":
        if self._memory is None or panel.memory is None:
            return None
        return self._memory.recall(panel.name, panel.memory, encoder.identity.digest)

    async def _answered(  # noqa: PLR0917 - one question
        self,
        panel: Panel,
        question: Question,
        turns: Sequence[Sequence[Turn]],
        encoder: Encoder,
        book: Book,
        reading: "asyncio.Future[Recalled] | None",
        first: Recalled | None,
    ) -> Consensus:
        """first: what was read before anybody was asked, by a panel whose order depends on it."""
        started = time.perf_counter()
        asked = await self._asked(panel, turns, book, self._steps(panel, question, encoder, first))
        missed = [k for k in range(len(turns)) if len(_replied(asked, k)) < panel.limits.quorum]
        asked += await self._told_by_fallback(panel, question, missed, book)
        _require_quorum(panel, question, asked, missed)
        recalled = await within_reason(reading) if first is None and reading is not None else first
        decided = partial(self._in_thread, _decided, encoder, panel, question, recalled)
        consensus, pools = await decided(asked, time.perf_counter() - started)
        self._remember(panel, consensus.encoder, pools)
        withheld = [k for k, each in enumerate(consensus.choices) if each.label.abstention is not None]
        if panel.fallback is None or not panel.fallback_on_abstention or not withheld:
            return consensus
        asked += await self._told_by_fallback(panel, question, withheld, book)
        consensus, _ = await decided(asked, time.perf_counter() - started)
        return consensus

    def _remember(self, panel: Panel, encoder: str, pools: Sequence[Pool]) -> None:
        if self._memory is not None and panel.memory is not None:
            self._memory.remember(
                panel.name, panel.memory, encoder, pools, panel.policy, drop_refusals=panel.limits.drop_refusals
            )

    async def _told_by_fallback(
        self, panel: Panel, question: Question, choices: Sequence[int], book: Book
    ) -> tuple[UpstreamRequest, ...]:
        """What became of its requests. No choice waits for less because another one has its answer, or has none."""
        alone = replace(panel, limits=replace(panel.limits, quorum=0, patience_seconds=None))
        return await self._asked(alone, _fallback_turns(panel, question, choices), book)

    async def _asked(
        self, panel: Panel, turns: Sequence[Sequence[Turn]], book: Book, steps: Steps | None = None
    ) -> tuple[UpstreamRequest, ...]:
        """What became of the requests, by voter, choice and sample."""
        asking = Asking(turns, panel.limits, steps)
        try:
            await asking.run()
        finally:
            asking.cancel()
            asked = asking.told()
            book.enter(asked)
        self._latencies.note(asked)
        return asked

    def _turns(self, panel: Panel, question: Question, choices: int, recalled: Recalled | None) -> list[list[Turn]]:
        upstreams: Sequence[Upstream] = panel.upstreams
        if panel.adaptive is not None:
            upstreams = in_order(
                upstreams,
                panel.adaptive.order,
                prices={name: each.price for name, each in panel.tariffs.items() if each.price is not None},
                latencies=self._latencies,
                reliability={} if recalled is None else _trusted(recalled, len(upstreams)),
            )
        return [turns_of(upstreams, question, choice=k, samples=panel.samples) for k in range(choices)]

    def _steps(self, panel: Panel, question: Question, encoder: Encoder, recalled: Recalled | None) -> Steps | None:
        plan = panel.adaptive
        if plan is None:
            return None

        async def further(asked: Sequence[UpstreamRequest], unheard: int) -> int:
            missing = panel.limits.quorum - len({each.voter for each in asked if each.reply is not None})
            if missing > 0:
                return missing
            decided, _ = await self._in_thread(_decided, encoder, panel, question, recalled, tuple(asked), 0.0)
            label = decided.choices[0].label
            return still_needed(label.abstention, [each.votes for each in label.clusters], unheard, plan)

        hedged = self._latencies.late_after if plan.hedge_late else lambda _upstream: plan.hedge_seconds
        return Steps(plan.first, further, hedged)

    async def _in_thread(self, work: Callable[..., T], *given: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    async def close(self) -> None:
        """Close the connections to the upstreams."""
        await asyncio.gather(*(upstream.close() for upstream in self._said.upstreams))
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._memory is not None:
            await self._memory.close()


def _replied(asked: Iterable[UpstreamRequest], choice: int) -> set[str]:
    """Who did, for a choice; also who declines: then the panel abstains."""
    return {each.voter for each in asked if each.choice == choice and each.reply is not None}


def _fallback_turns(panel: Panel, question: Question, choices: Sequence[int]) -> list[list[Turn]]:
    """The fallback's turn for each of some choices; none where the panel has none."""
    if panel.fallback is None:
        return []
    return [turns_of([panel.fallback], question, choice=k, samples=1) for k in choices]


def _require_quorum(
    panel: Panel, question: Question, asked: tuple[UpstreamRequest, ...], missed: Sequence[int]
) -> None:
    """Raises QuorumMissed where a choice that missed it has no answer of the fallback either."""
    for choice in missed:
        if _of_fallback(panel, asked, choice) is None:
            replied = _replied(asked, choice)
            own = {each.voter: each for each in asked if each.choice == choice}
            silent = [_in_words(each) for voter, each in own.items() if voter not in replied]
            failed = sum(each.state is RequestState.FAILED for each in own.values())
            raise QuorumMissed(
                f"{len(replied)} of {len(own)} upstreams of the panel {panel.name} answered; it needs "
                f"{panel.limits.quorum}. {'; '.join(silent)}",
                asked,
                question,
                late=len(own) - failed >= panel.limits.quorum,
            )


def _of_fallback(panel: Panel, asked: Iterable[UpstreamRequest], choice: int) -> UpstreamRequest | None:
    """The answer of the fallback to a choice; None where it was not asked, or has none."""
    name = None if panel.fallback is None else panel.fallback.name
    own = (each for each in asked if each.choice == choice and each.upstream == name)
    return next((each for each in own if each.state is RequestState.ANSWERED), None)


def _in_words(asked: UpstreamRequest) -> str:
    """In words fit for whoever may use the panel."""
    return f"{asked.voter}: {asked.failure.failure if asked.failure else f'late after {asked.seconds:.1f} s'}"


def _decided(  # noqa: PLR0917 - of `run_in_executor`, which takes no names
    encoder: Encoder,
    panel: Panel,
    question: Question,
    recalled: Recalled | None,
    asked: tuple[UpstreamRequest, ...],
    waited: float,
) -> tuple[Consensus, list[Pool]]:
    """The panel's answer, and the pools that the panel itself decided."""
    replies = [(each, each.reply) for each in asked if each.reply is not None]
    if any(reply.tool_calls for _, reply in replies):
        panel = replace(panel, equivalence=or_calls(panel.equivalence))
    started = time.perf_counter()
    embedded = _embedded(encoder, [reply.text for _, reply in replies], question.last if panel.policy.guards else "")
    encoded = time.perf_counter()
    decided = [
        _decided_choice(panel, question, asked, k, embedded, recalled) for k in sorted({each.choice for each in asked})
    ]
    consensus = Consensus(
        choices=tuple(choice for choice, _ in decided),
        asked=asked,
        question=question,
        encoder=encoder.identity.digest,
        waiting_seconds=waited,
        encoding_seconds=encoded - started,
        deciding_seconds=time.perf_counter() - encoded,
        recalled=recalled,
    )
    return consensus, [pool for _, pools in decided for pool in pools]


def _decided_choice(  # noqa: PLR0917 - one choice of a question
    panel: Panel,
    question: Question,
    asked: Sequence[UpstreamRequest],
    choice: int,
    embedded: Embedded,
    recalled: Recalled | None,
) -> tuple[Choice, list[Pool]]:
    """What the panel says, and its pool; of a fallback that answered, what that says."""
    instead = _of_fallback(panel, asked, choice)
    if instead is None:
        own = (each for each in asked if each.choice == choice)
        replies = {(each.voter, each.sample): each.reply for each in own if each.reply is not None}
        return _choice(panel, question, replies, embedded, recalled)
    alone = replace(panel, policy=replace(panel.policy, abstain=False))
    replies = {(each.voter, each.sample): each.reply for each in (instead,) if each.reply is not None}
    said, _ = _choice(alone, question, replies, embedded, None)
    return replace(said, fallback=instead.upstream), []


def _embedded(encoder: Encoder, texts: Sequence[str], prompt: str) -> Embedded:
    """Vectors by digest. Nothing of a question or a reply is stored, so none is looked up. prompt: empty for none."""
    distinct = {content_digest(text): text for text in [*texts, *([prompt] if prompt else [])]}
    whole, first = encoder.encode_with_openings(list(distinct.values()))
    vectors: Vectors = dict(zip(distinct, np.asarray(whole), strict=True))
    openings: Vectors = dict(zip(distinct, np.asarray(first), strict=True))
    asked = content_digest(prompt)
    return Embedded(vectors, openings, {asked: openings[asked]} if prompt else {}, encoder.identity.dimension)


def _choice(
    panel: Panel, question: Question, replies: Replies, embedded: Embedded, recalled: Recalled | None
) -> tuple[Choice, list[Pool]]:
    """A round of one prompt whose participants are the upstreams. Choices are decided apart: they are no round."""
    answers = tuple(
        PooledAnswer(ANSWER, voter, sample, reply.text, content_digest(reply.text))
        for (voter, sample), reply in replies.items()
    )
    material = Material((Prompt(ANSWER, question.last),), panel.equivalence, answers, len(replies))
    policy = panel.policy if recalled is None else replace(panel.policy, reliability=True)
    earlier = EarlierRounds() if recalled is None else earlier_questions(recalled.of_upstreams)
    pools = list(with_findings(build_pools(material, embedded, policy), policy))
    decided = decide_round(pools, policy, earlier=earlier, drop_refusals=panel.limits.drop_refusals)
    labelled = label_round(material, pools, decided, policy)
    record = labelled.records[0]
    label, fates = _finished(labelled.labels[0], record.fates, replies, embedded.answers)
    chosen = next((replies[_voice(fate)] for fate in fates if fate.chosen), None)
    trusted = {} if recalled is None else _trusted(recalled, len({fate.participant for fate in fates if fate.admitted}))
    return Choice(label, fates, chosen, record.contests, reliabilities=trusted), pools


def _trusted(recalled: Recalled, admitted: int) -> dict[str, float]:
    """By upstream, as a decision over so many answers has them."""
    return {each.upstream: reliability_among(each, admitted) for each in recalled.of_upstreams}


def _finished(
    label: Label, fates: tuple[AnswerFate, ...], replies: Replies, vectors: Vectors
) -> tuple[Label, tuple[AnswerFate, ...]]:
    """The decision, with a whole text in place of one that was cut, where some upstream meant the same and finished.

    A cut reply counts for its meaning as any other. Where all of that meaning are cut, the chosen one stands, and its
    `finish_reason` says so.
    """
    cut = next((fate for fate in fates if fate.chosen and not replies[_voice(fate)].finished), None)
    same = [fate for fate in fates if cut and fate.cluster == cut.cluster and replies[_voice(fate)].finished]
    if cut is None or cut.cluster is None or not same:
        return label, fates
    best = max(same, key=lambda fate: (fate.similarity or 0.0, fate.digest, fate.participant, -fate.sample))
    again = tuple(replace(fate, chosen=fate is best, similarity=_cosine(fate, best, vectors)) for fate in fates)
    return replace(label, text=replies[_voice(best)].text, digest=best.digest), again


def _voice(fate: AnswerFate) -> tuple[str, int]:
    return fate.participant, fate.sample


def _cosine(fate: AnswerFate, chosen: AnswerFate, vectors: Vectors) -> float | None:
    if fate.similarity is None:
        return None
    return round(float(np.dot(vectors[fate.digest], vectors[chosen.digest])), 6)
