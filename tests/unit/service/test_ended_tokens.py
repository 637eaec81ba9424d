"""A request may be older than the end of its token: what it does is refused where it is done, whatever was found at its head."""

import pytest

from client_kit.vocabulary import AppealOutcome, Role
from consensus_server.core.errors import DomainError, Forbidden, TokenExpired, Unauthenticated, WrongCertificate
from consensus_server.core.federations import Terms
from consensus_server.core.pulling import Endpoint
from consensus_server.core.rounds import Answer
from consensus_server.service.prompt_sets import prompts_digest
from consensus_server.service.tokens import Revocation, TokenWish
from tests.support.service import OPERATOR, make_manifest, make_prompts

ANSWERS = [Answer(prompt_id="p-0", sample=0, text="Yes.", finish_reason="stop")]
EMPTY = {"count": 0, "digest": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}

OF_PARTICIPANTS = {
    "answers": lambda s, who: s.submissions.store(who, "clinics", 1, ANSWERS),
    "replacing": lambda s, who: s.submissions.store(who, "clinics", 1, ANSWERS, replace=True),
    "held": lambda s, who: s.submissions.held(who, "clinics", 1),
    "seal": lambda s, who: s.submissions.seal(who, "clinics", 1, **EMPTY),
    "parameters": lambda s, who: s.parameters.keep(who, "clinics", 1, b""),
    "appeal": lambda s, who: s.appeals.make(who, "clinics", 1, gate="relevance", text="No."),
    "labels": lambda s, who: s.pseudo_labels.page(who, "clinics", 1),
    "card": lambda s, who: s.pseudo_labels.card(who, "clinics", 1),
    "traffic": lambda s, who: s.traffic.of_round(who, "clinics", 1),
    "rounds": lambda s, who: s.rounds.all(who, "clinics"),
    "events": lambda s, who: s.rounds.events_after(who, "clinics", 1),
    "rotate": lambda s, who: s.participants.renew_token(who, "clinics", "north"),
    "waiting": lambda s, who: s.access.check(who),
}
OF_OPERATORS = {
    "add": lambda s, who: s.participants.add(who, "clinics", "new"),
    "deactivate": lambda s, who: s.participants.set_active(who, "clinics", "north", active=False),
    "bind": lambda s, who: s.participants.bind(who, "clinics", "north", ()),
    "renew": lambda s, who: s.participants.renew_token(who, "clinics", "north"),
    "create": lambda s, who: s.rounds.create(who, "clinics"),
    "open": lambda s, who: s.rounds.open(who, "clinics", 1),
    "close": lambda s, who: s.rounds.close(who, "clinics", 1),
    "resolve": lambda s, who: s.appeals.resolve(who, "clinics", 1, AppealOutcome.UPHELD, ""),
    "tokens": lambda s, who: s.participants.tokens(who, "clinics", "north"),
    "invite": lambda s, who: s.invitations.add(who, "clinics"),
    "endpoint": lambda s, who: s.endpoints.get(who, "clinics", "north"),
}


def refused(call, *arguments):
    with pytest.raises(DomainError) as caught:
        call(*arguments)
    return caught.type


def renewed(service, name):
    service.participants.renew_token(OPERATOR, "clinics", name)


def inactive(service, name):
    service.participants.set_active(OPERATOR, "clinics", name, active=False)


def revoked(service, name):
    (token,) = service.participants.tokens(OPERATOR, "clinics", name)
    service.participants.revoke_token(OPERATOR, "clinics", name, Revocation(token.id))


def expired(service, name):
    """At the end of a grace: the clock goes on."""
    service.participants.renew_token(OPERATOR, "clinics", name, TokenWish(grace_seconds=60))
    service.clock.advance(60)


def bound(service, name):
    """To a certificate that the request under way did not show."""
    service.participants.bind(OPERATOR, "clinics", name, {"c" * 64})


TOLD = {expired: TokenExpired, bound: WrongCertificate}


@pytest.mark.parametrize("ended", [renewed, inactive, revoked, expired, bound])
def test_nothing_is_done_or_told_after_the_end_of_the_token(service, ended):
    service.found(sites=["south"])
    north = service.join("north")
    boss = service.join("boss", role=Role.OPERATOR)
    service.open()
    ended(service, "north")
    ended(service, "boss")
    for caller, calls in ((north, OF_PARTICIPANTS), (boss, OF_OPERATORS)):
        for name, call in calls.items():
            assert refused(call, service, caller) is TOLD.get(ended, Unauthenticated), name
    assert service.state() == "open"


def test_a_token_that_ends_while_the_writer_waits_for_its_lock_writes_nothing(service, monkeypatch):
    """Between the first look of a transaction and its lock, as on PostgreSQL another may come between."""
    north, _ = service.found(sites=["north", "south"])
    service.open()
    participants = type(service.store).writing

    def renewing(self):
        monkeypatch.setattr(type(self), "writing", participants)
        renewed(service, "north")
        return participants(self)

    monkeypatch.setattr(type(service.store), "writing", renewing)
    with pytest.raises(Unauthenticated):
        service.store_answers(north, {"p-0": "Yes."})


def test_a_reader_of_labels_whose_token_ends_between_two_pieces_gets_no_more(service, monkeypatch):
    monkeypatch.setattr("consensus_server.service.pseudo_labels.CHUNK_LABELS", 1)
    north, south = service.found(sites=["north", "south"])
    service.open()
    for site in (north, south):
        service.submit(site, {f"p-{n}": "The answer is forty-two." for n in range(3)})
    service.worker.run_once()
    pieces = service.pseudo_labels.stream(north, "clinics", 1)
    assert next(pieces)
    renewed(service, "north")
    with pytest.raises(Unauthenticated):
        next(pieces)


def test_what_came_of_a_round_is_for_contributors_where_that_was_agreed(service):
    north, south, idle = service.found(sites=["north", "south", "idle"], contributors_only=True)
    service.open()
    for site in (north, south):
        service.submit(site, {f"p-{n}": "The answer is forty-two." for n in range(3)})
    service.rounds.close(OPERATOR, "clinics", 1)
    service.worker.run_once()
    asks = {
        "labels": lambda who: service.pseudo_labels.page(who, "clinics", 1),
        "explanation": lambda who: service.pseudo_labels.explain(who, "clinics", 1, "p-0"),
        "map": lambda who: service.inspection.map(who, "clinics", 1, "p-0"),
        "rejections": lambda who: service.rejections.page(who, "clinics", 1),
        "reliability": lambda who: service.reliabilities.of_round(who, "clinics", 1),
        "parameters": lambda who: service.parameters.fetch(who, "clinics", 1),
    }
    for name, ask in asks.items():
        assert refused(ask, idle) is Forbidden, name
        if name != "parameters":
            ask(north)


def test_an_endpoint_that_is_asked_while_its_participant_is_set_to_inactive_keeps_nothing(service):
    (north,) = service.found(sites=["north"])
    service.endpoints.set(OPERATOR, "clinics", "north", Endpoint(upstream="llama"))
    service.open()
    asked = type(north)(north.role, north.participant)
    service.store_answers(asked, {"p-0": "Yes."})
    inactive(service, "north")
    with pytest.raises(Unauthenticated):
        service.store_answers(asked, {"p-1": "Yes."})


@pytest.mark.parametrize("end", ["remove", "revoke", "expiry"])
def test_a_named_operator_of_the_server_does_nothing_after_the_end_of_its_token(service, end):
    service.found(sites=["north"])
    issued = service.operators.add(OPERATOR, "alice", TokenWish(lifetime_seconds=60))
    alice = service.access.identify(issued.token)
    if end == "remove":
        service.operators.remove(OPERATOR, "alice")
    elif end == "revoke":
        service.operators.revoke_token(OPERATOR, "alice", Revocation(issued.kept.id))
    else:
        service.clock.advance(60)
    found = [make_prompts(2)]
    for call in (
        lambda: service.prompt_sets.add(alice, make_manifest(found[0]), found[0]),
        lambda: service.federations.create(alice, Terms(name="new", prompt_set=prompts_digest(make_prompts(3)))),
        lambda: service.endpoints.set(alice, "clinics", "north", Endpoint(upstream="llama")),
        lambda: service.operators.add(alice, "mallory"),
        lambda: service.operators.renew_token(alice, "alice"),
        lambda: service.operators.all(alice),
        lambda: service.rounds.create(alice, "clinics"),
        lambda: service.access.check(alice),
    ):
        assert refused(call) is (TokenExpired if end == "expiry" else Unauthenticated)


def test_whoever_stole_a_token_that_was_replaced_does_not_outlive_its_grace(service):
    service.found(sites=["north"])
    stolen = service.access.identify(service.operators.add(OPERATOR, "alice").token)
    service.operators.add(OPERATOR, "bob")
    service.operators.renew_token(OPERATOR, "alice", TokenWish(grace_seconds=60))
    for call in (
        lambda: service.operators.add(stolen, "mallory"),
        lambda: service.operators.renew_token(stolen, "bob"),
        lambda: service.participants.add(stolen, "clinics", "mallory", Role.OPERATOR),
        lambda: service.participants.renew_token(stolen, "clinics", "north"),
        lambda: service.invitations.add(stolen, "clinics", role=Role.OPERATOR),
    ):
        assert refused(call) is Forbidden
    assert service.participants.all(stolen, "clinics")
