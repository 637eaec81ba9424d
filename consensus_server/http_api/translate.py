"""Between the wire and the core. Equal names mean equal things; only what differs is spelt out."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter

from client_kit import wire
from consensus_server.core.consensus.records import Policy
from consensus_server.core.erasures import ErasedRound
from consensus_server.core.federations import Federation, Participant, Terms
from consensus_server.core.labels import AnswerFate, Explanation, Rejection
from consensus_server.core.rounds import Answer, Event, Round
from consensus_server.core.tokens import Operator, Token
from consensus_server.service.access import Caller
from consensus_server.service.cache_savings import round_for_reader
from consensus_server.service.federations import rule_of_today
from consensus_server.service.operators import OperatorToken
from consensus_server.service.participants import IssuedToken
from consensus_server.service.rejections import reason_of
from consensus_server.service.signing import agreed_terms
from consensus_server.service.tokens import TokenWish

Message = TypeVar("Message", bound=BaseModel)
Record = TypeVar("Record")


def to_wire(kind: type[Message], record: object) -> Message:
    """The message whose fields are those of a record. Unequal names are a fault of ours and raise ValidationError."""
    return kind.model_validate(record, from_attributes=True)


def to_core(kind: type[Record], message: BaseModel, **renamed: object) -> Record:
    """The record whose fields are those of a message. renamed: fields that have another name on the wire."""
    record: Record = _adapter(kind).validate_python(  # type: ignore[arg-type]  # classes are hashable
        message.model_dump(mode="json") | renamed
    )
    return record


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - a class of records
    return TypeAdapter(kind)


def terms(create: wire.FederationCreate) -> Terms:
    return to_core(Terms, create, name=create.federation, policy=policy(create.policy))


def policy(given: wire.ConsensusPolicy) -> Policy:
    return to_core(Policy, given, rule=rule_of_today(given.rule))


def answers(rows: Iterable[wire.Answer]) -> list[Answer]:
    return [
        Answer(
            prompt_id=row.prompt_id,
            sample=row.sample,
            text=row.text,
            finish_reason=row.finish_reason.value,
            prompt_tokens=row.usage.prompt_tokens if row.usage else None,
            completion_tokens=row.usage.completion_tokens if row.usage else None,
        )
        for row in rows
    ]


def federation(record: Federation) -> wire.Federation:
    return agreed_terms(record)


def round_(record: Round, caller: Caller) -> wire.Round:
    return to_wire(wire.Round, round_for_reader(caller, record))


def round_event(record: Event, caller: Caller) -> wire.RoundEvent:
    return to_wire(wire.RoundEvent, replace(record, round=round_for_reader(caller, record.round)))


def participant(record: Participant, signing_key: str | None = None) -> wire.Participant:
    return wire.Participant(
        participant=record.name,
        role=record.role,
        active=record.active,
        created_at=record.created_at,
        certificates=sorted(record.certificates),
        seen_at=record.seen_at,
        signing_key=signing_key,
    )


def erasure(name: str, rounds: Iterable[ErasedRound]) -> wire.Erasure:
    return wire.Erasure(participant=name, rounds=[to_wire(wire.ErasedRound, each) for each in rounds])


def token_wish(given: wire.TokenWish) -> TokenWish:
    return to_core(TokenWish, given)


def first_token_wish(given: wire.ParticipantCreate | wire.OperatorCreate | wire.InvitationCreate) -> TokenWish:
    scopes = None if given.scopes is None else frozenset(given.scopes)
    return TokenWish(scopes=scopes, lifetime_seconds=given.lifetime_seconds)


def token(record: Token) -> wire.Token:
    return wire.Token(
        id=record.id,
        scopes=sorted(record.scopes),
        created_at=record.created_at,
        expires_at=record.expires_at,
        last_used_at=record.last_used_at,
        replaced=record.replaced,
    )


def participant_token(issued: IssuedToken) -> wire.ParticipantToken:
    return wire.ParticipantToken(
        participant=participant(issued.participant),
        token=issued.token,
        scopes=sorted(issued.kept.scopes),
        expires_at=issued.kept.expires_at,
    )


def operator(record: Operator) -> wire.Operator:
    return wire.Operator(operator=record.name, created_at=record.created_at)


def operator_token(issued: OperatorToken) -> wire.OperatorToken:
    return wire.OperatorToken(operator=operator(issued.operator), token=issued.token, kept=token(issued.kept))


def explanation(record: Explanation) -> wire.PromptExplanation:
    fates = [_fate(fate, record.texts.get(fate.digest)) for fate in record.answers]
    contests = [to_wire(wire.Contest, each) for each in record.contests]
    return wire.PromptExplanation(label=to_wire(wire.PseudoLabel, record.label), answers=fates, contests=contests)


def _fate(fate: AnswerFate, text: str | None) -> wire.AnswerFate:
    return to_wire(wire.AnswerFate, fate).model_copy(update={"reason": reason_of(fate), "text": text})


def rejection(record: Rejection) -> wire.Rejection:
    fate = record.fate
    return wire.Rejection(
        prompt_id=record.prompt_id,
        participant=fate.participant,
        sample=fate.sample,
        digest=fate.digest,
        gate=fate.gate or "",
        measured=fate.measured,
        limit=fate.limit,
        reason=reason_of(fate) or "",
    )


def pieces(lines: Iterable[str], size: int = 500) -> Iterator[bytes]:
    """Lines, some hundred at a time: one piece is one turn of a worker thread."""
    rest = iter(lines)
    while piece := "".join(islice(rest, size)):
        yield piece.encode()
