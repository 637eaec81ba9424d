"""The blocking client."""

import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from client_kit import egress, wire
from client_kit._transport import Call, Outcome, Pause, RetryPolicy, Steps
from client_kit.client import calls
from client_kit.client.connection import DEFAULT_TIMEOUT_SECONDS, checked_url, headers, request_options, traced
from client_kit.client.events import EventFeed
from client_kit.client.operations import Observe, Operations
from client_kit.client.submitting import Answers, Submission
from client_kit.proxies import environment_explained, http_options
from client_kit.signing import PrivateKey

T = TypeVar("T")

ALL_ENDS = wire.TokenWish()
ANYBODY = wire.InvitationCreate()


class ConsensusClient:
    """A consensus server, as one participant, observer or operator sees it.

    url: address of the server, for example `http://127.0.0.1:8000`.
    token: as handed out by the operator; only health, readiness and metrics go without.
    federation: by default the one that the token belongs to.
    timeout_seconds: for a connection, and for each pause between bytes; long polls add their own.
    transport: replaces the network, for tests and for servers in the same process.
    signing_key: signs every seal; it must be the participant's registered one (`register_key`).
    server_key: only pseudo-labels that the server of this public key signed are believed; by default all are.

    Every method raises a `client_kit.errors.ServiceError`. Use it as a context manager, or `close` it.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        federation: str | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  frozen
        transport: httpx.BaseTransport | None = None,
        signing_key: PrivateKey | None = None,
        server_key: str | None = None,
    ) -> None:
        address = checked_url(url)
        with environment_explained():
            way = {"transport": transport} if transport else http_options(url)
            self._http = httpx.Client(base_url=address, headers=headers(token), event_hooks=egress.hooks(), **way)
        self._timeout_seconds = timeout_seconds
        self._operations = Operations(federation, retry, signing_key=signing_key, server_key=server_key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, those of `in_federation` included."""
        self._http.close()

    def in_federation(self, name: str) -> "ConsensusClient":
        """A client of another federation on this server, with this token and these connections."""
        other = object.__new__(type(self))
        other._http = self._http
        other._timeout_seconds = self._timeout_seconds
        own = self._operations
        other._operations = Operations(name, own.policy, signing_key=own.signing_key, server_key=own.server_key)
        return other

    # The server

    def health(self) -> wire.Health:
        """Whether the process answers, and its version."""
        return self._run(self._operations.send(calls.health()))

    def readiness(self) -> wire.Readiness:
        """Whether it can work, with which encoder; a server that is not ready is an answer, not an error."""
        return self._run(self._operations.send(calls.readiness()))

    def metrics(self) -> str:
        """Prometheus metrics as text."""
        return self._run(self._operations.send(calls.metrics()))

    def identity(self) -> wire.Identity:
        """Whose token this is."""
        return self._run(self._operations.send(calls.identity()))

    def server_key(self) -> str:
        """The public key that signs the rounds of this server. Keep it when you first see it, and give it to later clients."""
        return self._run(self._operations.send(calls.server_key())).key

    # Prompt sets

    def upload_prompt_set(self, upload: wire.PromptSetUpload) -> wire.Manifest:
        """Give the server a prompt set; one that it holds already is no error. Operators of the server only."""
        return self._run(self._operations.send(calls.upload_prompt_set(upload)))

    def prompt_sets(self) -> list[wire.Manifest]:
        """All prompt sets that the server holds."""
        return self._run(self._operations.send(calls.prompt_sets())).items

    def prompt_set(self, digest: str) -> wire.Manifest:
        """What a prompt set is, beside its prompts."""
        return self._run(self._operations.send(calls.prompt_set(digest)))

    def prompts(self, digest: str | None = None) -> list[wire.Prompt]:
        """The prompts of a set, verified by its digest; by default of the federation's."""
        return self._run(self._operations.prompts(digest))

    # Federations and participants

    def create_federation(self, federation: wire.FederationCreate) -> wire.Federation:
        """Begin a federation. Operators of the server only."""
        return self._run(self._operations.send(calls.create_federation(federation)))

    def federations(self) -> list[wire.Federation]:
        """The federations that the token may see."""
        return self._run(self._operations.send(calls.federations())).items

    def federation(self) -> wire.Federation:
        """What the participants of the federation agreed on."""
        return self._run(self._operations.here(calls.federation))

    def add_participant(self, participant: str, role: wire.Role = wire.Role.PARTICIPANT) -> wire.ParticipantToken:
        """Add a participant; its token is shown this once. Operators only."""
        body = wire.ParticipantCreate(participant=participant, role=role)
        return self._run(self._operations.here(lambda name: calls.add_participant(name, body)))

    def participants(self) -> list[wire.Participant]:
        """All participants of the federation. Operators only."""
        return self._run(self._operations.here(calls.participants)).items

    def set_active(self, participant: str, *, active: bool) -> wire.Participant:
        """Let a participant take part, or not. Operators only."""
        body = wire.ParticipantUpdate(active=active)
        return self._run(self._operations.here(lambda name: calls.update_participant(name, participant, body)))

    def bind(self, participant: str, certificates: Sequence[str]) -> wire.Participant:
        """Let a participant call with these client certificates only, by SHA-256; with none, as any. Operators only."""
        body = wire.CertificateBinding(certificates=list(certificates))
        return self._run(self._operations.here(lambda name: calls.bind(name, participant, body)))

    def register_key(self, key: PrivateKey, *, replaces: PrivateKey | None = None) -> wire.SigningKey:
        """Let a key (`client_kit.signing`) sign the caller's seals from now on; the same again changes nothing.

        replaces: the key that signs so far, which endorses the new one. Raises SignatureRefused without it, AlreadyExists for
        a key that has ended.
        """
        return self._run(self._operations.register_key(key, replaces))

    def end_key(self, participant: str) -> None:
        """Let a participant's key sign no more, as where it was lost; it can register another. Operators only."""
        self._run(self._operations.here(lambda name: calls.end_key(name, participant)))

    def signing_keys(self, participant: str | None = None) -> list[wire.SigningKey]:
        """Every signing key of a participant, oldest first; by default of the caller. Others only for operators."""
        return self._run(self._operations.whose(participant, calls.signing_keys)).items

    def new_token(self, participant: str | None = None, wish: wire.TokenWish = ALL_ENDS) -> wire.ParticipantToken:
        """A new token for a participant, by default for whose token this is. The old ones end, as `wish` says.

        An operator replaces every token of the participant, a participant the one that it calls with.
        """
        return self._run(self._operations.whose(participant, lambda name, who: calls.new_token(name, who, wish)))

    def tokens(self, participant: str | None = None) -> list[wire.Token]:
        """The tokens of a participant, by default of whose token this is; nothing of them can be used."""
        return self._run(self._operations.whose(participant, calls.tokens)).items

    def revoke_token(self, token: str, participant: str | None = None, *, grace_seconds: float = 0.0) -> None:
        """End a token by its id, at once or after a while; by default one of whose token this is."""
        self._run(
            self._operations.whose(participant, lambda name, who: calls.revoke_token(name, who, token, grace_seconds))
        )

    def erase(self, participant: str | None = None) -> wire.Erasure:
        """Delete all answers of a participant that the server holds, by default of whose token this is, and what tells them.

        Raises RoundInProgress while sealed ones are to be decided on. Repeated, it changes nothing.
        """
        return self._run(self._operations.whose(participant, calls.erase))

    def invite(self, invitation: wire.InvitationCreate = ANYBODY) -> wire.InvitationCode:
        """Invite somebody to the federation; the code is shown this once. Operators only."""
        return self._run(self._operations.here(lambda name: calls.invite(name, invitation)))

    def invitations(self) -> list[wire.Invitation]:
        """Invitations to the federation, with who joined with each. Operators only."""
        return self._run(self._operations.here(calls.invitations)).items

    def withdraw_invitation(self, invitation: str) -> None:
        """Let nobody join with an invitation, named by its id. Operators only."""
        self._run(self._operations.here(lambda name: calls.withdraw_invitation(name, invitation)))

    def redeem(
        self,
        code: str,
        *,
        participant: str | None = None,
        federation: str | None = None,
        bind_certificate: bool = False,
    ) -> wire.ParticipantToken:
        """Join with an invitation; needs no token. federation: the one that is expected.

        bind_certificate: the new token is of use with this client's certificate alone.
        """
        body = wire.Redemption(
            code=code, participant=participant, federation=federation, bind_certificate=bind_certificate or None
        )
        return self._run(self._operations.send(calls.redeem(body)))

    # Operators of the server

    def add_operator(self, operator: wire.OperatorCreate) -> wire.OperatorToken:
        """Add an operator of the server; its token is shown this once. Operators of the server only."""
        return self._run(self._operations.send(calls.add_operator(operator)))

    def operators(self) -> list[wire.Operator]:
        """Operators of the server that have names. Operators of the server only."""
        return self._run(self._operations.send(calls.operators())).items

    def remove_operator(self, operator: str) -> None:
        """Forget an operator of the server; its tokens end at once. Operators of the server only."""
        self._run(self._operations.send(calls.remove_operator(operator)))

    def new_operator_token(self, operator: str, wish: wire.TokenWish = ALL_ENDS) -> wire.OperatorToken:
        """A new token for an operator of the server; the old ones end, as `wish` says. Operators of the server only."""
        return self._run(self._operations.send(calls.new_operator_token(operator, wish)))

    def operator_tokens(self, operator: str) -> list[wire.Token]:
        """The tokens of an operator of the server; nothing of them can be used. Operators of the server only."""
        return self._run(self._operations.send(calls.operator_tokens(operator))).items

    def revoke_operator_token(self, operator: str, token: str, *, grace_seconds: float = 0.0) -> None:
        """End a token of an operator by its id, at once or after a while. Operators of the server only."""
        self._run(self._operations.send(calls.revoke_operator_token(operator, token, grace_seconds)))

    # Pull mode

    def set_endpoint(self, participant: str, endpoint: wire.Endpoint) -> wire.Endpoint:
        """Have the server ask a participant through an upstream of its panels file. Operators of the server only."""
        return self._run(self._operations.here(lambda name: calls.set_endpoint(name, participant, endpoint)))

    def endpoint(self, participant: str) -> wire.Endpoint:
        """How the server asks a participant; an error where it does not. Operators only."""
        return self._run(self._operations.here(lambda name: calls.endpoint(name, participant)))

    def remove_endpoint(self, participant: str) -> None:
        """Have the server ask a participant no more. Operators of the server only."""
        self._run(self._operations.here(lambda name: calls.remove_endpoint(name, participant)))

    def pulls(self, number: int) -> list[wire.PullStatus]:
        """How far the server is with each participant that it asks in a round, and why answers are missing."""
        return self._run(self._operations.here(lambda name: calls.pulls(name, number))).items

    # Rounds

    def create_round(self, *, draft: bool = False, round_seconds: float | None = None) -> wire.Round:
        """The next round, open at once unless it is to be a draft. Operators only."""
        body = wire.RoundCreate(open=not draft, round_seconds=round_seconds)
        return self._run(self._operations.here(lambda name: calls.create_round(name, body)))

    def rounds(self) -> list[wire.Round]:
        """All rounds of the federation, oldest first."""
        return self._run(self._operations.here(calls.rounds)).items

    def round(self, number: int) -> wire.Round:
        """One round as it is now."""
        return self._run(self._operations.here(lambda name: calls.round_(name, number)))

    def current_round(self) -> wire.Round:
        """The newest round; UnknownRound where there is none yet."""
        return self._run(self._operations.current_round())

    def open_round(self, number: int) -> wire.Round:
        """Open a draft. Operators only."""
        return self._run(self._operations.here(lambda name: calls.open_round(name, number)))

    def close_round(self, number: int) -> wire.Round:
        """Close a round before its deadline, or a failed one again. Operators only."""
        return self._run(self._operations.here(lambda name: calls.close_round(name, number)))

    def wait_for(
        self,
        number: int,
        state: wire.RoundState,
        timeout_seconds: float | None = None,
        observe: Observe | None = None,
    ) -> wire.Round:
        """Wait until a round reached or passed a state; it need not exist yet. None waits for ever.

        Raises WaitTimeout, and RoundFailed where the round can no longer reach the state. Once the server has answered,
        an outage shorter than the time left is waited out. observe: is told the round as it is, at once and then with each
        long poll, as long as it is waited for.
        """
        return self._run(self._operations.wait_for(number, state, timeout_seconds, observe))

    def events(self, number: int, *, after: int | None = None) -> Iterator[wire.RoundEvent]:
        """The events of a round as they happen, until it is published or failed; reconnects by itself.

        after: `event_id` of the last event seen; by default from the beginning.
        """
        feed, again = EventFeed(after), False
        while not feed.ended:
            response = self._run(self._operations.event_stream(number, feed, again=again))
            again = True
            try:
                for chunk in response.iter_bytes():
                    yield from feed.take(chunk)
            except httpx.TransportError:
                continue  # a quiet or broken connection: go on after the last event
            finally:
                response.close()

    def card(self, number: int) -> wire.RoundCard:
        """What made a published round."""
        return self._run(self._operations.here(lambda name: calls.card(name, number)))

    def signature(self, number: int) -> wire.SignedRound:
        """The server's signature of a published round. Raises RoundNotPublished also for one that nobody signed."""
        return self._run(self._operations.here(lambda name: calls.signature(name, number)))

    def bundle(self, number: int) -> bytes:
        """Everything of a published round that the caller may see, in one file: `client_kit.verifying.verify` checks it."""
        return self._run(self._operations.here(lambda name: calls.bundle(name, number)))

    def traffic(self, number: int) -> list[wire.Traffic]:
        """Bytes on the wire so far: an operator sees all participants, a participant itself."""
        return self._run(self._operations.here(lambda name: calls.traffic(name, number))).items

    # Submissions

    def submit(self, number: int, answers: Answers, *, replace: bool = False) -> Submission:
        """Send answers to a round; those that the server holds already are left out, so a repetition resumes.

        answers: texts by prompt_id, or `Answer` records; read once, lazily, and sent in requests below the limit.
        replace: exchange the text of answers held with another one; else they raise AnswerConflict.
        """
        return self._run(self._operations.submit(number, answers, replace=replace))

    def missing(self, number: int) -> list[wire.Prompt]:
        """The prompts to which the server holds no answer of the caller: what is left to ask a model after an interruption."""
        return self._run(self._operations.missing(number))

    def check_upload(self) -> None:
        """Send a body as large as that of a submission, of which nothing is kept. Raises what stands in its way.

        UnexpectedAnswer with status 413 or 415, or BrokenEncoding: a proxy; `submit` sends smaller or plain bodies then.
        """
        self._run(self._operations.check_upload())

    def held(self, number: int) -> wire.HeldSubmission:
        """Keys and digests of the caller's answers that the server holds."""
        return self._run(self._operations.here(lambda name: calls.held(name, number)))

    def withdraw(self, number: int) -> wire.Withdrawal:
        """Take back all answers of the caller that the server holds. Raises SubmissionSealed after the seal, RoundNotOpen."""
        return self._run(self._operations.here(lambda name: calls.withdraw(name, number)))

    def seal(
        self,
        number: int,
        answers: Answers | Submission | None = None,
        *,
        training_rights: bool = False,
        privacy: wire.PrivacyStatement | None = None,
        taught_through: int = 0,
    ) -> wire.SealReceipt:
        """Declare the submission complete. Only sealed submissions count; repeated, it gives the same receipt.

        answers: all answers of this participant in the round, or what `submit` returned for all of them; by default those
            that the server holds, as it counts them.
        training_rights: you state that others may train on them. privacy: you state how little they reveal about one
        record; every member reads it in the round card. taught_through: you state the newest round whose pseudo-labels the
        model that answered was trained on; 0: none. Raises SealMismatch where the server holds others, TrainingRightsMissing
        where the federation wants that statement.
        """
        return self._run(
            self._operations.seal(
                number, answers, training_rights=training_rights, privacy=privacy, taught_through=taught_through
            )
        )

    def submit_and_seal(
        self,
        number: int,
        answers: Answers,
        *,
        replace: bool = False,
        training_rights: bool = False,
        privacy: wire.PrivacyStatement | None = None,
        taught_through: int = 0,
    ) -> wire.SealReceipt:
        """`submit` all answers, then `seal` them."""
        return self._run(
            self._operations.submit_and_seal(
                number, answers, replace=replace, training_rights=training_rights, privacy=privacy,
                taught_through=taught_through,
            )
        )  # fmt: skip

    def carry(
        self,
        number: int,
        source: int,
        answers: Answers | Submission | None = None,
        *,
        training_rights: bool = False,
        privacy: wire.PrivacyStatement | None = None,
    ) -> wire.SealReceipt:
        """Seal round `number` with this participant's sealed answers of round `source`, which are not sent again.

        For a participant of which nothing has changed since. answers: those of `source`, as this participant counts
        them; by default as the server does. The other statements are those of `seal`; what the answers' model was taught
        is taken over. Raises SealMismatch where nothing was sealed in `source`, or other answers than these.
        """
        return self._run(
            self._operations.carry(number, source, answers, training_rights=training_rights, privacy=privacy)
        )

    # Parameters

    def put_parameters(self, number: int, file: bytes, *, replace: bool = False) -> wire.ParameterReceipt:
        """Send this participant's update of a round, before the seal; the same file again changes nothing.

        file: safetensors as `client_kit.parameters` writes it. Raises ParametersRefused where it does not follow the
        federation's plan, AnswerConflict where another file is held and `replace` is not said.
        """
        return self._run(self._operations.here(lambda name: calls.put_parameters(name, number, file, replace=replace)))

    def parameters(self, number: int) -> bytes:
        """What a published round made of the updates: this participant's own file where the method is personal.

        Raises NoParameters where nobody sent any, RoundNotPublished before publication.
        """
        return self._run(self._operations.here(lambda name: calls.parameters(name, number)))

    # Pseudo-labels

    def pseudo_labels(self, number: int) -> list[wire.PseudoLabel]:
        """All pseudo-labels of a published round, abstentions included, verified by the round's digest.

        Raises RoundNotPublished before; `wait_for_labels` waits instead.
        """
        return self._run(self._operations.pseudo_labels(number))

    def pseudo_label_page(
        self, number: int, *, cursor: str | None = None, limit: int | None = None
    ) -> wire.PseudoLabelPage:
        """One page of pseudo-labels, for those who show them; `pseudo_labels` fetches and verifies all."""
        return self._run(self._operations.here(lambda name: calls.pseudo_label_page(name, number, cursor, limit)))

    def wait_for_labels(
        self, number: int, timeout_seconds: float | None = None, observe: Observe | None = None
    ) -> list[wire.PseudoLabel]:
        """`wait_for` publication, then `pseudo_labels`. observe: as there."""
        return self._run(self._operations.wait_for_labels(number, timeout_seconds, observe))

    def explanation(self, number: int, prompt_id: str) -> wire.PromptExplanation:
        """Why a prompt has the pseudo-label it has."""
        return self._run(self._operations.here(lambda name: calls.explanation(name, number, prompt_id)))

    # Standings

    def map(self, number: int, prompt_id: str, *, method: str = "pca") -> wire.PoolMap:
        """The answers to a prompt in two dimensions; by `umap` where the server has that extra."""
        return self._run(self._operations.here(lambda name: calls.map_(name, number, prompt_id, method)))

    def what_if(self, number: int, policy: wire.ConsensusPolicy) -> wire.WhatIf:
        """A published round as another policy would have decided it; nothing is changed. Operators only."""
        return self._run(self._operations.here(lambda name: calls.what_if(name, number, policy)))

    def reliability(self, number: int) -> list[wire.Reliability]:
        """How far participants were trusted in a published round: an operator sees all, a participant itself."""
        return self._run(self._operations.here(lambda name: calls.reliability(name, number))).items

    def rejections(self, number: int) -> list[wire.Rejection]:
        """Answers that gates kept out of a published round, with reasons: all for an operator, else the caller's own."""
        return self._run(self._operations.rejections(number))

    def appeal(self, number: int, gate: str, text: str) -> wire.Appeal:
        """Appeal against a gate that refused answers of the caller in a published round; once for each gate."""
        body = wire.AppealCreate(gate=gate, text=text)
        return self._run(self._operations.here(lambda name: calls.make_appeal(name, number, body)))

    def appeals(self) -> list[wire.Appeal]:
        """Appeals of the federation, oldest first: all for an operator, else the caller's own."""
        return self._run(self._operations.here(calls.appeals)).items

    def resolve_appeal(self, appeal: int, outcome: wire.AppealOutcome, note: str = "") -> wire.Appeal:
        """Decide an appeal; upheld, it exempts from the next aggregation on. The last word counts. Operators only."""
        body = wire.AppealResolution(outcome=outcome, note=note)
        return self._run(self._operations.here(lambda name: calls.resolve_appeal(name, appeal, body)))

    # Performing steps

    def _run(self, steps: Steps[T]) -> T:
        outcome: Outcome = None
        try:
            while True:
                step = steps.send(outcome)
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    outcome = None
                else:
                    outcome = self._exchange(step)
        except StopIteration as done:
            result: T = done.value
            return result

    def _exchange(self, call: Call[Any]) -> Outcome:
        with traced(call) as drawn:
            request = self._http.build_request(call.method, call.path, **request_options(call, self._timeout_seconds))
            try:
                response = self._http.send(request, stream=True)
                if not (call.streamed and response.is_success):
                    response.read()
            except httpx.RequestError as error:
                drawn.fail(type(error).__name__)
                return error
            drawn.tell({"http.response.status_code": response.status_code})
        return response
