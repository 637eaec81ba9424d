"""Rounds through the use cases, with time set by hand."""

import pytest

from client_kit.vocabulary import Role, RoundState
from consensus_server.core.errors import (
    InvalidTransition,
    RoundFailed,
    RoundInProgress,
    RoundNotOpen,
    UnknownRound,
    ValidationFailed,
)
from tests.support.service import OPERATOR

YES = {"p-0": "Yes."}


def test_the_first_round_opens_at_once_with_the_federation_s_deadline(service):
    service.found(sites=["north", "south"], round_seconds=600.0, quorum=2)
    service.join("press", role=Role.OBSERVER)
    made = service.open()
    assert (made.number, made.state, made.opened_at) == (1, "open", service.clock.now())
    assert (made.deadline - made.opened_at).total_seconds() == 600
    assert (made.attendance.active, made.attendance.sealed, made.attendance.quorum) == (2, 0, 2)
    assert service.events() == ["round.created", "round.opened"]


def test_a_draft_takes_answers_only_once_it_is_opened(service):
    (north,) = service.found(sites=["north"])
    assert service.open(open_now=False, round_seconds=60.0).state == "draft"
    with pytest.raises(RoundNotOpen, match="draft"):
        service.store_answers(north, YES)
    service.clock.advance(1000)
    opened = service.rounds.open(OPERATOR, "clinics", 1)
    assert (opened.deadline - service.clock.now()).total_seconds() == 60
    assert service.store_answers(north, YES).stored == 1
    with pytest.raises(InvalidTransition):
        service.rounds.open(OPERATOR, "clinics", 1)


def test_a_draft_cannot_be_closed(service):
    service.found()
    service.open(open_now=False)
    with pytest.raises(InvalidTransition, match="draft"):
        service.rounds.close(OPERATOR, "clinics", 1)


@pytest.mark.parametrize("seconds", [0.0, -5.0, 1e300])
def test_a_round_without_a_sensible_length_is_refused(service, seconds):
    service.found()
    with pytest.raises(ValidationFailed):
        service.open(round_seconds=seconds)
    assert service.rounds.all(OPERATOR, "clinics") == ()


def test_it_closes_when_the_last_active_participant_has_sealed(service):
    north, south = service.found(sites=["north", "south"])
    service.open()
    service.submit(north, YES)
    assert service.state() == "open"
    service.submit(south, YES)
    closed = service.rounds.get(OPERATOR, "clinics", 1)
    assert (closed.state, closed.closed_at) == ("closed", service.clock.now())
    assert service.events()[2:] == ["submission.sealed", "submission.sealed", "round.closed"]


def test_it_closes_when_the_only_one_missing_is_deactivated(service):
    north, south, _ = service.found(sites=["north", "south", "east"])
    service.open()
    for site in (north, south):
        service.submit(site, YES)
    service.participants.set_active(OPERATOR, "clinics", "east", active=False)
    assert service.events()[-1] == "round.closed"


def test_observers_and_operators_are_not_waited_for(service):
    (north,) = service.found(sites=["north"], quorum=1)
    service.join("press", role=Role.OBSERVER)
    service.join("chair", role=Role.OPERATOR)
    service.open()
    service.submit(north, YES)
    assert service.state() == "closed"


def test_at_the_deadline_it_closes_with_the_quorum(service):
    north, south, _ = service.found(sites=["north", "south", "east"], round_seconds=60.0)
    service.open()
    for site in (north, south):
        service.submit(site, YES)
    service.clock.advance(59.9)
    assert service.state() == "open"
    service.clock.advance(0.1)
    assert service.state() == "closed"


def test_at_the_deadline_it_fails_without_the_quorum(service):
    north, south, _ = service.found(sites=["north", "south", "east"], round_seconds=60.0)
    service.open()
    service.submit(north, YES)
    service.store_answers(south, YES)
    service.clock.advance(60)
    failed = service.rounds.get(OPERATOR, "clinics", 1)
    assert (failed.state, failed.failure.code) == ("failed", "quorum_missed")
    with pytest.raises(RoundFailed, match="quorum_missed"):
        service.pseudo_labels.page(north, "clinics", 1)


def test_a_submission_after_the_deadline_comes_too_late_and_ends_the_round(service):
    (north, _) = service.found(sites=["north", "south"], round_seconds=60.0)
    service.open()
    service.store_answers(north, YES)
    service.clock.advance(60)
    with pytest.raises(RoundNotOpen):
        service.store_answers(north, {"p-1": "No."})
    with pytest.raises(RoundNotOpen):
        service.seal(north)
    assert service.events()[-1] == "round.failed"
    assert len(service.submissions.held(north, "clinics", 1).answers) == 1


def test_the_worker_ends_rounds_that_nobody_looks_at(service):
    service.found(sites=["north"], round_seconds=60.0)
    service.open()
    service.clock.advance(61)
    assert not service.worker.run_once()
    with service.store.reading() as tx:
        assert tx.rounds.count_by_state()[RoundState.FAILED] == 1


def test_an_operator_closes_without_the_quorum(service):
    (north, _) = service.found(sites=["north", "south"], quorum=2)
    service.open()
    service.submit(north, YES)
    assert service.rounds.close(OPERATOR, "clinics", 1).state == "closed"
    with pytest.raises(InvalidTransition, match="closed"):
        service.rounds.close(OPERATOR, "clinics", 1)


def test_closing_a_round_in_which_nobody_sealed_ends_it(service):
    (north,) = service.found(sites=["north"])
    service.open()
    service.store_answers(north, YES)
    assert service.rounds.close(OPERATOR, "clinics", 1).failure.code == "quorum_missed"
    with pytest.raises(InvalidTransition, match="sealed"):
        service.rounds.close(OPERATOR, "clinics", 1)
    assert service.open().number == 2


def test_a_failed_round_is_aggregated_when_an_operator_closes_it_again(service):
    (north, _) = service.found(sites=["north", "south"], round_seconds=60.0)
    service.open()
    service.submit(north, YES)
    service.clock.advance(60)
    assert service.state() == "failed"
    service.clock.advance(60)
    closed = service.rounds.close(OPERATOR, "clinics", 1)
    assert (closed.state, closed.failure) == ("closed", None)
    assert (service.clock.now() - closed.closed_at).total_seconds() == 60
    assert service.worker.run_once()
    assert service.state() == "published"


def test_a_failed_round_stays_failed_once_the_next_has_begun(service):
    (north, _) = service.found(sites=["north", "south"], round_seconds=60.0)
    service.open()
    service.submit(north, YES)
    service.clock.advance(60)
    service.open()
    with pytest.raises(InvalidTransition, match="not the last"):
        service.rounds.close(OPERATOR, "clinics", 1)


def test_one_round_at_a_time(service):
    (north,) = service.found(sites=["north"], quorum=1)
    service.open()
    with pytest.raises(RoundInProgress, match="Round 1 is open"):
        service.open()
    service.submit(north, YES)
    with pytest.raises(RoundInProgress, match="closed"):
        service.open()
    assert service.worker.run_once()
    assert service.open().number == 2
    assert [each.number for each in service.rounds.all(north, "clinics")] == [1, 2]


def test_the_next_round_can_begin_after_a_deadline_that_nobody_noticed(service):
    service.found(sites=["north"], round_seconds=60.0)
    service.open()
    service.clock.advance(60)
    assert service.open().number == 2
    assert service.state(1) == "failed"


@pytest.mark.parametrize("number", [0, -1, 2, 2**31, 2**80])
def test_a_round_that_does_not_exist_is_told(service, number):
    service.found()
    service.open()
    with pytest.raises(UnknownRound, match=str(number)):
        service.rounds.get(OPERATOR, "clinics", number)


def test_events_go_on_after_the_one_that_was_seen_last(service):
    north, south = service.found(sites=["north", "south"])
    service.open()
    service.submit(north, YES)
    seen = service.rounds.events_after(north, "clinics", 1)
    assert [event.event_id for event in seen] == [1, 2, 3]
    assert [event.round.attendance.sealed for event in seen] == [0, 0, 1]
    assert [event.round.state for event in seen] == ["draft", "open", "open"]
    service.submit(south, YES)
    assert service.events(after=3) == ["submission.sealed", "round.closed"]
    assert service.events(after=2**80) == []


def test_rounds_are_counted_by_state(service):
    service.found(sites=["north"])
    service.found("banks")
    service.open()
    service.open("banks", open_now=False)
    counted = service.rounds.count_by_state()
    assert {state: count for state, count in counted.items() if count} == {"open": 1, "draft": 1}
    assert set(counted) == {state.value for state in RoundState}


def test_the_seals_of_one_round_do_not_count_in_the_next(service):
    north, south, east = service.found(sites=["north", "south", "east"])
    service.open()
    for site in (north, south, east):
        service.submit(site, YES)
    service.worker.run_once()
    service.open()
    for site in (north, south):
        service.submit(site, YES, number=2)
    assert service.state(2) == "open"
    service.submit(east, YES, number=2)
    assert service.state(2) == "closed"
