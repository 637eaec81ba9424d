"""A person at the site decides about just the answers that were shown; what a server sends decides nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from client_kit.errors import NotApproved
from client_kit.federation import approval
from client_kit.federation.approval import (
    Preview,
    approved,
    asked_of,
    decide,
    decision_of,
    preview,
    rounds_asked,
    summary,
)
from client_kit.wire import Answer, Prompt, Round

ANSWERS = [Answer(prompt_id="p1", text="Paris."), Answer(prompt_id="p2", text="Rome.")]
PROMPTS = [Prompt(prompt_id=f"p{number}", prompt=f"Question {number}?") for number in range(4)]


def asked(answers=ANSWERS, deadline=None, **more):
    said = {"deadline": deadline, "dropped": {}, "personal": {}, "carried_from": None, **more}
    return preview("clinics", "https://host", 1, answers, PROMPTS, **said)


@pytest.fixture
def waited(monkeypatch):
    """What happens while the site waits, one after the other; with nothing left to happen, a test has failed."""
    happens = []
    monkeypatch.setattr(approval.time, "sleep", lambda _: happens.pop(0)())
    return happens


def nothing():
    pass


def test_it_waits_for_the_command_and_goes_on_at_once_after_a_restart(tmp_path, waited):
    told = []
    waited[:] = [nothing, lambda: decide(tmp_path, 1, asked().digest, approve=True)]
    approved(tmp_path, asked(), None, lambda: told.append("waits"))
    approved(tmp_path, asked(), None, pytest.fail)  # as after a restart
    assert (told, waited) == (["waits"], [])
    assert rounds_asked(tmp_path) == [1]
    assert asked_of(tmp_path, 1) == asked()


def test_other_answers_are_asked_about_anew(tmp_path, waited):
    decide(tmp_path, 1, asked().digest, approve=True)
    other = asked([*ANSWERS[:1], Answer(prompt_id="p2", text="Milan.")])
    waited[:] = [nothing, lambda: decide(tmp_path, 1, other.digest, approve=True)]
    approved(tmp_path, other, None, nothing)
    assert waited == []


@pytest.mark.parametrize("by_command", [True, False])
def test_what_is_refused_is_not_sent(tmp_path, waited, by_command):
    if by_command:
        decide(tmp_path, 1, asked().digest, approve=False)
    with pytest.raises(NotApproved, match="refused the answers of round 1"):
        approved(tmp_path, asked(), lambda _: False, pytest.fail)


def test_a_person_on_the_terminal_is_asked_at_once_and_may_leave_it_to_the_command(tmp_path, waited):
    seen = []
    approved(tmp_path, asked(), lambda shown: seen.append(shown) or True, pytest.fail)
    assert seen == [asked()]
    decision = decision_of(tmp_path, 1)
    assert (decision.approved, decision.digest) == (True, asked().digest)
    waited[:] = [lambda: decide(tmp_path, 2, asked().digest, approve=True)]
    approved(
        tmp_path,
        Preview(**{name: getattr(asked(), name) for name in Preview.__slots__} | {"round": 2}),
        lambda _: None,
        nothing,
    )


def test_nobody_waits_beyond_the_deadline_or_for_ever(tmp_path, waited):
    with pytest.raises(NotApproved, match="before its deadline"):
        approved(tmp_path, asked(deadline=datetime.now(UTC) - timedelta(seconds=1)), None, nothing)
    with pytest.raises(NotApproved, match="within 0 seconds"):
        approved(tmp_path, asked(), None, nothing, patience_seconds=0)


def test_a_round_as_the_server_sends_it_has_no_word_on_approval():
    """Whatever fields a server invents, none gets into what the site looks at."""
    sent = {"federation": "f", "number": 1, "state": "open", "quorum": 1, "active": 1, "sealed": 0}
    assert Round.model_validate({**sent, "approved": True, "approve": True, "decision": {"approved": True}}) == Round(
        **sent
    )


def test_the_summary_says_what_would_leave():
    text = summary(
        asked(deadline=datetime(2026, 1, 2, tzinfo=UTC), dropped={"refusal": 1}, personal={"email": 2}, carried_from=3)
    )
    for said in (
        "2 answers to 2 prompts",
        "https://host",
        asked().digest,
        "2026-01-02",
        "1 refusal",
        "2 email",
        "round 3",
    ):
        assert said in text
