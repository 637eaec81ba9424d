"""One function per route of `client_kit.wire.routes`: what is sent, and how the answer is read."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import quote

import httpx

from client_kit._transport import Call
from client_kit.wire import (
    Appeal,
    AppealCreate,
    AppealList,
    AppealResolution,
    ConsensusPolicy,
    Endpoint,
    Federation,
    FederationCreate,
    FederationList,
    Health,
    HeldSubmission,
    Identity,
    Manifest,
    ParameterReceipt,
    Participant,
    ParticipantCreate,
    ParticipantList,
    ParticipantToken,
    ParticipantUpdate,
    PoolMap,
    Prompt,
    PromptExplanation,
    PromptSetList,
    PromptSetUpload,
    PseudoLabelPage,
    PullList,
    Readiness,
    RejectionPage,
    ReliabilityList,
    Round,
    RoundCard,
    RoundCreate,
    RoundList,
    RoundState,
    Seal,
    SealReceipt,
    SubmissionReceipt,
    TrafficList,
    WhatIf,
    WireModel,
    routes,
)

M = TypeVar("M", bound=WireModel)

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
    template: str, kind: type[M], body: WireModel | None = None, *, idempotent: bool = True, **values: str | int
) -> Call[M]:
    content = None if body is None else body.model_dump_json(exclude_none=True).encode()
    headers: Mapping[str, str] = {} if body is None else _JSON
    return Call("POST", path(template, **values), _model(kind), headers=headers, content=content, idempotent=idempotent)


# The server itself


def health() -> Call[Health]:
    return _get(routes.HEALTH, Health)


def readiness() -> Call[Readiness]:
    """A server that is not ready says so with 503 and the same body."""
    return Call("GET", routes.READY, _model(Readiness), also_read=frozenset({503}))


def metrics() -> Call[str]:
    return Call("GET", routes.METRICS, lambda response: response.text)


def identity() -> Call[Identity]:
    return _get(routes.IDENTITY, Identity)


# Prompt sets


def upload_prompt_set(upload: PromptSetUpload) -> Call[Manifest]:
    return _post(routes.PROMPT_SETS, Manifest, upload)


def prompt_sets() -> Call[PromptSetList]:
    return _get(routes.PROMPT_SETS, PromptSetList)


def prompt_set(digest: str) -> Call[Manifest]:
    return _get(routes.PROMPT_SET, Manifest, digest=digest)


def prompts(digest: str) -> Call[list[Prompt]]:
    def read(response: httpx.Response) -> list[Prompt]:
        return [Prompt.read(line) for line in lines(response)]

    return Call("GET", path(routes.PROMPTS, digest=digest), read, headers={"Accept": routes.NDJSON})


# Federations and participants


def create_federation(federation: FederationCreate) -> Call[Federation]:
    return _post(routes.FEDERATIONS, Federation, federation, idempotent=False)


def federations() -> Call[FederationList]:
    return _get(routes.FEDERATIONS, FederationList)


def federation(name: str) -> Call[Federation]:
    return _get(routes.FEDERATION, Federation, federation=name)


def add_participant(federation: str, participant: ParticipantCreate) -> Call[ParticipantToken]:
    """Not repeated after a lost answer: the token was in it, and a second request meets `already_exists`."""
    return _post(routes.PARTICIPANTS, ParticipantToken, participant, idempotent=False, federation=federation)


def participants(federation: str) -> Call[ParticipantList]:
    return _get(routes.PARTICIPANTS, ParticipantList, federation=federation)


def update_participant(federation: str, participant: str, update: ParticipantUpdate) -> Call[Participant]:
    return Call(
        "PATCH",
        path(routes.PARTICIPANT, federation=federation, participant=participant),
        _model(Participant),
        headers=_JSON,
        content=update.model_dump_json().encode(),
    )


def new_token(federation: str, participant: str) -> Call[ParticipantToken]:
    """May be repeated: the token of a lost answer is of no use to anybody, and the next one ends it."""
    return _post(routes.TOKEN, ParticipantToken, federation=federation, participant=participant)


# Pull mode


def set_endpoint(federation: str, participant: str, endpoint: Endpoint) -> Call[Endpoint]:
    return Call(
        "PUT",
        path(routes.ENDPOINT, federation=federation, participant=participant),
        _model(Endpoint),
        headers=_JSON,
        content=endpoint.model_dump_json(exclude_none=True).encode(),
    )


def endpoint(federation: str, participant: str) -> Call[Endpoint]:
    return _get(routes.ENDPOINT, Endpoint, federation=federation, participant=participant)


def remove_endpoint(federation: str, participant: str) -> Call[None]:
    return Call("DELETE", path(routes.ENDPOINT, federation=federation, participant=participant), lambda _: None)


def pulls(federation: str, number: int) -> Call[PullList]:
    return _get(routes.PULLS, PullList, federation=federation, number=number)


# Rounds


def create_round(federation: str, create: RoundCreate) -> Call[Round]:
    """Not repeated after a lost answer: that would make two rounds."""
    return _post(routes.ROUNDS, Round, create, idempotent=False, federation=federation)


def rounds(federation: str) -> Call[RoundList]:
    return _get(routes.ROUNDS, RoundList, federation=federation)


def round_(federation: str, number: int) -> Call[Round]:
    return _get(routes.ROUND, Round, federation=federation, number=number)


def poll_round(federation: str, number: int, state: RoundState, timeout_seconds: float) -> Call[Round]:
    return Call(
        "GET",
        path(routes.ROUND, federation=federation, number=number),
        _model(Round),
        params={"wait_for": state.value, "timeout_seconds": round(timeout_seconds, 3)},
        wait_seconds=timeout_seconds,
    )


def open_round(federation: str, number: int) -> Call[Round]:
    return _post(routes.OPEN, Round, idempotent=False, federation=federation, number=number)


def close_round(federation: str, number: int) -> Call[Round]:
    return _post(routes.CLOSE, Round, idempotent=False, federation=federation, number=number)


def events(federation: str, number: int, last_event_id: int | None) -> Call[httpx.Response]:
    def read(response: httpx.Response) -> httpx.Response:
        if not response.headers.get("Content-Type", "").startswith(routes.EVENT_STREAM):
            raise ValueError(f"the body is no {routes.EVENT_STREAM}")
        return response

    resume = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
    headers = {"Accept": routes.EVENT_STREAM, **resume}
    return Call("GET", path(routes.EVENTS, federation=federation, number=number), read, headers=headers, streamed=True)


def card(federation: str, number: int) -> Call[RoundCard]:
    return _get(routes.CARD, RoundCard, federation=federation, number=number)


def traffic(federation: str, number: int) -> Call[TrafficList]:
    return _get(routes.TRAFFIC, TrafficList, federation=federation, number=number)


# Inspection


def map_(federation: str, number: int, prompt_id: str, method: str) -> Call[PoolMap]:
    where = path(routes.MAP, federation=federation, number=number, prompt_id=prompt_id)
    return Call("GET", where, _model(PoolMap), params={"method": method})


def what_if(federation: str, number: int, policy: ConsensusPolicy) -> Call[WhatIf]:
    return _post(routes.WHAT_IF, WhatIf, policy, federation=federation, number=number)


# Standings


def reliability(federation: str, number: int) -> Call[ReliabilityList]:
    return _get(routes.RELIABILITY, ReliabilityList, federation=federation, number=number)


def rejections(federation: str, number: int, cursor: str | None) -> Call[RejectionPage]:
    params: dict[str, str | int | float | bool] = {} if cursor is None else {"cursor": cursor}
    return Call(
        "GET", path(routes.REJECTIONS, federation=federation, number=number), _model(RejectionPage), params=params
    )


def make_appeal(federation: str, number: int, body: AppealCreate) -> Call[Appeal]:
    return _post(routes.ROUND_APPEALS, Appeal, body, idempotent=False, federation=federation, number=number)


def appeals(federation: str) -> Call[AppealList]:
    return _get(routes.APPEALS, AppealList, federation=federation)


def resolve_appeal(federation: str, appeal: int, body: AppealResolution) -> Call[Appeal]:
    """May be repeated: the last word counts, and it is the same."""
    return _post(routes.RESOLUTION, Appeal, body, federation=federation, appeal=appeal)


# Submissions


def put_answers(federation: str, number: int, body: bytes, *, replace: bool) -> Call[SubmissionReceipt]:
    """body: gzip of NDJSON of `Answer`."""
    return Call(
        "PUT",
        path(routes.SUBMISSIONS, federation=federation, number=number),
        _model(SubmissionReceipt),
        params={"replace": "true"} if replace else {},
        headers={"Content-Type": routes.NDJSON, "Content-Encoding": "gzip"},
        content=body,
    )


def held(federation: str, number: int) -> Call[HeldSubmission]:
    return _get(routes.SUBMISSIONS, HeldSubmission, federation=federation, number=number)


def seal(federation: str, number: int, body: Seal) -> Call[SealReceipt]:
    return _post(routes.SEAL, SealReceipt, body, federation=federation, number=number)


# Parameters


def put_parameters(federation: str, number: int, body: bytes, *, replace: bool) -> Call[ParameterReceipt]:
    """body: safetensors."""
    return Call(
        "PUT",
        path(routes.PARAMETERS, federation=federation, number=number),
        _model(ParameterReceipt),
        params={"replace": "true"} if replace else {},
        headers={"Content-Type": routes.SAFETENSORS},
        content=body,
    )


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


def pseudo_label_page(federation: str, number: int, cursor: str | None, limit: int | None) -> Call[PseudoLabelPage]:
    params: dict[str, str | int | float | bool] = {}
    if cursor is not None:
        params["cursor"] = cursor
    if limit is not None:
        params["limit"] = limit
    where = path(routes.PSEUDO_LABELS, federation=federation, number=number)
    return Call("GET", where, _model(PseudoLabelPage), params=params, headers={"Accept": "application/json"})


def explanation(federation: str, number: int, prompt_id: str) -> Call[PromptExplanation]:
    return _get(routes.EXPLANATION, PromptExplanation, federation=federation, number=number, prompt_id=prompt_id)
