"""Consensus as inference: a panel of upstreams answers one question, and the same core as in a round decides."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from client_kit.vocabulary import OnAbstention
from client_kit.wire import content_digest
from consensus_server.core.consensus.answers.gates import REFUSAL
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.records import Policy, Pool
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.errors import NotReady
from consensus_server.core.federations import Prompt
from consensus_server.core.inference import Failure, Question, Reply, RequestState, UpstreamRequest
from consensus_server.core.labels import AnswerFate, ClusterContest, Label
from consensus_server.core.panel_memory import earlier_questions, reliability_among
from consensus_server.ports import Encoder, PooledAnswer, Upstream
from consensus_server.service.access import token_hash
from consensus_server.service.contradictions import with_findings
from consensus_server.service.deciding import Embedded, Material, Vectors, build_pools, label_round
from consensus_server.service.fan_out import WaitLimits, fan_out
from consensus_server.service.panel_memory import MemoryTerms, PanelMemory, Recalled, within_reason

ANSWER = "answer"
"""Name of a panel's only prompt, which a round would call by its `prompt_id`."""


class UnknownPanel(LookupError):  # noqa: N818 - reads as a state of the world
    """There is no such panel, or this caller may not use it."""


class QuorumMissed(Exception):  # noqa: N818 - reads as what happened
    """Too few upstreams replied in time."""

    def __init__(self, message: str, asked: tuple[UpstreamRequest, ...]) -> None:
        super().__init__(message)
        self.asked = asked

    @property
    def late(self) -> bool:
        """Whether time ran out, rather than upstreams failing."""
        return any(each.state is RequestState.LATE for each in self.asked)

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
    memory: MemoryTerms | None = None
    """None: each question is decided as the first."""


@dataclass(frozen=True, slots=True)
class PanelCaller:
    """Somebody with a token for panels."""

    name: str
    token_hash: str
    panels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision: a label as a round would give it, and what became of each reply."""

    label: Label
    fates: tuple[AnswerFate, ...]
    chosen: Reply | None
    """None for an abstention."""
    contests: tuple[ClusterContest, ...] = ()
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
    """By upstream and sample."""
    encoder: str
    """Digest of the encoder's identity."""
    waiting_seconds: float
    encoding_seconds: float
    deciding_seconds: float
    recalled: Recalled | None = None
    """What the panel knew of its upstreams; None where it has no memory."""

    def tokens(self) -> tuple[int, int]:
        """Prompt and completion tokens of all replies, as far as upstreams counted them."""
        replies = [each.reply for each in self.asked if each.reply is not None]
        return (
            sum(reply.prompt_tokens or 0 for reply in replies),
            sum(reply.completion_tokens or 0 for reply in replies),
        )


class Inference:
    """The panels of one server."""

    def __init__(
        self,
        panels: Sequence[Panel],
        callers: Sequence[PanelCaller],
        encoder: Callable[[], Encoder | None],
        memory: PanelMemory | None = None,
    ) -> None:
        """encoder: None while it loads. memory: of panels that have one; without it they have none."""
        self._panels = {panel.name: panel for panel in panels}
        self._callers = {caller.token_hash: caller for caller in callers}
        self._encoder = encoder
        self._memory = memory
        # One at a time: arithmetic gains nothing from threads that share the cores, and decisions never queue behind
        # use cases that wait for the database.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")

    def caller(self, token: str) -> PanelCaller | None:
        """Whose token for panels this is; None where it is none."""
        return self._callers.get(token_hash(token))

    def panels(self, caller: PanelCaller | None) -> tuple[Panel, ...]:
        """Those that the caller may use, by name. None: the server's operator, who may use all."""
        return tuple(panel for name, panel in sorted(self._panels.items()) if caller is None or name in caller.panels)

    def panel(self, name: str, caller: PanelCaller | None) -> Panel:
        """Raises UnknownPanel, also for one that the caller may not use."""
        for panel in self.panels(caller):
            if panel.name == name:
                return panel
        raise UnknownPanel(name)

    async def answer(self, panel: Panel, question: Question, choices: int = 1) -> Consensus:
        """Ask the panel; `choices` independent decisions, each over one reply of every upstream.

        A seed is counted up from choice to choice. Raises QuorumMissed where any choice has too few replies, and
        NotReady while the encoder loads.
        """
        encoder = self._encoder()
        if encoder is None:
            raise NotReady("The encoder is still loading; /readyz says when it is ready.")
        reading = self._recall(panel, encoder)
        started = time.perf_counter()
        asked = await fan_out(panel.upstreams, _samples(question, choices), panel.limits)
        waited = time.perf_counter() - started
        _require_quorum(panel, asked, choices)
        loop = asyncio.get_running_loop()
        recalled = None if reading is None else await within_reason(reading)
        consensus, pools = await loop.run_in_executor(
            self._thread, _decided, encoder, panel, question, asked, waited, recalled
        )
        self._remember(panel, consensus.encoder, pools)
        return consensus

    def _recall(self, panel: Panel, encoder: Encoder) -> "asyncio.Future[Recalled] | None":
        if self._memory is None or panel.memory is None:
            return None
        return self._memory.recall(panel.name, panel.memory, encoder.identity.digest)

    def _remember(self, panel: Panel, encoder: str, pools: Sequence[Pool]) -> None:
        if self._memory is not None and panel.memory is not None:
            self._memory.remember(
                panel.name, panel.memory, encoder, pools, panel.policy, drop_refusals=panel.limits.drop_refusals
            )

    async def close(self) -> None:
        """Close the connections to the upstreams."""
        upstreams = {id(upstream): upstream for panel in self._panels.values() for upstream in panel.upstreams}
        await asyncio.gather(*(upstream.close() for upstream in upstreams.values()))
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._memory is not None:
            await self._memory.close()


def _samples(question: Question, choices: int) -> list[Question]:
    seed = question.seed
    return [question if seed is None else replace(question, seed=seed + sample) for sample in range(choices)]


def _require_quorum(panel: Panel, asked: tuple[UpstreamRequest, ...], choices: int) -> None:
    quorum = panel.limits.quorum
    for sample in range(choices):
        own = [each for each in asked if each.sample == sample]
        replied = sum(each.reply is not None for each in own)  # also where it is a refusal: then the panel abstains
        if replied < quorum:
            raise QuorumMissed(
                f"{replied} of {len(own)} upstreams of the panel {panel.name} answered; it needs {quorum}. "
                + "; ".join(_in_words(each) for each in own if each.reply is None),
                asked,
            )


def _in_words(asked: UpstreamRequest) -> str:
    """In words fit for whoever may use the panel."""
    return f"{asked.upstream}: {asked.failure.failure if asked.failure else f'late after {asked.seconds:.1f} s'}"


def _decided(  # noqa: PLR0917 - of `run_in_executor`, which takes no names
    encoder: Encoder,
    panel: Panel,
    question: Question,
    asked: tuple[UpstreamRequest, ...],
    waited: float,
    recalled: Recalled | None,
) -> tuple[Consensus, list[Pool]]:
    """The panel's answer, and the pool of each choice."""
    replies = [(each, each.reply) for each in asked if each.reply is not None]
    started = time.perf_counter()
    embedded = _embedded(encoder, [reply.text for _, reply in replies], question.last if panel.policy.guards else "")
    encoded = time.perf_counter()
    samples = sorted({each.sample for each, _ in replies})
    decided = [
        _choice(
            panel, question, {each.upstream: reply for each, reply in replies if each.sample == k}, embedded, recalled
        )
        for k in samples
    ]
    consensus = Consensus(
        choices=tuple(choice for choice, _ in decided),
        asked=asked,
        encoder=encoder.identity.digest,
        waiting_seconds=waited,
        encoding_seconds=encoded - started,
        deciding_seconds=time.perf_counter() - encoded,
        recalled=recalled,
    )
    return consensus, [pool for _, pools in decided for pool in pools]


def _embedded(encoder: Encoder, texts: Sequence[str], prompt: str) -> Embedded:
    """Vectors by digest. Nothing of a question or a reply is stored, so none is looked up. prompt: empty for none."""
    distinct = {content_digest(text): text for text in [*texts, *([prompt] if prompt else [])]}
    whole, first = encoder.encode_with_openings(list(distinct.values()))
    vectors: Vectors = dict(zip(distinct, np.asarray(whole), strict=True))
    openings: Vectors = dict(zip(distinct, np.asarray(first), strict=True))
    asked = content_digest(prompt)
    return Embedded(vectors, openings, {asked: openings[asked]} if prompt else {}, encoder.identity.dimension)


def _choice(
    panel: Panel, question: Question, replies: Mapping[str, Reply], embedded: Embedded, recalled: Recalled | None
) -> tuple[Choice, list[Pool]]:
    """A round of one prompt whose participants are the upstreams. Choices are decided apart: they are no round."""
    answers = tuple(
        PooledAnswer(ANSWER, name, 0, reply.text, content_digest(reply.text)) for name, reply in replies.items()
    )
    material = Material((Prompt(ANSWER, question.last),), panel.equivalence, answers, len(replies))
    policy = panel.policy if recalled is None else replace(panel.policy, reliability=True)
    earlier = EarlierRounds() if recalled is None else earlier_questions(recalled.of_upstreams)
    pools = list(with_findings(build_pools(material, embedded, policy), policy))
    decided = decide_round(pools, policy, earlier=earlier, drop_refusals=panel.limits.drop_refusals)
    labelled = label_round(material, pools, decided, policy)
    record = labelled.records[0]
    label, fates = _finished(labelled.labels[0], record.fates, replies, embedded.answers)
    chosen = next((replies[fate.participant] for fate in fates if fate.chosen), None)
    return Choice(label, fates, chosen, record.contests, _reliabilities(recalled, fates)), pools


def _reliabilities(recalled: Recalled | None, fates: Sequence[AnswerFate]) -> dict[str, float]:
    """By upstream, as the decision over these answers had them."""
    admitted = sum(fate.admitted for fate in fates)
    return (
        {} if recalled is None else {each.upstream: reliability_among(each, admitted) for each in recalled.of_upstreams}
    )


def _finished(
    label: Label, fates: tuple[AnswerFate, ...], replies: Mapping[str, Reply], vectors: Vectors
) -> tuple[Label, tuple[AnswerFate, ...]]:
    """The decision, with a whole text in place of one that was cut, where some upstream meant the same and finished.

    A cut reply counts for its meaning as any other. Where all of that meaning are cut, the chosen one stands, and its
    `finish_reason` says so.
    """
    cut = next((fate for fate in fates if fate.chosen and not replies[fate.participant].finished), None)
    same = [fate for fate in fates if cut and fate.cluster == cut.cluster and replies[fate.participant].finished]
    if cut is None or cut.cluster is None or not same:
        return label, fates
    best = max(same, key=lambda fate: (fate.similarity or 0.0, fate.digest, fate.participant))
    again = tuple(replace(fate, chosen=fate is best, similarity=_cosine(fate, best, vectors)) for fate in fates)
    return replace(label, text=replies[best.participant].text, digest=best.digest), again


def _cosine(fate: AnswerFate, chosen: AnswerFate, vectors: Vectors) -> float | None:
    if fate.similarity is None:
        return None
    return round(float(np.dot(vectors[fate.digest], vectors[chosen.digest])), 6)
