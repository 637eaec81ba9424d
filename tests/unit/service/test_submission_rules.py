"""Requests are stored whole or not at all, may be repeated, and end with a seal that both sides count alike."""

import pytest

from consensus_server.core.errors import (
    AnswerConflict,
    AnswerTooLong,
    Forbidden,
    RoundNotOpen,
    SealMismatch,
    SubmissionSealed,
    TooManySamples,
    UnknownPrompt,
    ValidationFailed,
)
from consensus_server.core.rounds import Answer, SubmissionReceipt
from tests.support.service import OPERATOR, digest_of

TWO = {"p-0": "Yes.", "p-1": "No."}


@pytest.fixture
def north(service):
    north, _ = service.found(sites=["north", "south"], samples_per_prompt=2, max_answer_chars=40)
    service.open()
    return north


def held(service, caller):
    return {
        (each.prompt_id, each.sample): each.digest for each in service.submissions.held(caller, "clinics", 1).answers
    }


def test_the_same_answers_again_change_nothing(service, north):
    assert service.store_answers(north, TWO) == SubmissionReceipt(stored=2, unchanged=0, replaced=0, held=2)
    before = held(service, north)
    again = service.store_answers(north, TWO | {"p-2": "Perhaps."})
    assert again == SubmissionReceipt(stored=1, unchanged=2, replaced=0, held=3)
    assert held(service, north).items() >= before.items()


def test_an_empty_request_is_harmless(service, north):
    assert service.store_answers(north, {}) == SubmissionReceipt(0, 0, 0, 0)


def test_an_answer_that_stands_twice_in_a_request_is_stored_once(service, north):
    twice = [Answer("p-0", 0, "Yes."), Answer("p-0", 0, "Yes.")]
    assert service.submissions.store(north, "clinics", 1, twice) == SubmissionReceipt(1, 1, 0, 1)


def test_another_text_under_the_same_key_is_a_conflict_and_nothing_of_the_request_stays(service, north):
    service.store_answers(north, TWO)
    before = held(service, north)
    with pytest.raises(AnswerConflict) as refused:
        service.store_answers(north, {"p-2": "New.", "p-0": "Never.", "p-1": "Maybe."})
    assert [fault.where for fault in refused.value.faults] == [
        "answer 2 (prompt p-0, sample 0)",
        "answer 3 (prompt p-1, sample 0)",
    ]
    assert held(service, north) == before


def test_two_texts_under_one_key_in_one_request_are_a_conflict_even_when_replacing(service, north):
    both = [Answer("p-0", 0, "Yes."), Answer("p-0", 0, "No.")]
    with pytest.raises(AnswerConflict, match="two texts"):
        service.submissions.store(north, "clinics", 1, both, replace=True)
    assert held(service, north) == {}


def test_replacing_exchanges_what_differs(service, north):
    service.store_answers(north, TWO)
    receipt = service.store_answers(north, {"p-0": "Never.", "p-1": "No.", "p-2": "New."}, replace=True)
    assert receipt == SubmissionReceipt(stored=1, unchanged=1, replaced=1, held=3)
    sealed = service.seal(north)
    assert sealed.digest == digest_of({"p-0": "Never.", "p-1": "No.", "p-2": "New."})


def test_white_space_is_part_of_a_text(service, north):
    service.store_answers(north, {"p-0": "Yes."})
    with pytest.raises(AnswerConflict):
        service.store_answers(north, {"p-0": "Yes. "})


def test_samples_of_one_prompt_stand_beside_each_other(service, north):
    service.store_answers(north, {("p-0", 0): "Yes.", ("p-0", 1): "Yes, certainly."})
    assert list(held(service, north)) == [("p-0", 0), ("p-0", 1)]


@pytest.mark.parametrize(
    ("answer", "error", "match"),
    [
        (Answer("p-9", 0, "x"), UnknownPrompt, "prompt p-9 is not in"),
        (Answer("p-0", 2, "x"), TooManySamples, "takes 2 per prompt"),
        (Answer("p-0", 0, "x" * 41), AnswerTooLong, "41 characters; the federation takes at most 40"),
        (Answer("p-0", 0, "x", prompt_tokens=2**31), ValidationFailed, "tokens"),
    ],
)
def test_what_the_terms_do_not_admit_is_refused_with_the_reason(service, north, answer, error, match):
    with pytest.raises(error, match=match) as refused:
        service.submissions.store(north, "clinics", 1, [Answer("p-1", 0, "fine"), answer])
    assert refused.value.faults[0].where.startswith("answer 2 ")
    assert held(service, north) == {}


def test_the_longest_admitted_answer_is_admitted(service, north):
    assert service.store_answers(north, {("p-0", 1): "ü" * 40}).stored == 1


def test_all_faults_of_a_request_are_told_at_once_up_to_a_limit(service, north):
    bad = [Answer("p-0", 5, "x" * 41), *(Answer(f"q-{i}", 0, "x") for i in range(30))]
    with pytest.raises(TooManySamples, match="31 more faults") as refused:
        service.submissions.store(north, "clinics", 1, bad)
    assert len(refused.value.faults) == 20
    assert "41 characters" in refused.value.faults[1].message
    assert "q-0" in refused.value.faults[2].message


def test_held_answers_come_with_the_digest_that_a_seal_needs(service, north):
    service.store_answers(north, TWO)
    found = service.submissions.held(north, "clinics", 1)
    assert (found.sealed, found.digest) == (False, digest_of(TWO))


def test_what_is_withdrawn_before_the_seal_is_gone_and_another_submission_may_follow(service, north):
    south = service.join("west")
    service.store_answers(north, TWO)
    service.store_answers(south, TWO)
    assert service.submissions.withdraw(north, "clinics", 1) == 2
    assert service.submissions.withdraw(north, "clinics", 1) == 0
    assert (held(service, north), len(held(service, south))) == ({}, 2)
    assert service.submit(north, {"p-2": "Else."}).count == 1
    with pytest.raises(SubmissionSealed, match="nothing of it can be withdrawn"):
        service.submissions.withdraw(north, "clinics", 1)


def test_nothing_is_withdrawn_from_a_round_that_is_over_or_by_an_operator(service, north):
    service.submit(north, TWO)
    service.rounds.close(OPERATOR, "clinics", 1)
    late = service.join("late")
    with pytest.raises(RoundNotOpen):
        service.submissions.withdraw(late, "clinics", 1)
    with pytest.raises(Forbidden):
        service.submissions.withdraw(OPERATOR, "clinics", 1)


def test_a_seal_repeated_gives_the_same_receipt(service, north):
    first = service.submit(north, TWO)
    assert (first.participant, first.count, first.digest) == ("north", 2, digest_of(TWO))
    service.clock.advance(5)
    assert service.seal(north) == first
    assert service.submissions.held(north, "clinics", 1).sealed


def test_a_seal_repeated_after_the_round_closed_gives_the_same_receipt(service, north):
    first = service.submit(north, TWO)
    service.rounds.close(OPERATOR, "clinics", 1)
    assert service.seal(north) == first


@pytest.mark.parametrize(
    ("count", "digest", "match"),
    [(3, digest_of(TWO), "2 answers are held here, the seal counts 3"), (2, "0" * 64, "other contents")],
)
def test_a_seal_that_counts_differently_is_refused_and_the_submission_stays_open(service, north, count, digest, match):
    service.store_answers(north, TWO)
    with pytest.raises(SealMismatch, match=match):
        service.submissions.seal(north, "clinics", 1, count=count, digest=digest)
    assert service.store_answers(north, {"p-2": "More."}).held == 3


def test_another_seal_after_the_seal_is_refused(service, north):
    service.submit(north, TWO)
    with pytest.raises(SealMismatch, match="2 answers are sealed here, the seal counts 1"):
        service.submissions.seal(north, "clinics", 1, count=1, digest=digest_of({"p-0": "Yes."}))


def test_a_sealed_submission_takes_nothing_more(service, north):
    service.submit(north, TWO)
    for options in ({}, {"replace": True}):
        with pytest.raises(SubmissionSealed):
            service.store_answers(north, {"p-2": "Late."}, **options)


def test_an_empty_submission_can_be_sealed(service, north):
    assert service.seal(north).count == 0


def test_what_one_site_holds_another_does_not_see(service, north):
    south = service.join("west")
    service.store_answers(north, TWO)
    assert held(service, south) == {}
    assert service.store_answers(south, {"p-0": "Never."}).stored == 1


def test_a_closed_round_takes_no_answers(service, north):
    service.submit(service.join("west"), TWO)
    service.rounds.close(OPERATOR, "clinics", 1)
    with pytest.raises(RoundNotOpen, match="closed"):
        service.store_answers(north, TWO)
    with pytest.raises(RoundNotOpen):
        service.seal(north)
