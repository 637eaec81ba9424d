from datetime import timedelta

import pytest

from client_kit.vocabulary import Role
from consensus_server.core.errors import (
    AlreadyExists,
    Forbidden,
    Unauthenticated,
    UnknownFederation,
    UnknownParticipant,
    WrongCertificate,
)
from consensus_server.service.tokens import Revocation
from tests.support.service import OPERATOR, OPERATOR_TOKEN


def test_the_server_operator_is_known_by_the_token_of_the_settings(service):
    caller = service.access.identify(OPERATOR_TOKEN)
    assert (caller.role, caller.federation, caller.participant) == (Role.OPERATOR, None, None)


@pytest.mark.parametrize("token", ["", "wrong", OPERATOR_TOKEN + " ", "\udcff"])
def test_an_unknown_token_is_nobody_s(service, token):
    with pytest.raises(Unauthenticated):
        service.access.identify(token)


def test_a_participant_is_known_by_its_token(service):
    service.found()
    issued = service.participants.add(OPERATOR, "clinics", "north")
    caller = service.access.identify(issued.token)
    assert (caller.federation, caller.participant.name, caller.role) == ("clinics", "north", Role.PARTICIPANT)


def test_the_store_never_sees_a_token(service, tmp_path):
    service.found()
    token = service.participants.add(OPERATOR, "clinics", "north").token
    assert len(token) >= 40
    for file in tmp_path.iterdir():
        assert token.encode() not in file.read_bytes()


def test_a_new_token_ends_the_old_one(service):
    service.found()
    old = service.participants.add(OPERATOR, "clinics", "north").token
    new = service.participants.renew_token(OPERATOR, "clinics", "north").token
    assert service.access.identify(new).participant.name == "north"
    with pytest.raises(Unauthenticated):
        service.access.identify(old)


def test_an_inactive_participant_is_told_so_and_may_come_back(service):
    service.found()
    token = service.participants.add(OPERATOR, "clinics", "north").token
    service.participants.set_active(OPERATOR, "clinics", "north", active=False)
    with pytest.raises(Unauthenticated, match="not active"):
        service.access.identify(token)
    service.participants.set_active(OPERATOR, "clinics", "north", active=True)
    assert service.access.identify(token).participant.active


def test_a_bound_participant_is_known_with_its_certificates_only(service):
    service.found()
    token = service.participants.add(OPERATOR, "clinics", "north").token
    old, new = "a" * 64, "b" * 64
    service.participants.bind(OPERATOR, "clinics", "north", {old, new})
    assert {service.access.identify(token, shown).participant.name for shown in (old, new)} == {"north"}
    for shown, told in ((None, "showed no client certificate"), ("c" * 64, "showed the certificate ccc")):
        with pytest.raises(WrongCertificate, match=told):
            service.access.identify(token, shown)
    service.participants.bind(OPERATOR, "clinics", "north", ())
    assert service.access.identify(token).participant.name == "north"


def test_a_name_is_taken_once_per_federation(service):
    service.found("clinics", sites=["north"])
    service.found("banks", sites=["north"])
    with pytest.raises(AlreadyExists, match="north"):
        service.join("north", federation="banks")


def test_unknown_names_are_told(service):
    service.found()
    with pytest.raises(UnknownParticipant, match="south"):
        service.participants.renew_token(OPERATOR, "clinics", "south")
    with pytest.raises(UnknownFederation, match="banks"):
        service.participants.all(OPERATOR, "banks")


def test_another_federation_looks_as_if_it_did_not_exist(service):
    (stranger,) = service.found("banks", sites=["north"])
    service.found("clinics")
    service.open()
    for attempt in (
        lambda: service.federations.get(stranger, "clinics"),
        lambda: service.rounds.get(stranger, "clinics", 1),
        lambda: service.rounds.all(stranger, "clinics"),
        lambda: service.submissions.held(stranger, "clinics", 1),
        lambda: service.pseudo_labels.card(stranger, "clinics", 1),
        lambda: service.traffic.of_round(stranger, "clinics", 1),
    ):
        with pytest.raises(UnknownFederation):
            attempt()
    assert [each.name for each in service.federations.all(stranger)] == ["banks"]
    assert [each.name for each in service.federations.all(OPERATOR)] == ["banks", "clinics"]


@pytest.mark.parametrize("role", [Role.PARTICIPANT, Role.OBSERVER])
def test_only_operators_run_a_federation(service, role):
    service.found()
    caller = service.join("north", role=role)
    service.open()
    for attempt in (
        lambda: service.participants.all(caller, "clinics"),
        lambda: service.participants.add(caller, "clinics", "south"),
        lambda: service.participants.set_active(caller, "clinics", "north", active=False),
        lambda: service.participants.renew_token(caller, "clinics", "south"),
        lambda: service.participants.tokens(caller, "clinics", "south"),
        lambda: service.participants.revoke_token(caller, "clinics", "south", Revocation("0" * 12)),
        lambda: service.invitations.add(caller, "clinics"),
        lambda: service.rounds.create(caller, "clinics"),
        lambda: service.rounds.open(caller, "clinics", 1),
        lambda: service.rounds.close(caller, "clinics", 1),
    ):
        with pytest.raises(Forbidden, match="operator"):
            attempt()


def test_an_operator_of_one_federation_runs_that_one_and_not_the_server(service):
    service.found("clinics")
    caller = service.join("chair", role=Role.OPERATOR)
    service.participants.add(caller, "clinics", "south")
    assert service.rounds.create(caller, "clinics").number == 1
    with pytest.raises(Forbidden, match="operator of the server"):
        service.prompt_sets.add(caller, *_any_prompt_set())
    with pytest.raises(UnknownFederation):
        service.rounds.create(caller, "banks")


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.OBSERVER])
def test_only_participants_submit(service, role):
    service.found()
    caller = service.join("chair", role=role)
    service.open()
    for who in (caller, OPERATOR):
        with pytest.raises(Forbidden):
            service.submissions.store(who, "clinics", 1, [])
        with pytest.raises(Forbidden):
            service.submissions.seal(who, "clinics", 1, count=0, digest="")


def test_observers_read_rounds_and_cards_but_no_answers(service):
    north, south = service.found(sites=["north", "south"])
    observer = service.join("press", role=Role.OBSERVER)
    service.open()
    for site in (north, south):
        service.submit(site, {"p-0": "Yes."})
    assert service.worker.run_once()
    assert service.rounds.get(observer, "clinics", 1).state == "published"
    assert service.rounds.events_after(observer, "clinics", 1)
    assert service.pseudo_labels.card(observer, "clinics", 1).counts.labels == 1
    for attempt in (
        lambda: service.pseudo_labels.page(observer, "clinics", 1),
        lambda: service.pseudo_labels.stream(observer, "clinics", 1),
        lambda: service.pseudo_labels.explain(observer, "clinics", 1, "p-0"),
        lambda: service.traffic.of_round(observer, "clinics", 1),
    ):
        with pytest.raises(Forbidden):
            attempt()


def _any_prompt_set():
    from tests.support.service import make_manifest, make_prompts

    prompts = make_prompts(4)
    return make_manifest(prompts), prompts


def test_when_a_participant_was_seen_is_noted_with_its_requests_and_kept_while_the_database_is_away(service):
    service.found()
    token = service.participants.add(OPERATOR, "clinics", "north").token
    service.participants.add(OPERATOR, "clinics", "south")
    for _ in range(2):  # within 15 seconds it is noted once
        north = service.access.identify(token)
        service.access.record_uses()
        service.clock.advance(10)
    assert [each.seen_at for each in service.participants.all(OPERATOR, "clinics")] == [
        service.clock.now() - timedelta(seconds=20),
        None,
    ]
    service.clock.advance(280)
    service.access.check(north)  # what an open stream does
    assert service.participants.count_by_presence() == {"seen": 1, "silent": 0, "never": 1}
    service.access.record_uses()
    service.clock.advance(301)
    assert service.participants.count_by_presence() == {"seen": 0, "silent": 1, "never": 1}
    service.open()
    awaited = service.participants.awaited(OPERATOR, "clinics", 1)
    assert [each.name for each in awaited] == ["north", "south"]
