"""Between the wire and the core. Equal names mean equal things; only what differs is spelt out."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from pydantic import BaseModel

from client_kit import wire
from consensus_server.core import appeals, federations, labels, rounds
from consensus_server.core.consensus.records import Calibration, Policy
from consensus_server.core.encoders import EncoderIdentity
from consensus_server.core.parameters import ParameterPlan, TensorSpec
from consensus_server.core.privacy import PrivacyStatement
from consensus_server.service.federations import rule_of_today
from consensus_server.service.rejections import reason_of

Message = TypeVar("Message", bound=BaseModel)


def same(message: type[Message], record: object) -> Message:
    """A message whose fields are those of a record. Unequal names are a fault of ours and raise ValidationError."""
    return message.model_validate(record, from_attributes=True)


# From the wire


def terms(create: wire.FederationCreate) -> federations.Terms:
    return federations.Terms(
        name=create.federation,
        prompt_set=create.prompt_set,
        policy=policy(create.policy),
        answers=federations.AnswerPolicy(truncated=create.answers.truncated, refusals=create.answers.refusals),
        quorum=create.quorum,
        round_seconds=create.round_seconds,
        samples_per_prompt=create.samples_per_prompt,
        max_answer_chars=create.max_answer_chars,
        contributors_only=create.contributors_only,
        parameters=None if create.parameters is None else parameter_plan(create.parameters),
        requires_training_rights=create.requires_training_rights,
    )


def parameter_plan(plan: wire.ParameterPlan) -> ParameterPlan:
    tensors = tuple(TensorSpec(spec.name, tuple(spec.shape)) for spec in plan.tensors)
    return ParameterPlan(**{**plan.model_dump(mode="json"), "tensors": tensors})


def policy(given: wire.ConsensusPolicy) -> Policy:
    calibration = given.calibration
    return Policy(
        **given.model_dump(exclude={"rule", "calibration"}),
        rule=rule_of_today(given.rule),
        calibration=None
        if calibration is None
        else Calibration(
            method=calibration.method,
            scores=tuple(calibration.scores),
            probabilities=tuple(calibration.probabilities),
            least_score=calibration.least_score,
            source=calibration.source,
        ),
    )


def manifest(upload: wire.Manifest) -> federations.Manifest:
    return federations.Manifest(**upload.model_dump(mode="json"))


def prompts(upload: Iterable[wire.Prompt]) -> list[federations.Prompt]:
    return [federations.Prompt(**prompt.model_dump(mode="json")) for prompt in upload]


def answers(rows: Iterable[wire.Answer]) -> list[rounds.Answer]:
    return [
        rounds.Answer(
            prompt_id=row.prompt_id,
            sample=row.sample,
            text=row.text,
            finish_reason=row.finish_reason.value,
            prompt_tokens=row.usage.prompt_tokens if row.usage else None,
            completion_tokens=row.usage.completion_tokens if row.usage else None,
        )
        for row in rows
    ]


def privacy_statement(stated: wire.PrivacyStatement) -> PrivacyStatement:
    return PrivacyStatement(**stated.model_dump())


# To the wire


def federation(record: federations.Federation) -> wire.Federation:
    pinned = record.terms
    return wire.Federation(
        federation=pinned.name,
        prompt_set=pinned.prompt_set,
        policy=same(wire.ConsensusPolicy, pinned.policy),
        answers=same(wire.AnswerPolicy, pinned.answers),
        quorum=pinned.quorum,
        round_seconds=pinned.round_seconds,
        samples_per_prompt=pinned.samples_per_prompt,
        max_answer_chars=pinned.max_answer_chars,
        contributors_only=pinned.contributors_only,
        parameters=None if pinned.parameters is None else same(wire.ParameterPlan, pinned.parameters),
        requires_training_rights=pinned.requires_training_rights,
        retired_clusterer=pinned.retired_clusterer,
        encoder=record.encoder,
        created_at=record.created_at,
    )


def participant(record: federations.Participant) -> wire.Participant:
    return wire.Participant(
        participant=record.name, role=wire.Role(record.role), active=record.active, created_at=record.created_at
    )


def round_state(record: rounds.Round) -> wire.Round:
    return wire.Round(
        federation=record.federation,
        number=record.number,
        state=wire.RoundState(record.state),
        opened_at=record.opened_at,
        deadline=record.deadline,
        closed_at=record.closed_at,
        published_at=record.published_at,
        quorum=record.attendance.quorum,
        active=record.attendance.active,
        sealed=record.attendance.sealed,
        failure=same(wire.RoundFailure, record.failure) if record.failure else None,
        labels=record.labels,
    )


def event(record: rounds.Event) -> wire.RoundEvent:
    return wire.RoundEvent(
        event_id=record.event_id,
        kind=wire.EventKind(record.kind),
        at=record.at,
        round=round_state(record.round),
    )


def label(record: labels.Label) -> wire.PseudoLabel:
    return same(wire.PseudoLabel, record)


def explanation(record: labels.Explanation) -> wire.PromptExplanation:
    fates = [_fate(fate, record.texts.get((fate.participant, fate.sample))) for fate in record.answers]
    return wire.PromptExplanation(label=label(record.label), answers=fates)


def _fate(fate: labels.AnswerFate, text: str | None) -> wire.AnswerFate:
    return same(wire.AnswerFate, fate).model_copy(update={"reason": reason_of(fate), "text": text})


def rejection(record: labels.Rejection) -> wire.Rejection:
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


def appeal(record: appeals.Appeal) -> wire.Appeal:
    return same(wire.Appeal, record)


def encoder(identity: EncoderIdentity) -> wire.EncoderCard:
    return same(wire.EncoderCard, identity)


def pieces(lines: Iterable[str], size: int = 500) -> Iterator[bytes]:
    """Lines, some hundred at a time: one piece is one turn of a worker thread."""
    rest = iter(lines)
    while piece := "".join(islice(rest, size)):
        yield piece.encode()
