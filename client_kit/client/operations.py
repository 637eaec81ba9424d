"""What a client can do, as steps without I/O; `blocking` and `asynchronous` perform them."""

import json
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeAlias, TypeVar

import httpx

from client_kit import wire
from client_kit._transport import Call, Pause, RetryPolicy, Steps, complete
from client_kit.client import calls
from client_kit.client.events import EventFeed
from client_kit.client.submitting import Answers, Batches, Ledger, Submission, counted
from client_kit.errors import (
    ConfigurationError,
    DigestMismatch,
    NoFederationNamed,
    NotReady,
    RoundFailed,
    ServiceError,
    UnknownRound,
    Unreachable,
    WaitTimeout,
)
from client_kit.signing import PrivateKey, round_fault

T = TypeVar("T")

Observe: TypeAlias = Callable[[wire.Round], None]
"""Is told how a round stands that is waited for."""

POLL_SECONDS = 25.0
"""Length of one long poll: below the 30 and 60 seconds after which proxies commonly hang up."""

_NO_ROUND = 2**31 - 1
"""No federation gets that far."""

_LIFE = [
    wire.RoundState.DRAFT,
    wire.RoundState.OPEN,
    wire.RoundState.CLOSED,
    wire.RoundState.AGGREGATING,
    wire.RoundState.PUBLISHED,
]


class Operations:
    """Procedures of one client, in one federation."""

    def __init__(
        self,
        federation: str | None,
        policy: RetryPolicy,
        clock: Callable[[], float] = time.monotonic,
        signing_key: PrivateKey | None = None,
        server_key: str | None = None,
    ) -> None:
        self._federation = federation
        self.signing_key = signing_key
        self.server_key = server_key
        self.policy = policy
        self._clock = clock

    def send(self, call: Call[T]) -> Steps[T]:
        """One call, with retries."""
        return complete(call, self.policy, clock=self._clock)

    def name(self) -> Steps[str]:
        """The federation: as configured, else the one that the token belongs to."""
        if self._federation is None:
            identity: wire.Identity = yield from self.send(calls.identity())
            if identity.federation is None:
                raise NoFederationNamed
            self._federation = identity.federation
        return self._federation

    def here(self, call: Callable[[str], Call[T]]) -> Steps[T]:
        """One call in the client's federation."""
        name = yield from self.name()
        return (yield from self.send(call(name)))

    def whose(self, participant: str | None, call: Callable[[str, str], Call[T]]) -> Steps[T]:
        """One call about a participant of the client's federation, by default about whose token this is."""
        if participant is None:
            participant = (yield from self.send(calls.identity())).participant
        if participant is None:
            raise ConfigurationError("this token is of an operator of the server, which is no participant; name one")
        name, chosen = (yield from self.name()), participant
        return (yield from self.send(call(name, chosen)))

    def prompts(self, digest: str | None) -> Steps[list[wire.Prompt]]:
        """The prompts of a set, by default the federation's. Raises DigestMismatch."""
        if digest is None:
            digest = (yield from self.here(calls.federation)).prompt_set
        prompts = yield from self.send(calls.prompts(digest))
        if wire.prompt_set_digest(prompts) != digest:
            raise DigestMismatch(
                f"the prompts received are not the prompt set {digest[:12]}: their digest is "
                f"{wire.prompt_set_digest(prompts)[:12]}. Do not answer them; ask the operator."
            )
        return prompts

    def current_round(self) -> Steps[wire.Round]:
        """The newest round. Raises UnknownRound where there is none yet."""
        rounds = (yield from self.here(calls.rounds)).items
        if not rounds:
            raise UnknownRound("The federation has no round yet.")
        return max(rounds, key=lambda item: item.number)

    def wait_for(
        self,
        number: int,
        state: wire.RoundState,
        timeout_seconds: float | None,
        observe: Observe | None = None,
    ) -> Steps[wire.Round]:
        """Long polls until the round reached or passed a state.

        A round that does not exist yet is waited for. Once the server has answered, an outage is waited out as well.
        observe: the first look at the round is for it, and does not wait.
        """
        name = yield from self.name()
        deadline = None if timeout_seconds is None else self._clock() + timeout_seconds
        answered, look = False, 0.0 if observe else POLL_SECONDS
        while True:
            remaining = POLL_SECONDS if deadline is None else max(0.0, deadline - self._clock())
            expired = deadline is not None and remaining <= 0.0
            try:
                found = yield from self.send(calls.poll_round(name, number, state, min(look, remaining)))
            except UnknownRound:
                if expired:
                    raise
                # A server that answers 404 at once must not be asked again at once.
                yield Pause(min(1.0, remaining))
            except (Unreachable, NotReady):
                if not answered or deadline is None or expired:
                    raise
            else:
                answered, look = True, POLL_SECONDS
                if _reached(found, state):
                    return found
                if observe is not None:
                    observe(found)
                if expired:
                    raise _too_late(found, state, timeout_seconds)

    def submit(self, number: int, answers: Answers, *, replace: bool) -> Steps[Submission]:
        """Send what the server does not hold yet, in as many requests as it takes."""
        name = yield from self.name()
        held = yield from self.send(calls.held(name, number))
        ledger = Ledger({(answer.prompt_id, answer.sample): answer.digest for answer in held.answers})
        batches = Batches(ledger.unsent(answers))
        for lines in batches:
            body, compressed = batches.body(lines), batches.compressed
            try:
                call = calls.put_answers(name, number, body, replace=replace, compressed=compressed)
                ledger.book((yield from self.send(call)))
            except ServiceError as error:
                if not batches.refused(lines, error):
                    raise
        ledger.tell_if_nothing_is_said()
        return ledger.total()

    def check_upload(self) -> Steps[None]:
        """Send what a large submission would, to a round that is none, so that the server reads and forgets it."""
        name = yield from self.name()
        noise = (wire.Answer(prompt_id="none", sample=each, text=secrets.token_hex(24_000)) for each in range(60))
        batches = Batches(noise)
        for lines in batches:
            with suppress(UnknownRound):
                yield from self.send(calls.put_answers(name, _NO_ROUND, batches.body(lines), replace=False))

    def missing(self, number: int) -> Steps[list[wire.Prompt]]:
        """The federation's prompts to which no answer of the caller is held."""
        held = yield from self.here(lambda name: calls.held(name, number))
        answered = {answer.prompt_id for answer in held.answers}
        prompts = yield from self.prompts(None)
        return [prompt for prompt in prompts if prompt.prompt_id not in answered]

    def seal(
        self,
        number: int,
        answers: Answers | Submission | None,
        *,
        training_rights: bool,
        privacy: wire.PrivacyStatement | None,
        taught_through: int,
    ) -> Steps[wire.SealReceipt]:
        """Close the submission over all answers as this participant counts them, or as the server holds them."""
        stated = {"training_rights": training_rights, "privacy": privacy, "taught_through": taught_through}
        body = (yield from self._seal_over(number, answers)).model_copy(update=stated)
        return (yield from self._sealed(number, body))

    def _sealed(self, number: int, body: wire.Seal) -> Steps[wire.SealReceipt]:
        """Send a seal, signed where the client has a key."""
        if self.signing_key is not None:
            terms = yield from self.here(calls.federation)
            whose = yield from self._own_name()
            signature = self.signing_key.sign(wire.seal_statement(terms, number, whose, body))
            body = body.model_copy(update={"signature": signature})
        return (yield from self.here(lambda name: calls.seal(name, number, body)))

    def _own_name(self) -> Steps[str]:
        """The participant that the token belongs to. Raises ConfigurationError for an operator's of the server."""
        participant = (yield from self.send(calls.identity())).participant
        if participant is None:
            raise ConfigurationError(
                "this token is of an operator of the server, which is no participant and signs nothing"
            )
        return str(participant)

    def register_key(self, key: PrivateKey, replaces: PrivateKey | None) -> Steps[wire.SigningKey]:
        """Let a key sign the participant's seals from now on, with the proof that the client has it."""
        terms = yield from self.here(calls.federation)
        whose = yield from self._own_name()
        statement = wire.KeyStatement(
            federation=terms.federation, created_at=terms.created_at, participant=whose, key=key.public
        )
        endorsed = None if replaces is None else replaces.sign(statement).signature
        body = wire.KeyRegistration(key=key.public, proof=key.sign(statement).signature, endorsement=endorsed)
        return (yield from self.send(calls.register_key(terms.federation, whose, body)))

    def _seal_over(self, number: int, answers: Answers | Submission | None) -> Steps[wire.Seal]:
        if answers is not None:
            return counted(answers).seal
        held = yield from self.here(lambda name: calls.held(name, number))
        return wire.Seal(count=len(held.answers), digest=held.digest)

    def carry(
        self,
        number: int,
        source: int,
        answers: Answers | Submission | None,
        *,
        training_rights: bool,
        privacy: wire.PrivacyStatement | None,
    ) -> Steps[wire.SealReceipt]:
        """Close the submission over the answers of another round, which the server holds."""
        seal = yield from self._seal_over(source, answers)
        stated = {"training_rights": training_rights, "privacy": privacy, "carried_from": source}
        return (yield from self._sealed(number, seal.model_copy(update=stated)))

    def submit_and_seal(
        self,
        number: int,
        answers: Answers,
        *,
        replace: bool,
        training_rights: bool,
        privacy: wire.PrivacyStatement | None,
        taught_through: int,
    ) -> Steps[wire.SealReceipt]:
        """`submit`, then `seal` over the same answers."""
        submission = yield from self.submit(number, answers, replace=replace)
        return (
            yield from self.seal(
                number, submission, training_rights=training_rights, privacy=privacy, taught_through=taught_through
            )
        )

    def pseudo_labels(self, number: int) -> Steps[list[wire.PseudoLabel]]:
        """All pseudo-labels of a published round, believed only when their digest is the round's."""
        name = yield from self.name()
        lines = yield from self.send(calls.pseudo_labels(name, number))
        found = yield from self.send(calls.round_(name, number))
        if _labels_digest(lines) != found.labels:
            raise DigestMismatch(
                f"the pseudo-labels of round {number} of {name} arrived damaged: their digest is not the round's "
                f"({(found.labels or 'none')[:12]}). Fetch them again."
            )
        labels = [wire.PseudoLabel.read(line) for line in lines]
        if self.server_key is not None:
            yield from self._require_signed(name, found, self.server_key, erased=any(label.erased for label in labels))
        return labels

    def _require_signed(self, name: str, found: wire.Round, key: str, *, erased: bool) -> Steps[None]:
        """Raise DigestMismatch unless the server of this key signed the round with these labels. erased: it says that words of some were."""
        signed = yield from self.send(calls.signature(name, found.number))
        if fault := round_fault(signed, key, federation=name, number=found.number, labels=found.labels):
            why = "The server says that words of it were erased since. " if erased else ""
            raise DigestMismatch(
                f"round {found.number} of {name} is not the one that was signed: {fault}. {why}Ask the operator."
            )

    def rejections(self, number: int) -> Steps[list[wire.Rejection]]:
        """All rejected answers of a round that the caller may see, page by page."""
        name = yield from self.name()
        found: list[wire.Rejection] = []
        cursor: str | None = None
        while True:
            page = yield from self.send(calls.rejections(name, number, cursor))
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    def wait_for_labels(
        self, number: int, timeout_seconds: float | None, observe: Observe | None = None
    ) -> Steps[list[wire.PseudoLabel]]:
        """`wait_for` publication, then `pseudo_labels`."""
        yield from self.wait_for(number, wire.RoundState.PUBLISHED, timeout_seconds, observe)
        return (yield from self.pseudo_labels(number))

    def event_stream(self, number: int, feed: EventFeed, *, again: bool) -> Steps[httpx.Response]:
        """An open event stream that goes on after the last event of `feed`; pauses before a reconnection."""
        if again:
            yield Pause(self.policy.first_pause_seconds)
        feed.restart()
        return (yield from self.here(lambda name: calls.events(name, number, feed.last_event_id)))


def _reached(found: wire.Round, state: wire.RoundState) -> bool:
    """Whether the round reached or passed a state. Raises RoundFailed where it no longer can."""
    if found.state is wire.RoundState.FAILED:
        if state is wire.RoundState.FAILED:
            return True
        reason = f"{found.failure.code}: {found.failure.detail.rstrip('.')}" if found.failure else "no reason is given"
        raise RoundFailed(
            f"round {found.number} of {found.federation} failed, {reason}.",
            remedy="An operator may close it again, or open the next one.",
        )
    return state in _LIFE and _LIFE.index(found.state) >= _LIFE.index(state)


def _too_late(found: wire.Round, state: wire.RoundState, timeout_seconds: float | None) -> WaitTimeout:
    return WaitTimeout(
        f"round {found.number} of {found.federation} is {found.state.value}, not {state.value}, after "
        f"{timeout_seconds:g} seconds ({found.sealed} of {found.active} participants have sealed)"
    )


def _labels_digest(lines: Sequence[bytes]) -> str:
    """`pseudo_labels_digest` of rows as received, with fields that this version may not know."""
    rows = (json.loads(line) for line in lines)
    return wire.rows_digest({key: value for key, value in row.items() if value is not None} for row in rows)
