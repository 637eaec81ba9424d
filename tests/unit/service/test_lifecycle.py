"""The rules of a round's life, without a store."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_kit.vocabulary import RoundState
from consensus_server.core.errors import InvalidTransition, ValidationFailed
from consensus_server.core.lifecycle import (
    MAX_ROUND_SECONDS,
    TRANSITIONS,
    Attendance,
    check_round_seconds,
    check_transition,
    ending_by_operator,
    ending_of_itself,
    has_reached,
)

DEADLINE = datetime(2030, 1, 1, tzinfo=UTC)
BEFORE, AFTER = DEADLINE - timedelta(seconds=1), DEADLINE

attendances = st.builds(
    lambda awaited, sealed, gone, quorum: Attendance(
        active=awaited + sealed, sealed=sealed + gone, awaited=awaited, quorum=quorum
    ),
    *[st.integers(0, 9)] * 3,
    st.integers(1, 9),
)


def attendance(**changes):
    return Attendance(**{"active": 5, "sealed": 3, "awaited": 2, "quorum": 3} | changes)


def ends(at, **changes):
    ending = ending_of_itself(attendance(**changes), deadline=DEADLINE, now=at)
    return None if ending is None else ending.state


def test_before_the_deadline_it_waits_for_those_who_have_not_sealed():
    assert ends(BEFORE) is None


def test_it_closes_early_once_all_active_have_sealed():
    assert ends(BEFORE, awaited=0, active=3) is RoundState.CLOSED


def test_before_the_deadline_it_waits_for_the_quorum_though_all_have_sealed():
    assert ends(BEFORE, awaited=0, active=2, sealed=2) is None


def test_at_the_deadline_the_quorum_decides():
    assert ends(AFTER) is RoundState.CLOSED
    assert ends(AFTER, sealed=2) is RoundState.FAILED


def test_a_missed_quorum_says_how_many_there_were():
    ending = ending_of_itself(attendance(sealed=2), deadline=DEADLINE, now=AFTER)
    assert ending.failure.code == "quorum_missed"
    assert "2 of at least 3" in ending.failure.detail


@given(attendances)
def test_every_round_ends_at_its_deadline(attending):
    ending = ending_of_itself(attending, deadline=DEADLINE, now=AFTER)
    assert (ending.state is RoundState.CLOSED) == (attending.sealed >= attending.quorum)


@given(attendances)
def test_whatever_ends_early_would_have_closed_at_the_deadline(attending):
    early = ending_of_itself(attending, deadline=DEADLINE, now=BEFORE)
    assert early is None or early == ending_of_itself(attending, deadline=DEADLINE, now=AFTER)


@given(attendances)
def test_an_operator_closes_whenever_somebody_has_sealed(attending):
    assert (ending_by_operator(attending).state is RoundState.CLOSED) == (attending.sealed > 0)


@pytest.mark.parametrize("state", RoundState)
@pytest.mark.parametrize("to", RoundState)
def test_only_the_listed_transitions_are_allowed(state, to):
    if to in TRANSITIONS[state]:
        check_transition(state, to)
    else:
        with pytest.raises(InvalidTransition, match=state):
            check_transition(state, to)


def test_every_state_can_be_reached_and_only_published_is_final():
    reachable, frontier = set(), {RoundState.DRAFT}
    while frontier:
        reachable |= frontier
        frontier = {to for state in frontier for to in TRANSITIONS[state]} - reachable
    assert reachable == set(RoundState)
    assert [state for state in RoundState if not TRANSITIONS[state]] == [RoundState.PUBLISHED]


@pytest.mark.parametrize(
    ("state", "wanted", "reached"),
    [
        ("open", "open", True),
        ("published", "closed", True),
        ("open", "closed", False),
        ("failed", "published", True),
        ("published", "failed", True),
        ("aggregating", "failed", False),
        ("draft", "open", False),
    ],
)
def test_a_wait_is_over_when_the_state_is_reached_passed_or_out_of_reach(state, wanted, reached):
    assert has_reached(RoundState(state), RoundState(wanted)) is reached


@pytest.mark.parametrize("seconds", [0.0, -1.0, MAX_ROUND_SECONDS * 2, float("inf"), float("nan")])
def test_a_round_has_a_length_that_a_calendar_can_hold(seconds):
    with pytest.raises(ValidationFailed, match="round_seconds"):
        check_round_seconds(seconds)
