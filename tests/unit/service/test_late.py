"""Late submissions, and participants that leave and come back."""

import pytest

from client_kit.vocabulary import RoundState
from consensus_server.core.consensus.records import Policy
from consensus_server.core.errors import RoundNotOpen, SubmissionSealed
from tests.support.service import OPERATOR

TERMS = {"sites": ("anna", "bert", "cleo"), "policy": Policy(abstain=False, contradictions="none")}


def close(service, number=1):
    service.rounds.close(OPERATOR, "clinics", number)
    assert service.worker.run_once()


@pytest.fixture
def late(service):
    """Round 1 was published with bert's answers; cleo's came late."""
    sites = service.found(late="carry", quorum=3, **TERMS)
    service.open()
    assert service.submit(sites[1], {"p-0": "early"}).late is False
    close(service)
    before = service.labels()
    receipt = service.submit(sites[2], {"p-0": "late"})
    assert receipt.late
    assert service.seal(sites[2]) == receipt
    assert service.labels() == before
    with pytest.raises(SubmissionSealed):
        service.store_answers(sites[2], {"p-1": "more"})
    return sites


def test_late_answers_are_refused_where_nothing_else_was_agreed(service):
    anna, bert, _ = service.found(**TERMS)
    service.open()
    service.submit(bert, {"p-0": "early"})
    close(service)
    with pytest.raises(RoundNotOpen):
        service.store_answers(anna, {"p-0": "late"})


def test_late_answers_count_in_the_next_round_and_make_its_quorum_at_the_deadline(service, late):
    anna, bert, cleo = late
    service.open()
    with pytest.raises(RoundNotOpen):  # the next round is open: nothing more comes late to the first
        service.store_answers(anna, {"p-0": "too late"}, 1)
    service.submit(anna, {"p-0": "anew"}, 2)
    service.submit(bert, {"p-0": "anew"}, 2)
    assert service.rounds.get(OPERATOR, "clinics", 2).attendance.sealed == 2
    service.store_answers(cleo, {"p-0": "never sealed", "p-1": "never sealed"}, 2)
    service.clock.advance(service.rounds.get(OPERATOR, "clinics", 2).round_seconds)
    assert service.worker.run_once()
    assert service.state(2) is RoundState.PUBLISHED
    held = service.submissions.held(cleo, "clinics", 2)
    assert (len(held.answers), held.sealed) == (1, True)
    answers = service.pseudo_labels.explain(OPERATOR, "clinics", 2, "p-0").answers
    assert {each.participant for each in answers} == {"anna", "bert", "cleo"}
    assert service.events(2).count("submission.sealed") == 3


def test_labels_of_a_round_are_the_same_whether_answers_came_late_or_in_time(service, late):
    anna, _, cleo = late
    for number, again in ((2, False), (3, True)):
        service.open()
        service.submit(anna, {"p-0": "anew"}, number)
        if again:
            service.submit(cleo, {"p-0": "late"}, number)
        service.rounds.close(OPERATOR, "clinics", number)
        assert service.worker.run_once()
    assert service.labels(2) == service.labels(3)


def test_newer_answers_of_a_participant_stand_and_late_ones_are_for_the_next_round_only(service, late):
    anna, _, cleo = late
    service.open()
    service.submit(cleo, {"p-0": "newer"}, 2)
    close(service, 2)
    assert service.label_texts(2)["p-0"] == "newer"
    service.open()
    service.submit(anna, {"p-0": "alone"}, 3)
    close(service, 3)
    assert service.rounds.get(OPERATOR, "clinics", 3).attendance.sealed == 1


@pytest.mark.parametrize("gone", ["erased", "inactive"])
def test_late_answers_that_were_erased_or_whose_participant_left_count_nowhere(service, late, gone):
    if gone == "erased":
        service.erasures.erase(OPERATOR, "clinics", "cleo")
    else:
        service.participants.set_active(OPERATOR, "clinics", "cleo", active=False)
    service.open()
    service.submit(late[0], {"p-0": "alone"}, 2)
    close(service, 2)
    assert service.rounds.get(OPERATOR, "clinics", 2).attendance.sealed == 1


def test_a_participant_that_leaves_is_awaited_no_more_and_again_once_it_returns(service):
    anna, bert, _ = service.found(quorum=2, **TERMS)
    service.open()
    service.submit(anna, {"p-0": "a"})
    service.participants.set_active(OPERATOR, "clinics", "cleo", active=False)
    assert service.rounds.get(OPERATOR, "clinics", 1).attendance.awaited == 1
    service.participants.set_active(OPERATOR, "clinics", "anna", active=False)
    service.participants.set_active(OPERATOR, "clinics", "cleo", active=True)
    found = service.rounds.get(OPERATOR, "clinics", 1).attendance
    assert (found.active, found.sealed, found.awaited) == (2, 1, 2)  # what anna sealed stays
    service.submit(bert, {"p-0": "b"})
    assert service.state() is RoundState.OPEN  # the quorum is there, and cleo is awaited
    service.participants.set_active(OPERATOR, "clinics", "cleo", active=False)
    assert service.state() is RoundState.CLOSED
