"""An older client reads what a newer server says, at every depth; a request stays strict."""

import json

import pytest
from pydantic import ValidationError

from client_kit.client.events import EventFeed
from client_kit.wire import ConsensusPolicy, Endpoint, FederationCreate, RoundCard, Seal, rows_digest

from .conftest import NOW, label, ndjson, round_row

NEW = {"of_a_newer_version": {"x": [1]}}
FEDERATION = {
    "federation": "f", "prompt_set": "0" * 64, "encoder": "1" * 64, "created_at": NOW, "quorum": 3,
    "policy": {"rule": "vote", "calibration": None, **NEW}, "answers": {"refusals": "drop", **NEW}, **NEW,
}  # fmt: skip


def test_an_answer_with_fields_of_a_newer_version_is_read(client, server):
    server.answers["GET", "/v1/federations/f"] = FEDERATION
    found = client.federation()
    assert (found.quorum, found.policy.rule, found.answers.refusals) == (3, "vote", "drop")
    server.answers["GET", "/v1/federations/f/participants/a/endpoint"] = {"upstream": "llama", "samples": 2, **NEW}
    assert client.endpoint("a") == Endpoint(upstream="llama", samples=2)


def test_a_round_card_with_a_policy_of_a_newer_version_is_read():
    counts = dict.fromkeys(
        ("prompts", "submissions", "answers", "admitted", "labels", "encoded", "reused"), 1
    ) | {"abstentions": {}}  # fmt: skip
    encoder = dict.fromkeys(("name", "digest", "weights", "pooling", "chunking", "dtype", "backend"), "0" * 64)
    seconds = dict.fromkeys(("encoding_seconds", "deciding_seconds", "total_seconds"), 0.5)
    card = {
        "federation": "f", "number": 1, "prompt_set": "0" * 64, "policy": {"rule": "vote", **NEW},
        "encoder": {**encoder, "dimension": 3}, "constants": {}, "labels": "0" * 64, "counts": counts, "support": [],
        "traffic": [], "timings": seconds, "versions": {}, "published_at": NOW, **NEW,
        "privacy": {"participants": [{"participant": "a", "stated": {"epsilon": 1, "delta": 0.5, **NEW}}], **NEW},
    }  # fmt: skip
    read = RoundCard.read(json.dumps(card))
    assert (read.policy.rule, read.privacy.participants[0].stated.epsilon) == ("vote", 1)


def test_lines_and_events_of_a_newer_version_are_read(client, server):
    row = label("a", "Text.").model_dump(mode="json", exclude_none=True) | NEW
    digest = rows_digest([row])
    server.answers["GET", "/v1/federations/f/rounds/1/pseudo-labels"] = ndjson([row])
    server.answers["GET", "/v1/federations/f/rounds/1"] = round_row(1, "published", labels=digest, **NEW)
    assert [each.text for each in client.pseudo_labels(1)] == ["Text."]
    event = {"event_id": 7, "kind": "round.opened", "at": NOW, "round": round_row(**NEW), **NEW}
    feed = EventFeed()
    assert [feed.feed(line) for line in (f"data: {json.dumps(event)}", "")][1].event_id == 7


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ConsensusPolicy, {"rule": "vote"}),
        (Endpoint, {"upstream": "llama"}),
        (Seal, {"count": 0, "digest": "0" * 64}),
        (FederationCreate, {"federation": "f", "prompt_set": "0" * 64}),
    ],
)
def test_a_request_with_a_field_that_is_not_there_is_refused(kind, body):
    assert kind.model_validate(body)
    with pytest.raises(ValidationError, match="of_a_newer_version"):
        kind.model_validate({**body, **NEW})


def test_a_request_is_strict_within_as_well():
    body = {"federation": "f", "prompt_set": "0" * 64, "policy": NEW}
    with pytest.raises(ValidationError, match=r"policy\.of_a_newer_version"):
        FederationCreate.model_validate(body)
