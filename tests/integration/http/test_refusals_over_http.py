"""Refusals over the wire: told by the server, whatever the site does; kept where the operator says so."""

import pytest

from client_kit.client import ConsensusClient
from client_kit.refusals import IDENTITY

DECLINED = "I'm sorry, but I can't help with {}."
SITES = ("anna", "bert", "carl", "dora")
PLAIN = {"guards": False, "reliability": False}


def published(live, new_arena, answer_rows, **terms):
    """A round in which three refuse in the same words, and one answers."""
    arena = new_arena(live, participants=SITES, policy=PLAIN, **terms)
    said = [answer_rows()] + [answer_rows(DECLINED)] * 3
    arena.publish(dict(zip(SITES, said, strict=True)))
    return arena, arena.operator.get(arena.path).json()


@pytest.mark.parametrize("answers", [{}, {"answers": {"truncated": "keep"}}, {"answers": {"refusals": "drop"}}])
def test_a_federation_that_says_nothing_else_drops_them(live, new_arena, answer_rows, answers):
    arena, held = published(live, new_arena, answer_rows, **answers)
    assert (held["answers"]["refusals"], held["refusals_told_by"]) == ("drop", IDENTITY)
    prompt = answer_rows()[0]["prompt_id"]
    told = arena.operator.get(f"{arena.round}/prompts/{prompt}").json()
    assert told["label"]["abstention"] == "single_answer"
    assert [each["gate"] for each in told["answers"]].count("refusal") == 3
    with ConsensusClient(live.url, arena.tokens["carl"]) as client:
        mine = list(client.rejections(1))
    assert {(each.gate, each.reason) for each in mine} == {
        ("refusal", "It declines to answer, and this federation takes no refusals.")
    }
    assert arena.operator.get(f"{arena.round}/card").json()["refusals_told_by"] == IDENTITY


def test_who_asks_for_them_keeps_them(live, new_arena, answer_rows):
    """Version 0.1.0 writes out the default that it had."""
    arena, held = published(live, new_arena, answer_rows, answers={"truncated": "trim", "refusals": "keep"})
    assert (held["answers"]["refusals"], held["refusals_told_by"]) == ("keep", None)
    with ConsensusClient(live.url, arena.tokens["anna"]) as client:
        labels = client.pseudo_labels(1)
    assert all(label.text.startswith("I'm sorry") for label in labels)


def test_nobody_chooses_what_tells_them(live, new_arena, prompt_set, problem):
    arena = new_arena(live)
    body = {"federation": "others", "prompt_set": arena.prompt_set, "refusals_told_by": "moon-1"}
    problem(arena.operator.post("/v1/federations", json=body), 422, "validation_failed")
