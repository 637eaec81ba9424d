"""What a panel remembers of a question, how it fades, and how far it is trusted."""

from dataclasses import replace

import numpy as np
import pytest

from client_kit.wire import content_digest
from consensus_server.backends.encoders.hashing import HashingEncoder
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.records import Policy, Pool
from consensus_server.core.consensus.round.earlier import EarlierRounds, Reputation
from consensus_server.core.panel_memory import (
    UpstreamMemory,
    earlier_questions,
    fading,
    reliability_among,
    standings_on,
)

POLICY = Policy(guards=False, abstain=False, contradictions="none")
MEMORY = UpstreamMemory(upstream="a", version="1", encoder="e", total=60.0, weight=80.0, questions=90)
TEXTS = (
    "Paris is the capital of France.",
    "The capital of France is Paris.",
    "Lyon is a big city.",
    "Paris, in France.",
)


def pool(*texts):
    vectors = np.asarray(HashingEncoder().encode_with_openings(list(texts))[0])
    names = tuple(f"u{place}" for place in range(len(texts)))
    return Pool("answer", names, (0,) * len(texts), texts, tuple(map(content_digest, texts)), vectors)


def test_half_of_a_question_is_left_after_the_half_life():
    assert fading(500.0) ** 500 == pytest.approx(0.5)


def test_reliability_shrinks_with_few_questions_few_answers_and_is_bounded():
    assert reliability_among(MEMORY, 8) == pytest.approx(0.5 * 60 / 101, abs=1e-6)
    assert reliability_among(MEMORY, 3) == pytest.approx(2 / 9 * 60 / 101, abs=1e-6)
    assert reliability_among(replace(MEMORY, total=-800.0), 8) == -0.5
    assert reliability_among(replace(MEMORY, total=0.0, weight=0.0), 8) == 0.0
    assert reliability_among(MEMORY, 0) == 0.0


def test_a_decision_trusts_by_the_whole_memory():
    trusting = replace(POLICY, reliability=True)
    memory = [replace(MEMORY, upstream="u2", total=200.0, weight=200.0)]
    plain = decide_round([pool(*TEXTS)], trusting, earlier=EarlierRounds()).decisions[0]
    capped = EarlierRounds({"u2": Reputation(1.0, 200.0)})
    assert TEXTS[plain.pick] != TEXTS[2]
    found = decide_round([pool(*TEXTS)], trusting, earlier=earlier_questions(memory)).participants
    assert found[2].reliability > 5 * decide_round([pool(*TEXTS)], trusting, earlier=capped).participants[2].reliability


def test_what_is_remembered_does_not_stand_on_what_was_remembered():
    asked = [pool(*TEXTS)]
    stood = standings_on(asked, POLICY, drop_refusals=True)
    assert stood == standings_on(asked, replace(POLICY, reliability=True), drop_refusals=True)
    assert sum(stood.values()) == pytest.approx(0, abs=1e-5)
    assert min(stood, key=stood.get) == "u2"


def test_choices_of_one_question_count_as_one():
    one, other = pool(*TEXTS), pool(*reversed(TEXTS))
    both = [standings_on([each], POLICY, drop_refusals=True) for each in (one, other)]
    mean = {name: (both[0][name] + both[1][name]) / 2 for name in both[0]}
    assert standings_on([one, other], POLICY, drop_refusals=True) == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize(
    "texts", [(), TEXTS[:2], (*TEXTS[:2], "I'm sorry, but I can't help with that."), ("", " ", "a")]
)
def test_two_answers_say_nothing(texts):
    assert standings_on([pool(*texts)], POLICY, drop_refusals=True) == {}
