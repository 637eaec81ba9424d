"""What a round knows beforehand of those who answer in it: reputations, and gates that an appeal opened."""

from dataclasses import replace

import numpy as np
import pytest

from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.round.earlier import EarlierRounds, Reputation
from tests.support.rounds import GUARDED


def test_reputations_stand_in_the_order_of_the_names_and_a_newcomer_has_none():
    known = EarlierRounds({"b": Reputation(0.5, 12.0), "gone": Reputation(9.0, 9.0)}).of(["a", "b"])
    assert (known.mean.tolist(), known.prompts.tolist()) == ([0, 0.5], [0, 12])


def test_an_exemption_is_of_one_participant_and_one_gate():
    known = EarlierRounds(exempt=frozenset({("b", "off_topic"), ("gone", "garbage")})).of(["a", "b"])
    answers = np.array([1, 0, 1])
    assert known.exempt_from("off_topic", answers).tolist() == [True, False, True]
    assert known.exempt_from("garbage", answers).tolist() == [False] * 3
    assert known.exempt_from("over_long", answers).tolist() == [False] * 3


def test_before_the_first_round_nothing_is_known():
    known = EarlierRounds().of(["a", "b"])
    assert not known.mean.any()
    assert not known.prompts.any()
    assert known.exempt == {}
    assert EarlierRounds().of([]).mean.tolist() == []


@pytest.mark.parametrize("gate", ["garbage", "off_topic", "repetitive", "over_long"])
def test_an_exemption_lets_one_participant_pass_one_gate(make_contested_round, gate):
    rng = np.random.default_rng(1)
    rejected = {
        "garbage": "\x00\x01" * 60,
        "off_topic": "",
        "repetitive": " This very sentence stands in all of its answers, word for word, for ever and ever." * 4,
        "over_long": " " + "word " * 1500,
    }[gate]
    pools = []
    for pool in make_contested_round(7, prompts=12):
        texts = (*pool.texts[:-1], pool.texts[-1] + rejected)
        vectors = pool.openings
        if gate == "off_topic":
            vectors = np.concatenate([pool.openings[:-1], -pool.prompt_opening[None] + 0.1 * rng.normal(size=16)])
        pools.append(replace(pool, texts=texts, openings=vectors.astype(np.float32)))
    before = decide_round(pools, GUARDED).decisions
    assert {name for decision in before for name in decision.gates.values()} == {gate}
    assert all(set(decision.readings) == set(decision.gates) for decision in before)
    spared = decide_round(pools, GUARDED, earlier=EarlierRounds(exempt=frozenset({("s9", gate)}))).decisions
    assert [decision.gates for decision in spared] == [{}] * 12
    other = decide_round(pools, GUARDED, earlier=EarlierRounds(exempt=frozenset({("s8", gate)}))).decisions
    assert other == before
