"""Aggregation: a round is claimed by one worker, decided, and published in one transaction."""

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TypeAlias

import structlog

from client_kit import tracing
from client_kit.signing import PrivateKey
from client_kit.vocabulary import AggregationStep, EventKind, RoundState
from client_kit.wire import lines_digest
from consensus_server.core.alarms import alarms
from consensus_server.core.consensus.constants import deciding_constants
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.records import Policy, Pool
from consensus_server.core.errors import (
    AggregationRefused,
    AggregationStopped,
    ComparisonFailed,
    EncoderChanged,
    EncodingFailed,
    LeaseLost,
    StoreUnavailable,
)
from consensus_server.core.federations import Federation
from consensus_server.core.labels import Counts, Echo, Exemption, Label, ParameterCard, RoundCard, Timings
from consensus_server.core.lifecycle import (
    AGGREGATION_FAILED,
    CLUSTERER_RETIRED,
    CONTRADICTIONS_UNAVAILABLE,
    ENCODER_CHANGED,
    ENCODER_UNAVAILABLE,
    RoundFailure,
)
from consensus_server.core.privacy import privacy_card
from consensus_server.core.reliability import spread_of
from consensus_server.core.rounds import AggregationProgress, Round
from consensus_server.ports import AggregateFile, Clock, EmbeddingStore, Encoder, NeighbourIndex, Store, Transaction
from consensus_server.service.basis import basis_lines
from consensus_server.service.contradictions import BY_WORDS, Comparisons, require_contradictions, with_findings
from consensus_server.service.deciding import (
    Embedded,
    RoundLabels,
    build_pools,
    counts_of,
    label_round,
    support_rows,
)
from consensus_server.service.echoes import echoes
from consensus_server.service.embedding import EmbeddingResult, embed_texts
from consensus_server.service.heartbeat import Heartbeat
from consensus_server.service.material import material_of, read_held
from consensus_server.service.parameters import aggregate_round
from consensus_server.service.progress import Reporter
from consensus_server.service.refusals import require_refusals
from consensus_server.service.round_signatures import signed_round
from consensus_server.service.settling import record, round_for
from consensus_server.service.versions import deciding_versions

LEASE_SECONDS = 60.0
BEATS_PER_LEASE = 3
"""Two beats may fail before the lease is lost."""
AWAY_SECONDS = 1.0
"""Between two looks whether a database that was away is back."""
MOST_CLAIMS = 3
"""Workers that may be lost over a round; it would only take more of them with it."""

Report: TypeAlias = Callable[[AggregationStep, int, int], None]
"""Is told (what is being done, done, total)."""

_log = structlog.get_logger("consensus_server.worker")


class Result(StrEnum):
    """How an aggregation ended."""

    PUBLISHED = "published"
    FAILED = "failed"
    LOST = "lost"
    """Another worker has the round; nothing was written."""
    STOPPED = "stopped"
    """Given back, for another to claim."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A round that this worker alone may aggregate, as long as its lease lasts."""

    federation: Federation
    round: Round
    lease: str


@dataclass(frozen=True, slots=True)
class Aggregated:
    """What became of a claimed round."""

    federation: str
    number: int
    result: Result
    seconds: float


@dataclass(frozen=True, slots=True)
class _Decided:
    """All of a round card that is known before publication."""

    labelled: RoundLabels
    counts: Counts
    timings: Timings
    exemptions: tuple[Exemption, ...]
    echoes: tuple[Echo, ...]
    basis: str
    """Digest of what it was decided from beside its answers."""
    files: tuple[AggregateFile, ...] = ()
    """Of the parameter path."""
    parameters: ParameterCard | None = None


class Aggregation:
    """Turns closed rounds into published ones."""

    def __init__(
        self,
        store: Store,
        embeddings: EmbeddingStore,
        encoder: Encoder,
        clock: Clock,
        *,
        lease_seconds: float = LEASE_SECONDS,
        neighbours: NeighbourIndex | None = None,
        comparisons: Comparisons = BY_WORDS,
        before_publishing: Callable[[], None] = lambda: None,
        on_published: Callable[[RoundCard, Sequence[Label]], None] = lambda *_: None,
        signing_key: PrivateKey | None = None,
    ) -> None:
        """lease_seconds: silence after which another worker may claim. neighbours: for very large pools.

        before_publishing: brings what the round card reports, such as counted bytes, into the store. on_published: is told
        the card and the labels of each round once it is published. For metrics. signing_key: signs each round; None: none is signed.
        """
        self._store = store
        self._embeddings = embeddings
        self._encoder = encoder
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._neighbours = neighbours
        self._comparisons = comparisons
        self._before_publishing = before_publishing
        self._on_published = on_published
        self._signing_key = signing_key

    def claim(self) -> Claim | None:
        """Take the oldest round that is closed, or whose worker fell silent; None when there is none.

        A round over which `MOST_CLAIMS` workers in a row were lost fails instead, and None is answered.
        """
        lease = secrets.token_hex(16)
        with self._store.writing() as tx:
            now = self._clock.now()
            round_ = tx.rounds.claim(lease, now=now, until=self._lease_end(now))
            if round_ is None:
                return None
            if round_.claims > MOST_CLAIMS:
                record(tx, replace(round_, state=RoundState.FAILED, failure=_workers_lost()), now)
                return None
            tx.events.add(round_, EventKind.AGGREGATING, now)
            federation = tx.federations.get(round_.federation)
        if federation is None:
            raise LookupError(f"round {round_.number} belongs to no federation")
        return Claim(federation, round_, lease)

    def aggregate(self, claim: Claim, stop: threading.Event | None = None) -> Aggregated:
        """Decide and publish a claimed round; the result says how it went, and so does the log.

        stop: set from another thread to give the round back between two batches of texts. Raises only when the store
        fails as well; the round is claimable again once the lease has expired.
        """
        started = time.perf_counter()
        federation, number = claim.federation.name, claim.round.number
        about = tracing.about_round(federation, number)
        with (
            structlog.contextvars.bound_contextvars(federation=federation, round=number),
            tracing.span("aggregate", about, under=_trace_of(claim)) as drawn,
        ):
            try:
                result = self._attempt(claim, stop or threading.Event())
            except LeaseLost:
                result = Result.LOST
            seconds = time.perf_counter() - started
            drawn.tell({"semantic_consensus.result": result.value})
            _log.info("aggregation ended", result=result.value, seconds=round(seconds, 3))
        return Aggregated(federation, number, result, seconds)

    def _attempt(self, claim: Claim, stop: threading.Event) -> Result:
        """Raises LeaseLost."""
        try:
            with self._heartbeat(claim, stop) as heartbeat:
                decided = self._decide(claim.federation, claim.round, self._reporter(claim, heartbeat))
            with tracing.span("publish"):
                self._publish(claim, decided)
        except LeaseLost:
            raise
        except (AggregationStopped, StoreUnavailable) as error:
            _log.info("the round is given back", cause=repr(error))
            self._give_back_when_it_can_be(claim, stop)
            return Result.STOPPED
        except AggregationRefused as error:
            self._fail(claim, str(error), error.code)
            return Result.FAILED
        except EncodingFailed as error:
            _log.error("no vectors", cause=str(error))
            self._fail(claim, *_public_failure(error))
            return Result.FAILED
        except ComparisonFailed as error:
            _log.error("no verdicts", cause=str(error))
            self._fail(claim, _UNCOMPARED, CONTRADICTIONS_UNAVAILABLE)
            return Result.FAILED
        except Exception as error:  # noqa: BLE001 - whatever it is, the round must not hang
            _log.exception("aggregation failed")
            self._fail(
                claim, f"The aggregation met an unexpected error ({type(error).__name__}); the server's log has it."
            )
            return Result.FAILED
        return Result.PUBLISHED

    def _decide(self, federation: Federation, round_: Round, report: Report) -> _Decided:
        started = time.perf_counter()
        if federation.undecidable:
            raise AggregationRefused(federation.undecidable, CLUSTERER_RETIRED)
        self._check_encoder(federation)
        require_contradictions(federation, self._comparisons)
        require_refusals(federation)
        policy = federation.terms.policy
        with self._store.reading() as tx:
            exempt = frozenset(tx.appeals.exemptions(federation))
            held = read_held(tx, federation, round_, policy, exempt)
        material = material_of(held, policy, self._comparisons)
        with tracing.span("encode") as drawn:
            embedded = self._embed(material.texts(), report)
            prompts = self._embed(material.prompt_texts() if policy.guards else {}, report)
            drawn.tell({"semantic_consensus.encoded": embedded.encoded, "semantic_consensus.reused": embedded.reused})
        encoded = time.perf_counter()
        with tracing.span("decide"):
            pools = build_pools(
                material,
                Embedded(embedded.vectors, embedded.openings, prompts.openings, self._encoder.identity.dimension),
                policy,
            )
            pools = _compared(pools, policy, self._comparisons, report)
            decided = decide_round(
                pools,
                policy,
                self._neighbours,
                material.earlier,
                drop_refusals=federation.terms.refusals_told_by is not None,
                progress=partial(report, AggregationStep.DECIDING),
            )
            labelled = label_round(material, pools, decided, policy)
        files, card = self._aggregate_parameters(federation, round_)
        with self._store.reading() as tx:
            heard = echoes(tx, federation, round_, labelled.records)
        ended = time.perf_counter()
        return _Decided(
            labelled,
            counts_of(material, labelled, encoded=embedded.encoded, reused=embedded.reused),
            Timings(
                encoding_seconds=encoded - started, deciding_seconds=ended - encoded, total_seconds=ended - started
            ),
            tuple(Exemption(*pair) for pair in sorted(material.earlier.exempt)),
            heard,
            lines_digest(basis_lines(held)),
            files,
            card,
        )

    def _aggregate_parameters(
        self, federation: Federation, round_: Round
    ) -> tuple[tuple[AggregateFile, ...], ParameterCard | None]:
        plan = federation.terms.parameters
        if plan is None:
            return (), None
        with self._store.reading() as tx:
            files, card = aggregate_round(tx.parameters, round_, plan)
        return tuple(files), card

    def _embed(self, texts: Mapping[str, str], report: Report) -> EmbeddingResult:
        return embed_texts(texts, self._encoder, self._embeddings, progress=partial(report, AggregationStep.ENCODING))

    def _check_encoder(self, federation: Federation) -> None:
        identity = self._encoder.identity
        if identity.digest != federation.encoder:
            raise AggregationRefused(
                f"The federation is pinned to the encoder {federation.encoder[:12]}...; this server runs {identity.name} "
                f"({identity.digest[:12]}...). The operator starts the server with the first and closes the round again.",
                ENCODER_CHANGED,
            )

    def _publish(self, claim: Claim, decided: _Decided) -> None:
        """All or nothing. Raises LeaseLost when another worker has the round."""
        self._before_publishing()
        with self._store.writing() as tx:
            now = self._clock.now()
            round_ = self._held(tx, claim, now)
            card = self._card(tx, claim.federation, round_, decided, now)
            tx.labels.publish(round_, decided.labelled.records, card)
            if self._signing_key is not None:
                signed = signed_round(tx, self._signing_key, claim.federation, round_, card, decided.basis)
                tx.labels.sign(round_, signed)
            tx.parameters.publish(round_, decided.files)
            tx.reliabilities.add(round_, decided.labelled.reliabilities)
            record(
                tx, replace(round_, state=RoundState.PUBLISHED, published_at=now, labels=decided.labelled.digest), now
            )
        _log.info(
            "labels by support",
            support=[[row.support, row.labels, round(row.mean_confidence, 3)] for row in card.support],
            abstentions=dict(card.counts.abstentions),
        )
        for alarm in card.alarms:
            _log.warning("alarm", kind=alarm.kind, detail=alarm.detail)
        self._on_published(card, decided.labelled.labels)
        _draw(claim, card.published_at)

    def _card(
        self, tx: Transaction, federation: Federation, round_: Round, decided: _Decided, now: datetime
    ) -> RoundCard:
        before = tx.rounds.get(federation, round_.number - 1)
        return RoundCard(
            federation=federation.name,
            number=round_.number,
            prompt_set=federation.terms.prompt_set,
            policy=federation.terms.policy,
            encoder=self._encoder.identity,
            constants=deciding_constants(federation.terms.policy),
            labels=decided.labelled.digest,
            counts=decided.counts,
            support=support_rows(decided.labelled.labels),
            traffic=tx.traffic.of(round_),
            timings=decided.timings,
            versions=deciding_versions(),
            published_at=now,
            pulled=tx.pulls.of(round_),
            parameters=decided.parameters,
            reliability=spread_of(decided.labelled.reliabilities),
            exemptions=decided.exemptions,
            privacy=privacy_card({name: sealed.privacy for name, sealed in tx.submissions.seals(round_).items()}),
            refusals_told_by=federation.terms.refusals_told_by,
            echoes=decided.echoes,
            alarms=alarms(decided.counts, decided.echoes, None if before is None else tx.labels.card(before)),
        )

    def _fail(self, claim: Claim, detail: str, code: str = AGGREGATION_FAILED) -> None:
        with self._store.writing() as tx:
            now = self._clock.now()
            round_ = self._held(tx, claim, now)
            failure = RoundFailure(code, detail)
            record(tx, replace(round_, state=RoundState.FAILED, failure=failure), now)
        _draw(claim, now, failure=code)

    def _give_back(self, claim: Claim) -> None:
        with self._store.writing() as tx:
            tx.rounds.give_back(claim.round, claim.lease, now=self._clock.now())

    def _give_back_when_it_can_be(self, claim: Claim, stop: threading.Event) -> None:
        """A database that is away is no fault of the round, nor of the worker: the claim does not count.

        Raises StoreUnavailable where it stays away for as long as the lease; another worker may then claim the round.
        """
        until = time.monotonic() + self._lease_seconds
        while True:
            try:
                self._give_back(claim)
            except StoreUnavailable:
                if time.monotonic() > until or stop.wait(AWAY_SECONDS):
                    raise
            else:
                return

    def _held(self, tx: Transaction, claim: Claim, now: datetime) -> Round:
        """The locked round, if the lease is still this worker's. Raises LeaseLost."""
        round_ = round_for(tx, claim.federation, claim.round.number, lock=True)
        if not tx.rounds.renew(round_, claim.lease, until=self._lease_end(now)):
            raise LeaseLost
        return round_

    def _heartbeat(self, claim: Claim, stop: threading.Event) -> Heartbeat:
        return Heartbeat(lambda: self._renew(claim), interval_seconds=self._lease_seconds / BEATS_PER_LEASE, stop=stop)

    def _reporter(self, claim: Claim, heartbeat: Heartbeat) -> Report:
        """Told each step; raises LeaseLost or AggregationStopped when going on is of no use."""
        reporter = Reporter(partial(self._tell, claim))

        def report(step: AggregationStep, done: int, total: int) -> None:
            heartbeat.check()
            reporter(step, done, total)

        return report

    def _tell(self, claim: Claim, progress: AggregationProgress, event: bool) -> None:  # noqa: FBT001 - as `Reporter` calls it
        """Raises LeaseLost. A database that is away is none of its business: publishing finds out."""
        try:
            with self._store.writing() as tx:
                now = self._clock.now()
                told = tx.rounds.save(replace(self._held(tx, claim, now), progress=progress))
                if event:
                    tx.events.add(told, EventKind.AGGREGATING, now)
        except LeaseLost:
            raise
        except Exception:  # noqa: BLE001 - as above
            _log.exception("the progress of a round could not be told")

    def _renew(self, claim: Claim) -> bool:
        with self._store.writing() as tx:
            return tx.rounds.renew(claim.round, claim.lease, until=self._lease_end(self._clock.now()))

    def _lease_end(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._lease_seconds)


def _trace_of(claim: Claim) -> tracing.RoundTrace:
    return tracing.RoundTrace.of(claim.federation.name, claim.federation.created_at, claim.round.number)


def _draw(claim: Claim, ended: datetime, failure: str | None = None) -> None:
    """The span that everything of the round lies under, from its opening."""
    facts = {**tracing.about_round(claim.federation.name, claim.round.number), "semantic_consensus.failure": failure}
    began = claim.round.opened_at or ended
    tracing.draw_round(_trace_of(claim), f"round {claim.round.number}", began, ended, facts)


_UNCOMPARED = (
    "The model that tells contradictions gave no verdicts. Answers, and the verdicts that there are, are kept. The operator removes "
    "the cause, which the server's log names, and closes the round again."
)


def _compared(pools: Sequence[Pool], policy: Policy, comparisons: Comparisons, report: Report) -> list[Pool]:
    """The pools with what contradicts in them. Raises ComparisonFailed."""
    found = []
    for done, pool in enumerate(with_findings(pools, policy, comparisons)):
        report(AggregationStep.COMPARING, done, len(pools))
        found.append(pool)
    return found


def _public_failure(error: EncodingFailed) -> tuple[str, str]:
    """What every member may read of it, and the failure's code. The cause itself, with addresses, is in the log."""
    if isinstance(error, EncoderChanged):
        detail = (
            "What answers under the encoder's name is another model than the one that this federation is pinned to, and "
            "vectors of the two may not be compared. Nothing of it was kept. The operator puts the old model back and closes "
            "the round again, or creates a new federation on the new one."
        )
        return detail, ENCODER_CHANGED
    detail = (
        "The encoder gave no vectors. Answers, and the vectors that there are, are kept. The operator removes the cause, which "
        "the server's log names, and closes the round again."
    )
    return detail, ENCODER_UNAVAILABLE


def _workers_lost() -> RoundFailure:
    return RoundFailure(
        AGGREGATION_FAILED,
        f"{MOST_CLAIMS} workers in a row were lost while they aggregated this round: out of memory, perhaps. The logs of "
        "their machines say more. An operator who has removed the cause closes the round again.",
    )
