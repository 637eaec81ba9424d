"""Pull mode: the server asks participants that are endpoints, and submits what they say as they would themselves.

Answers are stored as they come, through the same use case as those that are sent, so a worker that is killed leaves
nothing to be asked twice but what was under way. One event loop asks all of them; the database is used in threads.
"""

import asyncio
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice

import structlog

from client_kit import tracing
from client_kit.vocabulary import PullState, Role
from consensus_server.core.errors import DomainError, LeaseLost, StoreUnavailable, Unauthenticated
from consensus_server.core.federations import AnswerPolicy, Federation, Participant, Prompt
from consensus_server.core.inference import Failure, Message, Question, Reply, UpstreamRequest
from consensus_server.core.pulling import Attempts, Endpoint, Pull, PullClaim
from consensus_server.core.rounds import Answer, AnswerKey, Round
from consensus_server.ports import Clock, Store, Upstream
from consensus_server.service.access import Caller, participant_for
from consensus_server.service.connections import Connections
from consensus_server.service.fan_out import ask_one
from consensus_server.service.settling import round_for
from consensus_server.service.submissions import Submissions, require_training_rights

MAX_OUTAGES = 6
"""Outages in a row after which an upstream is given up for the round: with the pauses below, about 20 minutes."""
MAX_PAUSE_SECONDS = 900.0
BEATS_PER_LEASE = 3

_OUTAGES = frozenset(
    {
        Failure.UNREACHABLE,
        Failure.MOVED,
        Failure.SERVER_ERROR,
        Failure.RATE_LIMITED,
        Failure.REFUSED_KEY,
        Failure.UNKNOWN_MODEL,
        Failure.REFUSED_PARAMETER,
    }
)
"""Failures that say something about the upstream rather than the prompt: the others are not asked before a pause."""

_FINAL = frozenset({Failure.CONTEXT_TOO_LONG, Failure.REFUSED_PROMPT})
"""Failures that the same prompt would meet again: it is asked no more."""

OUT_OF_TOKENS = "tokens_per_round is spent"

Clean = Callable[[Reply, AnswerPolicy, int], Reply | str]
"""(reply, answer policy, most characters) -> what is submitted, or why nothing is: the rules that a site applies itself."""
Seed = Callable[[int, str, int], int]
"""(seed, prompt_id, sample) -> the seed of one answer."""

_log = structlog.get_logger("consensus_server.pulling")


@dataclass(frozen=True, slots=True)
class Job:
    """One participant to ask in one round, and what is left to ask."""

    claim: PullClaim
    federation: Federation
    round: Round
    caller: Caller
    participant: Participant
    todo: tuple[tuple[Prompt, int], ...]
    """(prompt, sample), those without answer that are not given up."""
    tokens: int
    """Spent already."""


class Pulling:
    """Asks every participant with an endpoint in every open round. Any number of workers may run."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        submissions: Submissions,
        upstreams: Mapping[str, Upstream],
        *,
        renewed: Callable[[], Mapping[str, Upstream] | None] = lambda: None,
        clean: Clean,
        seed: Seed,
        lease_seconds: float = 60.0,
        pause_seconds: float = 20.0,
    ) -> None:
        """renewed: the upstreams of now, where they have changed since the last call.

        pause_seconds: after the first outage of an upstream; doubled with each that follows.
        """
        self._connections = Connections()
        self._renewed = renewed
        self._store = store
        self._clock = clock
        self._submissions = submissions
        self._upstreams = upstreams
        self._clean = clean
        self._seed = seed
        self._lease_seconds = lease_seconds
        self._pause_seconds = pause_seconds

    async def run(self, stop: threading.Event, *, poll_seconds: float = 0.5) -> None:
        """Until `stop` is set; what is under way is then dropped, and its leases run out. No error ends the loop."""
        busy: set[asyncio.Task[None]] = set()
        try:
            while not stop.is_set():
                try:
                    await self._renew_upstreams()
                    while (claim := await asyncio.to_thread(self.claim)) is not None:
                        asking = asyncio.create_task(self._guarded(claim))
                        busy.add(asking)
                        asking.add_done_callback(busy.discard)
                except Exception:  # noqa: BLE001 - the database may be back at the next look
                    _log.exception("the puller met an error and goes on")
                await asyncio.sleep(poll_seconds)
        finally:
            for asking in busy:
                asking.cancel()
            await asyncio.gather(*busy, return_exceptions=True)
            await asyncio.gather(*(upstream.close() for upstream in self._upstreams.values()))

    async def _renew_upstreams(self) -> None:
        upstreams = await asyncio.to_thread(self._renewed)
        if upstreams is not None:
            gone = set(self._upstreams.values()) - set(upstreams.values())
            self._upstreams = upstreams
            await self._connections.retire(gone)

    def claim(self) -> PullClaim | None:
        """A participant that waits to be asked; None when there is none."""
        now = self._clock.now()
        with self._store.reading() as tx:
            if not tx.rounds.open_rounds():  # most of the time: no write, no lock
                return None
        with self._store.writing() as tx:
            return tx.pulls.claim(secrets.token_hex(16), now=now, until=now + timedelta(seconds=self._lease_seconds))

    async def _guarded(self, claim: PullClaim) -> None:
        log = _log.bind(federation=claim.federation, round=claim.number, participant=claim.participant)
        try:
            await self.pull(claim)
        except LeaseLost:
            log.warning("another worker asks this participant")
        except Exception:
            log.exception("a participant could not be asked; its lease runs out, and it is tried again")

    async def pull(self, claim: PullClaim) -> None:
        """Ask a claimed participant everything that is left, or until the round is over. Raises LeaseLost, StoreUnavailable."""
        job = await asyncio.to_thread(self._load, claim)
        if (refused := _refused(job)) is not None:
            await asyncio.to_thread(self._save, job, replace(claim.pull, state=PullState.FAILED, reason=refused))
            return
        upstream = self._upstreams.get(claim.endpoint.upstream)
        if upstream is None:
            await asyncio.to_thread(self._pause, job, claim.pull, "the worker's panels file has no such upstream")
            return
        async with self._connections.held([upstream]):
            with _traced(job):
                await self._ask_until_over(job, upstream)

    async def _ask_until_over(self, job: Job, upstream: Upstream) -> None:
        claim = job.claim
        beating = asyncio.create_task(self._beat(job))
        asking = asyncio.create_task(self._ask_all(job, upstream))
        try:
            await asyncio.wait({beating, asking}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                beating.result()
            pull, outage = await asking
            await asyncio.to_thread(self._end, job, pull, outage)
        except Unauthenticated:  # it was set to inactive meanwhile; active again, it is asked again
            await asyncio.to_thread(self._pause, job, claim.pull, "it is not active")
        except StoreUnavailable:  # the round goes on: whoever claims the participant when the lease ran out goes on too
            raise
        except DomainError as error:
            over = replace(claim.pull, state=PullState.FAILED, reason=f"the round ended first ({error.code})")
            await asyncio.to_thread(self._save, job, over)
        finally:
            beating.cancel()
            asking.cancel()

    async def _ask_all(self, job: Job, upstream: Upstream) -> tuple[Pull, str | None]:
        """Ask with at most `concurrency` requests under way. What failed by now, and the outage that ended it, if any."""
        endpoint, pull, outage = job.claim.endpoint, job.claim.pull, None
        left, tokens = iter(job.todo), job.tokens
        pending: set[asyncio.Task[tuple[Prompt, int, UpstreamRequest]]] = set()
        try:
            while True:
                spent = endpoint.tokens_per_round is not None and tokens >= endpoint.tokens_per_round
                if outage is None and not spent:
                    pending |= self._begin(upstream, endpoint, left, endpoint.concurrency - len(pending))
                if not pending:
                    return replace(pull, reason=OUT_OF_TOKENS if spent else pull.reason), outage
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                results = [each.result() for each in done]
                pull, heard = await asyncio.to_thread(self._keep, job, pull, results)
                tokens += heard
                outage = outage or _outage_in(results)
        finally:
            for each in pending:
                each.cancel()

    def _begin(
        self, upstream: Upstream, endpoint: Endpoint, left: Iterator[tuple[Prompt, int]], room: int
    ) -> set[asyncio.Task[tuple[Prompt, int, UpstreamRequest]]]:
        async def ask(prompt: Prompt, sample: int) -> tuple[Prompt, int, UpstreamRequest]:
            return prompt, sample, await ask_one(upstream, sample, self._question(endpoint, prompt, sample))

        return {asyncio.create_task(ask(*pair)) for pair in islice(left, room)}

    def _question(self, endpoint: Endpoint, prompt: Prompt, sample: int) -> Question:
        return Question(
            messages=(Message("user", prompt.prompt),),
            temperature=endpoint.temperature,
            top_p=endpoint.top_p,
            max_tokens=endpoint.max_tokens,
            stop=endpoint.stop,
            seed=self._seed(endpoint.seed, prompt.prompt_id, sample),
        )

    def _keep(self, job: Job, pull: Pull, results: Sequence[tuple[Prompt, int, UpstreamRequest]]) -> tuple[Pull, int]:
        """Store what was said, and count what was not; the failures so far, and the tokens that were spent."""
        answers, failures, tokens = [], dict(pull.attempts()), 0
        for prompt, sample, asked in results:
            key = (prompt.prompt_id, sample)
            said = self._said(job, asked)
            if isinstance(said, Reply):
                answers.append(_answer(key, said))
                failures.pop(key, None)
                tokens += (said.prompt_tokens or 0) + (said.completion_tokens or 0)
            else:
                failures[key] = _failed(key, failures.get(key), said, asked, job.claim.endpoint)
        if answers:
            self._submissions.store(job.caller, job.claim.federation, job.claim.number, answers)
        kept = replace(
            pull,
            failures=tuple(failures[key] for key in sorted(failures)),
            outages=0 if answers else pull.outages,
            reason=_why_missing(failures.values(), job.claim.endpoint),
        )
        self._save(job, kept)
        return kept, tokens

    def _said(self, job: Job, asked: UpstreamRequest) -> Reply | str:
        if asked.reply is not None:
            return self._clean(asked.reply, job.federation.terms.answers, job.federation.terms.max_answer_chars)
        return asked.failure.failure.value if asked.failure else Failure.UNREACHABLE.value

    def _end(self, job: Job, pull: Pull, outage: str | None) -> None:
        """Seal, pause, or give up. Raises LeaseLost."""
        if outage is not None and pull.outages + 1 < MAX_OUTAGES and self._left(job, pull):
            self._pause(job, replace(pull, outages=pull.outages + 1), outage)
            return
        if self._left(job, pull) and outage is None and pull.reason != OUT_OF_TOKENS:
            self._pause(job, replace(pull, outages=0), pull.reason or "asked again")
            return
        claim = job.claim
        held = self._submissions.held(job.caller, claim.federation, claim.number)
        if not held.answers:
            self._save(
                job, replace(pull, state=PullState.FAILED, reason=pull.reason or outage or "nothing was answered")
            )
            return
        self._save(job, pull)  # with its reason, before the seal can end the round
        self._submissions.seal(
            job.caller, claim.federation, claim.number, count=len(held.answers), digest=held.digest,
            training_rights=claim.endpoint.training_rights,
        )  # fmt: skip
        self._save(job, replace(pull, state=PullState.SEALED))

    def _left(self, job: Job, pull: Pull) -> bool:
        """Whether anything that failed may be asked once more, or was not asked at all."""
        with self._store.reading() as tx:
            held = tx.submissions.held(job.round, job.participant)
        return bool(_todo(job.todo, held, pull, job.claim.endpoint))

    def _pause(self, job: Job, pull: Pull, reason: str) -> None:
        """Leave the upstream alone for a while; any worker takes it up again."""
        seconds = min(MAX_PAUSE_SECONDS, self._pause_seconds * 2 ** max(0, pull.outages - 1))
        self._save(job, replace(pull, reason=reason), pause_seconds=seconds)

    def _save(self, job: Job, pull: Pull, *, pause_seconds: float | None = None) -> None:
        """Raises LeaseLost."""
        if pause_seconds is not None or pull.state is PullState.FAILED:
            claim, then = job.claim, "given up" if pause_seconds is None else f"asked again in {pause_seconds:g} s"
            _log.warning(
                "a participant's answers are missing", federation=claim.federation, round=claim.number,
                participant=claim.participant, upstream=claim.endpoint.upstream, reason=pull.reason, then=then,
            )  # fmt: skip
        now = self._clock.now()
        next_try = None if pause_seconds is None else now + timedelta(seconds=pause_seconds)
        with self._store.writing() as tx:
            if not tx.pulls.save(job.round, job.participant, job.claim.lease, pull, next_try=next_try):
                raise LeaseLost

    async def _beat(self, job: Job) -> None:
        """Prolong the lease until cancelled. Raises LeaseLost."""
        while True:
            await asyncio.sleep(self._lease_seconds / BEATS_PER_LEASE)
            if not await asyncio.to_thread(self._renew, job):
                raise LeaseLost

    def _renew(self, job: Job) -> bool:
        until = self._clock.now() + timedelta(seconds=self._lease_seconds)
        with self._store.writing() as tx:
            return tx.pulls.renew(job.round, job.participant, job.claim.lease, until=until)

    def _load(self, claim: PullClaim) -> Job:
        with self._store.reading() as tx:
            federation = tx.federations.get(claim.federation)
            if federation is None:
                raise LookupError(f"there is no federation {claim.federation}")
            participant = participant_for(tx, federation, claim.participant)
            round_ = round_for(tx, federation, claim.number)
            prompts = tx.prompt_sets.prompts(federation.terms.prompt_set)
            held = tx.submissions.held(round_, participant)
            tokens = tx.pulls.tokens(round_, participant)
        pairs = [(prompt, sample) for prompt in prompts for sample in range(claim.endpoint.samples)]
        todo = _todo(pairs, held, claim.pull, claim.endpoint)
        return Job(claim, federation, round_, Caller(Role.PARTICIPANT, participant), participant, todo, tokens)


def _traced(job: Job) -> AbstractContextManager[tracing.Drawn]:
    name, number = job.federation.name, job.round.number
    about = tracing.about_round(name, number, job.participant.name)
    return tracing.span("pull", about, under=tracing.RoundTrace.of(name, job.federation.created_at, number))


def _refused(job: Job) -> str | None:
    """Why nothing is asked: the answers could not be sealed, and asking costs."""
    try:
        require_training_rights(job.federation, stated=job.claim.endpoint.training_rights)
    except DomainError as error:
        return error.code.value
    return None


def _todo(
    pairs: Sequence[tuple[Prompt, int]], held: Mapping[AnswerKey, str], pull: Pull, endpoint: Endpoint
) -> tuple[tuple[Prompt, int], ...]:
    attempts = pull.attempts()
    given_up = {key for key, each in attempts.items() if each.count >= endpoint.attempts}
    return tuple(
        (prompt, sample)
        for prompt, sample in pairs
        if (prompt.prompt_id, sample) not in held and (prompt.prompt_id, sample) not in given_up
    )


def _answer(key: AnswerKey, reply: Reply) -> Answer:
    return Answer(*key, reply.text, reply.finish_reason, reply.prompt_tokens, reply.completion_tokens)


def _failed(
    key: AnswerKey, before: Attempts | None, reason: str, asked: UpstreamRequest, endpoint: Endpoint
) -> Attempts:
    """One attempt more. What the answer policy drops, or the upstream always refuses, is given up at once."""
    final = asked.reply is not None or (asked.failure is not None and asked.failure.failure in _FINAL)
    count = endpoint.attempts if final else (before.count if before else 0) + 1
    return Attempts(*key, count, reason)


def _outage_in(results: Sequence[tuple[Prompt, int, UpstreamRequest]]) -> str | None:
    failures = [asked.failure.failure for _, _, asked in results if asked.failure is not None]
    return next((failure.value for failure in failures if failure in _OUTAGES), None)


def _why_missing(failures: Iterable[Attempts], endpoint: Endpoint) -> str | None:
    """`3 answers given up: context_too_long 2, empty 1`; None where none is."""
    given_up = Counter(each.reason for each in failures if each.count >= endpoint.attempts)
    if not given_up:
        return None
    counted = ", ".join(f"{reason} {count}" for reason, count in sorted(given_up.items()))
    return f"{given_up.total()} answers given up: {counted}"
