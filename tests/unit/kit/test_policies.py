"""A policy that is asked for, and the one that a federation holds."""

import pytest

from client_kit.wire import AnswerPolicy, ConsensusPolicy


@pytest.mark.parametrize(
    ("asked", "held", "kept"),
    [
        ({}, {"contradictions": "words-1-0123456789ab"}, True),
        ({"contradictions": "words"}, {"contradictions": "words-1-0123456789ab"}, True),
        ({}, {"contradictions": "none"}, True),  # a federation of version 0.1.0 goes on
        ({"contradictions": "words"}, {"contradictions": "none"}, False),
        ({"contradictions": "none"}, {"contradictions": "words-1-0123456789ab"}, False),
        ({"rule": "vote"}, {"contradictions": "words-1-0123456789ab"}, False),
        ({"rule": "vote"}, {"rule": "vote", "contradictions": "words-2-ba9876543210"}, True),
        ({}, {"decide_by": "support", "second_hand": "count", "contradictions": "none"}, True),
        ({"decide_by": "evidence"}, {"decide_by": "support"}, False),
        ({"minimum_margin": 1.0}, {"minimum_margin": 0.5}, False),
    ],
)
def test_a_federation_keeps_what_was_asked_with_the_version_of_that_day(asked, held, kept):
    assert ConsensusPolicy(**asked).is_kept_by(ConsensusPolicy(**held)) is kept


@pytest.mark.parametrize(
    ("asked", "held", "kept"),
    [
        ({}, {}, True),
        ({}, {"refusals": "keep"}, True),  # a federation of version 0.1.0 goes on
        ({"refusals": "drop"}, {"refusals": "keep"}, False),
        ({"refusals": "keep"}, {"refusals": "drop"}, False),
        ({}, {"truncated": "keep"}, False),
        ({"truncated": "keep"}, {"truncated": "keep", "refusals": "keep"}, True),
    ],
)
def test_a_federation_keeps_what_was_asked_of_answers(asked, held, kept):
    assert AnswerPolicy(**asked).is_kept_by(AnswerPolicy(**held)) is kept


def test_new_federations_drop_refusals():
    assert AnswerPolicy().refusals == "drop"
