"""What a record says, and how a digest of it is opened at the site."""

from hashlib import sha256

import pytest

from client_kit.client.submitting import Batches
from client_kit.egress.reading import found, read_record, totals
from client_kit.egress.record import EgressRecord
from client_kit.federation.outgoing import digest_of, keep, kept, opened
from client_kit.wire import Answer, content_digest

ANSWERS = [Answer(prompt_id=f"p{number}", text=f"Answer {number}.") for number in range(6)]


def send(record, kind, number, size, to="host", **more):
    return record.append(
        "sent", kind=kind, method="PUT", to=to, path="/x", round=number, bytes=size, body_bytes=size, **more
    )


@pytest.fixture
def record(tmp_path):
    record = EgressRecord(tmp_path / "egress.jsonl")
    first = send(record, "answers", 1, 100, answers=4)
    record.append("answered", request=first, status=200)
    send(record, "answers", 1, 50, answers=2)
    send(record, "answers", 2, 70, answers=6)
    send(record, "prompts", 2, 30, to="provider")
    record.append("screened", round=2, action="mask", found={"email": 9})
    record.append("screened", round=2, action="mask", found={"email": 2, "iban": 1})
    return record


def test_sums_stand_by_kind_and_round(record):
    contents = read_record(record.path)
    rows = [
        (each.kind, each.round, each.requests, each.answers, each.bytes, each.unanswered)
        for each in totals(contents.sent)
    ]
    assert rows == [("answers", 1, 2, 6, 150, 1), ("answers", 2, 1, 6, 70, 1), ("prompts", 2, 1, 0, 30, 1)]
    assert found(contents.screened) == {(2, "email", "mask"): 2, (2, "iban", "mask"): 1}


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [({"number": 2}, [4, 5]), ({"kind": "prompts"}, [5]), ({"kind": "answers", "number": 1}, [1, 3])],
)
def test_requests_are_chosen_by_round_and_kind(record, choice, numbers):
    assert [each.number for each in read_record(record.path).chosen(**choice).sent] == numbers


def test_requests_are_chosen_by_time(record):
    contents = read_record(record.path)
    assert contents.chosen(since=contents.sent[-1].at).sent[-1].number == 5
    assert contents.chosen(since=contents.sent[-1].at.replace(year=3000)).sent == []


def test_digests_of_an_answer_a_submission_and_a_body_are_opened_from_the_sites_own_files(record, tmp_path):
    keep(tmp_path, 1, ANSWERS)
    assert kept(tmp_path, 1) == ANSWERS
    assert kept(tmp_path, 2) == []
    body = b"".join(Batches(ANSWERS[2:5])._next())
    send(record, "answers", 1, 3, answers=3, unpacked=sha256(body).hexdigest(), body="ab" * 32)
    sent = read_record(record.path).sent
    assert list(opened(tmp_path, digest_of(ANSWERS)[:12], sent)) == [(1, ANSWERS)]
    assert list(opened(tmp_path, content_digest("Answer 3."), sent)) == [(1, [ANSWERS[3]])]
    assert list(opened(tmp_path, "abababab", sent)) == [(1, ANSWERS[2:5])]
    assert list(opened(tmp_path, "0" * 64, sent)) == []
