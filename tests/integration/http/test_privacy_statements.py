"""A participant states with its seal what its trainings reveal about one record; every member reads it in the card."""

import json

import pytest

from client_kit import AsyncConsensusClient, ConsensusClient
from client_kit.wire import ParticipantPrivacy, PrivacyStatement

ANSWERS = {f"p{n}": f"The answer to question {n} is {n * 7}." for n in range(1, 6)}
ANNA = PrivacyStatement(epsilon=0.1 + 0.2, delta=1e-6, accountant="prv")
BERT = PrivacyStatement(epsilon=8, delta=1e-9)


@pytest.fixture
def members(live, new_arena):
    arena = new_arena(live, participants=("anna", "bert"))
    with (
        ConsensusClient(live.url, arena.tokens["anna"]) as anna,
        ConsensusClient(live.url, arena.tokens["bert"]) as bert,
    ):
        yield arena, anna, bert


def test_the_card_has_the_words_of_all_and_the_weakest_of_them_for_the_federation(members, live):
    _, anna, bert = members
    receipt = anna.submit_and_seal(1, ANSWERS, privacy=ANNA)
    assert receipt.privacy == ANNA
    bert.submit(1, ANSWERS)
    bert.seal(1, ANSWERS, privacy=BERT)
    live.aggregate()
    card = anna.card(1).privacy
    assert card == bert.card(1).privacy
    assert card.participants == [
        ParticipantPrivacy(participant="anna", stated=ANNA),
        ParticipantPrivacy(participant="bert", stated=BERT),
    ]
    assert (card.epsilon, card.delta) == (8, 1e-6)
    assert "epsilon 8 at delta 1e-06" in card.in_words()


def test_one_that_is_silent_takes_the_bound_from_all_and_is_named(members, live):
    _, anna, bert = members
    anna.submit_and_seal(1, ANSWERS, privacy=ANNA)
    bert.submit_and_seal(1, ANSWERS)
    live.aggregate()
    card = bert.card(1).privacy
    assert (card.epsilon, card.delta) == (None, None)
    assert card.participants[1] == ParticipantPrivacy(participant="bert", stated=None)
    assert "1 of 2 state nothing (bert)" in card.in_words()


def test_where_nobody_states_anything_the_card_has_nothing(members, live):
    _, anna, bert = members
    for client in (anna, bert):
        assert client.submit_and_seal(1, ANSWERS).privacy is None
    live.aggregate()
    assert anna.card(1).privacy is None


async def test_the_first_word_stands(members, live):
    arena, anna, _ = members
    anna.submit_and_seal(1, ANSWERS, privacy=ANNA)
    async with AsyncConsensusClient(live.url, arena.tokens["anna"]) as again:
        assert (await again.seal(1, ANSWERS, privacy=BERT)).privacy == ANNA
        assert (await again.submit_and_seal(1, ANSWERS)).privacy == ANNA


@pytest.mark.parametrize(
    ("stated", "where"),
    [
        ({"epsilon": -1, "delta": 1e-6}, "epsilon"),
        ({"epsilon": 1e999, "delta": 1e-6}, "epsilon"),
        ({"epsilon": 1, "delta": 1}, "delta"),
        ({"epsilon": 1}, "delta"),
        ({"epsilon": 1, "delta": 1e-6, "clipp": 1}, "clipp"),
    ],
)
def test_a_statement_that_says_nothing_is_refused_and_nothing_is_sealed(members, stated, where):
    arena, anna, _ = members
    submission = anna.submit(1, ANSWERS)
    body = {"count": submission.count, "digest": submission.digest, "privacy": stated}
    content = json.dumps(body).replace("Infinity", "1e999")  # JSON, though beyond what a float holds
    kind = {"content-type": "application/json"}
    answer = arena.as_("anna").post(f"{arena.round}/submissions/seal", content=content, headers=kind)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert where in answer.json()["errors"][0]["where"]
    assert not anna.held(1).sealed
