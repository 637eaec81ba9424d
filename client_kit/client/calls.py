"""One function per route of `client_kit.wire.routes`: what is sent, and how the answer is read."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import quote

import httpx

from client_kit import wire
from client_kit._transport import Call
from client_kit.wire import routes

M = TypeVar("M", bound=wire.WireModel)

_JSON = {"Content-Type": "application/json"}


def path(template: str, **values: str | int) -> str:
    """Fill a path of `routes`. Every value is one segment: a '/' in it is escaped."""
    return re.sub(r"\{(\w+)(:path)?\}", lambda match: quote(str(values[match[1]]), safe=""), template)


def _model(kind: type[M]) -> Callable[[httpx.Response], M]:
    return lambda response: kind.read(response.content)


def lines(response: httpx.Response) -> list[bytes]:
    """The lines of an NDJSON body. Raises ValueError where the answer is no NDJSON or its last line is cut off."""
    if not response.headers.get("Content-Type", "").startswith(routes.NDJSON):
        raise ValueError(f"the body is {response.headers.get('Content-Type', 'of no type')}, not {routes.NDJSON}")
    if response.content and not response.content.endswith(b"\n"):
        raise ValueError("the last line is cut off")
    return response.content.splitlines()


def _get(template: str, kind: type[M], **values: str | int) -> Call[M]:
    return Call("GET", path(template, **values), _model(kind))


def _post(
    template: str, kind: type[M], body: wire.WireModel | None = None, *, idempotent: bool = True, **values: str | int
) -> Call[M]:
    where = path(template, **values)
    if body is None:
        return Call("POST", where, _model(kind), idempotent=idempotent)
    return _with_body("POST", where, kind, body, idempotent=idempotent)


def _with_body(method: str, where: str, kind: type[M], body: wire.WireModel, *, idempotent: bool = True) -> Call[M]:
    content = body.model_dump_json(exclude_none=True).encode()
    return Call(method, where, _model(kind), headers=_JSON, content=content, idempotent=idempotent)


def _put_file(where: str, kind: type[M], body: bytes, headers: Mapping[str, str], *, replace: bool) -> Call[M]:
    params = {"replace": "true"} if replace else {}
    return Call("PUT", where, _model(kind), params=params, headers=headers, content=body)


# The server itself


def health() -> Call[wire.Health]:
    return _get(routes.HEALTH, wire.Health)


def readiness() -> Call[wire.Readiness]:
    """A server that is not ready says so with 503 and the same body."""
    return Call("GET", routes.READY, _model(wire.Readiness), also_read=frozenset({503}))


def metrics() -> Call[str]:
    return Call("GET", routes.METRICS, lambda response: response.text)


def identity() -> Call[wire.Identity]:
    return _get(routes.IDENTITY, wire.Identity)


def server_key() -> Call[wire.ServerKey]:
    return _get(routes.SERVER_KEY, wire.ServerKey)


# Prompt sets


def upload_prompt_set(upload: wire.PromptSetUpload) -> Call[wire.Manifest]:
    return _post(routes.PROMPT_SETS, wire.Manifest, upload)


def prompt_sets() -> Call[wire.PromptSetList]:
    return _get(routes.PROMPT_SETS, wire.PromptSetList)


def prompt_set(digest: str) -> Call[wire.Manifest]:
    return _get(routes.PROMPT_SET, wire.Manifest, digest=digest)


def prompts(digest: str) -> Call[list[wire.Prompt]]:
    def read(response: httpx.Response) -> list[wire.Prompt]:
        return [wire.Prompt.read(line) for line in lines(response)]

    return Call("GET", path(routes.PROMPTS, digest=digest), read, headers={"Accept": routes.NDJSON})


# Federations and participants


def create_federation(federation: wire.FederationCreate) -> Call[wire.Federation]:
    return _post(routes.FEDERATIONS, wire.Federation, federation, idempotent=False)


def federations() -> Call[wire.FederationList]:
    return _get(routes.FEDERATIONS, wire.FederationList)


def federation(name: str) -> Call[wire.Federation]:
    return _get(routes.FEDERATION, wire.Federation, federation=name)


def add_participant(federation: str, participant: wire.ParticipantCreate) -> Call[wire.ParticipantToken]:
    """Not repeated after a lost answer: the token was in it, and a second request meets `already_exists`."""
    return _post(routes.PARTICIPANTS, wire.ParticipantToken, participant, idempotent=False, federation=federation)


def participants(federation: str) -> Call[wire.ParticipantList]:
    return _get(routes.PARTICIPANTS, wire.ParticipantList, federation=federation)


def update_participant(federation: str, participant: str, update: wire.ParticipantUpdate) -> Call[wire.Participant]:
    where = path(routes.PARTICIPANT, federation=federation, participant=participant)
    return _with_body("PATCH", where, wire.Participant, update)


def bind(federation: str, participant: str, binding: wire.CertificateBinding) -> Call[wire.Participant]:
    where = path(routes.CERTIFICATES, federation=federation, participant=participant)
    return _with_body("PUT", where, wire.Participant, binding)


def register_key(federation: str, participant: str, body: wire.KeyRegistration) -> Call[wire.SigningKey]:
    where = path(routes.SIGNING_KEY, federation=federation, participant=participant)
    return _with_body("PUT", where, wire.SigningKey, body)


def end_key(federation: str, participant: str) -> Call[None]:
    where = path(routes.SIGNING_KEY, federation=federation, participant=participant)
    return Call("DELETE", where, lambda _: None)


def signing_keys(federation: str, participant: str) -> Call[wire.SigningKeyList]:
    return _get(routes.SIGNING_KEYS, wire.SigningKeyList, federation=federation, participant=participant)


def new_token(federation: str, participant: str, wish: wire.TokenWish) -> Call[wire.ParticipantToken]:
    """May be repeated where it replaces all: the token of a lost answer is of no use to anybody, and the next one ends it."""
    again = not (wish.keep or wish.grace_seconds)
    where = {"federation": federation, "participant": participant}
    return _post(routes.TOKEN, wire.ParticipantToken, wish, idempotent=again, **where)


def tokens(federation: str, participant: str) -> Call[wire.TokenList]:
    return _get(routes.TOKENS, wire.TokenList, federation=federation, participant=participant)


def revoke_token(federation: str, participant: str, token: str, grace_seconds: float) -> Call[None]:
    where = path(routes.ONE_TOKEN, federation=federation, participant=participant, token=token)
    return Call("DELETE", where, lambda _: None, params={"grace_seconds": grace_seconds})


def invite(federation: str, create: wire.InvitationCreate) -> Call[wire.InvitationCode]:
    """Not repeated after a lost answer: that would make two invitations."""
    return _post(routes.INVITATIONS, wire.InvitationCode, create, idempotent=False, federation=federation)


def invitations(federation: str) -> Call[wire.InvitationList]:
    return _get(routes.INVITATIONS, wire.InvitationList, federation=federation)


def erase(federation: str, participant: str) -> Call[wire.Erasure]:
    where = path(routes.ANSWERS, federation=federation, participant=participant)
    return Call("DELETE", where, _model(wire.Erasure))


def withdraw_invitation(federation: str, invitation: str) -> Call[None]:
    return Call("DELETE", path(routes.INVITATION, federation=federation, invitation=invitation), lambda _: None)


def redeem(redemption: wire.Redemption) -> Call[wire.ParticipantToken]:
    """Not repeated after a lost answer: the invitation may be used."""
    return _post(routes.REDEEM, wire.ParticipantToken, redemption, idempotent=False)


# Operators of the server


def add_operator(create: wire.OperatorCreate) -> Call[wire.OperatorToken]:
    return _post(routes.OPERATORS, wire.OperatorToken, create, idempotent=False)


def operators() -> Call[wire.OperatorList]:
    return _get(routes.OPERATORS, wire.OperatorList)


def remove_operator(operator: str) -> Call[None]:
    return Call("DELETE", path(routes.OPERATOR, operator=operator), lambda _: None)


def new_operator_token(operator: str, wish: wire.TokenWish) -> Call[wire.OperatorToken]:
    again = not (wish.keep or wish.grace_seconds)
    return _post(routes.OPERATOR_TOKEN, wire.OperatorToken, wish, idempotent=again, operator=operator)


def operator_tokens(operator: str) -> Call[wire.TokenList]:
    return _get(routes.OPERATOR_TOKENS, wire.TokenList, operator=operator)


def revoke_operator_token(operator: str, token: str, grace_seconds: float) -> Call[None]:
    where = path(routes.ONE_OPERATOR_TOKEN, operator=operator, token=token)
    return Call("DELETE", where, lambda _: None, params={"grace_seconds": grace_seconds})


# Pull mode


def set_endpoint(federation: str, participant: str, endpoint: wire.Endpoint) -> Call[wire.Endpoint]:
    where = path(routes.ENDPOINT, federation=federation, participant=participant)
    return _with_body("PUT", where, wire.Endpoint, endpoint)


def endpoint(federation: str, participant: str) -> Call[wire.Endpoint]:
    return _get(routes.ENDPOINT, wire.Endpoint, federation=federation, participant=participant)


def remove_endpoint(federation: str, participant: str) -> Call[None]:
    return Call("DELETE", path(routes.ENDPOINT, federation=federation, participant=participant), lambda _: None)


def pulls(federation: str, number: int) -> Call[wire.PullList]:
    return _get(routes.PULLS, wire.PullList, federation=federation, number=number)


# Rounds


def create_round(federation: str, create: wire.RoundCreate) -> Call[wire.Round]:
    """Not repeated after a lost answer: that would make two rounds."""
    return _post(routes.ROUNDS, wire.Round, create, idempotent=False, federation=federation)


def rounds(federation: str) -> Call[wire.RoundList]:
    return _get(routes.ROUNDS, wire.RoundList, federation=federation)


def round_(federation: str, number: int) -> Call[wire.Round]:
    return _get(routes.ROUND, wire.Round, federation=federation, number=number)


def poll_round(federation: str, number: int, state: wire.RoundState, timeout_seconds: float) -> Call[wire.Round]:
    return Call(
        "GET",
        path(routes.ROUND, federation=federation, number=number),
        _model(wire.Round),
        params={"wait_for": state.value, "timeout_seconds": round(timeout_seconds, 3)},
        wait_seconds=timeout_seconds,
    )


def open_round(federation: str, number: int) -> Call[wire.Round]:
    return _post(routes.OPEN, wire.Round, idempotent=False, federation=federation, number=number)


def close_round(federation: str, number: int) -> Call[wire.Round]:
    return _post(routes.CLOSE, wire.Round, idempotent=False, federation=federation, number=number)


def events(federation: str, number: int, last_event_id: int | None) -> Call[httpx.Response]:
    def read(response: httpx.Response) -> httpx.Response:
        if not response.headers.get("Content-Type", "").startswith(routes.EVENT_STREAM):
            raise ValueError(f"the body is no {routes.EVENT_STREAM}")
        return response

    resume = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
    headers = {"Accept": routes.EVENT_STREAM, **resume}
    return Call("GET", path(routes.EVENTS, federation=federation, number=number), read, headers=headers, streamed=True)


def card(federation: str, number: int) -> Call[wire.RoundCard]:
    return _get(routes.CARD, wire.RoundCard, federation=federation, number=number)


def signature(federation: str, number: int) -> Call[wire.SignedRound]:
    return _get(routes.SIGNATURE, wire.SignedRound, federation=federation, number=number)


def bundle(federation: str, number: int) -> Call[bytes]:
    def read(response: httpx.Response) -> bytes:
        if not response.headers.get("Content-Type", "").startswith(routes.ZIP):
            raise ValueError(f"the body is no {routes.ZIP}")
        return response.content

    where = path(routes.BUNDLE, federation=federation, number=number)
    return Call("GET", where, read, headers={"Accept": routes.ZIP})


def traffic(federation: str, number: int) -> Call[wire.TrafficList]:
    return _get(routes.TRAFFIC, wire.TrafficList, federation=federation, number=number)


# Inspection


def map_(federation: str, number: int, prompt_id: str, method: str) -> Call[wire.PoolMap]:
    where = path(routes.MAP, federation=federation, number=number, prompt_id=prompt_id)
    return Call("GET", where, _model(wire.PoolMap), params={"method": method})


def what_if(federation: str, number: int, policy: wire.ConsensusPolicy) -> Call[wire.WhatIf]:
    return _post(routes.WHAT_IF, wire.WhatIf, policy, federation=federation, number=number)


# Standings


def reliability(federation: str, number: int) -> Call[wire.ReliabilityList]:
    return _get(routes.RELIABILITY, wire.ReliabilityList, federation=federation, number=number)


def rejections(federation: str, number: int, cursor: str | None) -> Call[wire.RejectionPage]:
    where = path(routes.REJECTIONS, federation=federation, number=number)
    return Call("GET", where, _model(wire.RejectionPage), params={} if cursor is None else {"cursor": cursor})


def make_appeal(federation: str, number: int, body: wire.AppealCreate) -> Call[wire.Appeal]:
    return _post(routes.ROUND_APPEALS, wire.Appeal, body, idempotent=False, federation=federation, number=number)


def appeals(federation: str) -> Call[wire.AppealList]:
    return _get(routes.APPEALS, wire.AppealList, federation=federation)


def resolve_appeal(federation: str, appeal: int, body: wire.AppealResolution) -> Call[wire.Appeal]:
    """May be repeated: the last word counts, and it is the same."""
    return _post(routes.RESOLUTION, wire.Appeal, body, federation=federation, appeal=appeal)


# Submissions


def put_answers(
    federation: str, number: int, body: bytes, *, replace: bool, compressed: bool = True
) -> Call[wire.SubmissionReceipt]:
    """body: NDJSON of `Answer`, in gzip where `compressed` says so."""
    where = path(routes.SUBMISSIONS, federation=federation, number=number)
    headers = {"Content-Type": routes.NDJSON, **({"Content-Encoding": "gzip"} if compressed else {})}
    return _put_file(where, wire.SubmissionReceipt, body, headers, replace=replace)


def held(federation: str, number: int) -> Call[wire.HeldSubmission]:
    return _get(routes.SUBMISSIONS, wire.HeldSubmission, federation=federation, number=number)


def withdraw(federation: str, number: int) -> Call[wire.Withdrawal]:
    return Call("DELETE", path(routes.SUBMISSIONS, federation=federation, number=number), _model(wire.Withdrawal))


def seal(federation: str, number: int, body: wire.Seal) -> Call[wire.SealReceipt]:
    return _post(routes.SEAL, wire.SealReceipt, body, federation=federation, number=number)


# Parameters


def put_parameters(federation: str, number: int, body: bytes, *, replace: bool) -> Call[wire.ParameterReceipt]:
    """body: safetensors."""
    where = path(routes.PARAMETERS, federation=federation, number=number)
    return _put_file(where, wire.ParameterReceipt, body, {"Content-Type": routes.SAFETENSORS}, replace=replace)


def parameters(federation: str, number: int) -> Call[bytes]:
    def read(response: httpx.Response) -> bytes:
        digest = hashlib.sha256(response.content).hexdigest()
        if response.headers.get("ETag") != f'"{digest}"':
            raise ValueError("the file arrived damaged: its digest is not the one that the server names")
        return response.content

    where = path(routes.PARAMETERS, federation=federation, number=number)
    return Call("GET", where, read, headers={"Accept": routes.SAFETENSORS})


# Pseudo-labels


def pseudo_labels(federation: str, number: int) -> Call[list[bytes]]:
    """The raw lines, so that their digest can be taken before an older client drops fields that it does not know."""
    where = path(routes.PSEUDO_LABELS, federation=federation, number=number)
    return Call("GET", where, lines, headers={"Accept": routes.NDJSON})


def pseudo_label_page(
    federation: str, number: int, cursor: str | None, limit: int | None
) -> Call[wire.PseudoLabelPage]:
    params: dict[str, str | int | float | bool] = {}
    if cursor is not None:
        params["cursor"] = cursor
    if limit is not None:
        params["limit"] = limit
    where = path(routes.PSEUDO_LABELS, federation=federation, number=number)
    return Call("GET", where, _model(wire.PseudoLabelPage), params=params, headers={"Accept": "application/json"})


def explanation(federation: str, number: int, prompt_id: str) -> Call[wire.PromptExplanation]:
    return _get(routes.EXPLANATION, wire.PromptExplanation, federation=federation, number=number, prompt_id=prompt_id)
