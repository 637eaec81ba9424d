"""The numbers that a round's card carries: all that made its decisions, and no other."""

from dataclasses import replace

import pytest

from consensus_server.core.consensus import RULES, Policy, UnknownRule
from consensus_server.core.consensus.constants import deciding_constants
from consensus_server.core.consensus.round import redundancy, standing, trust
from consensus_server.core.consensus.round.gates import GATES
from tests.support.policies import plain


def test_a_card_has_the_constants_of_every_gate():
    constants = deciding_constants(Policy())
    for gate in GATES.values():
        assert gate.constants.items() <= constants.items()
    of_gates = {name for gate in GATES.values() for name in gate.constants}
    assert of_gates
    assert not deciding_constants(Policy(guards=False)).keys() & of_gates


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        (
            {"reliability": False},
            {"beta", "lambda", "shrink", "reputation_prompts", "shared_by_from", "clearly_central"},
        ),
        (
            {"guards": False},
            {
                "shared_by_from",
                "clearly_central",
                "redundant_f1_from",
                "copy_cosine",
                "unusual_pair_to",
                "usual_share",
                "over_long_chars",
            },
        ),
        ({"length_penalty": 0.0}, {"shrink_length"}),
        ({"confidence": "dominant_share"}, {"trust"}),
    ],
)
def test_what_a_policy_makes_no_use_of_is_left_out(change, gone):
    everything, left = deciding_constants(Policy()), deciding_constants(replace(Policy(), **change))
    assert gone <= everything.keys() - left.keys()
    assert left.items() <= everything.items()


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_looks_at_one_pool_makes_use_of_no_number_of_the_round(rule):
    constants = deciding_constants(plain(rule=rule, confidence="dominant_share"))
    assert ("scale_cosine" in constants) is RULES[rule].round_wide
    assert constants.keys() >= {"score_decimals", "full_matrix_answers"}
    if not RULES[rule].round_wide:
        assert len(constants) == 2


def test_a_number_stands_on_the_card_as_it_decides(monkeypatch):
    monkeypatch.setattr(trust, "BETA", 1.25)
    monkeypatch.setattr(standing, "SCALE_WORDS", 8.5)
    monkeypatch.setattr(redundancy, "REDUNDANT_PAIR", (0.5, 0.75))
    constants = deciding_constants(Policy())
    names = ("beta", "scale_words", "redundant_pair_from", "redundant_pair_to")
    assert [constants[name] for name in names] == [1.25, 8.5, 0.5, 0.75]
    assert {type(value) for value in constants.values()} == {float}


def test_there_is_no_card_for_a_rule_that_there_is_not():
    with pytest.raises(UnknownRule):
        deciding_constants(Policy(rule="best"))
