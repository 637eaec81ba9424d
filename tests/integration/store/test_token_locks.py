"""Tokens that end while others write, over each database: what is written was allowed when it was done."""

import threading

import pytest

from client_kit.vocabulary import Role
from consensus_server.core.errors import DomainError, InvitationUsed, Unauthenticated
from consensus_server.service.access import OPERATORS, federation_for
from consensus_server.service.submissions import own_participant
from consensus_server.service.tokens import Revocation
from tests.support.service import OPERATOR


@pytest.mark.parametrize("role", [Role.PARTICIPANT, Role.OPERATOR])
def test_a_revocation_waits_for_the_writer_that_holds_the_token(service, role):
    service.found()
    caller = service.join("north", role=role)
    (token,) = service.participants.tokens(OPERATOR, "clinics", "north")
    end = (OPERATOR, "clinics", "north", Revocation(token.id))
    revoking = threading.Thread(target=service.participants.revoke_token, args=end)
    with service.store.writing() as tx:
        home = federation_for(tx, caller, "clinics", OPERATORS if role is Role.OPERATOR else None, lock=True)
        if role is Role.PARTICIPANT:
            own_participant(tx, home, caller, lock=True)
        revoking.start()
        revoking.join(0.3)
        assert revoking.is_alive()
    revoking.join(20)
    assert not revoking.is_alive()
    with pytest.raises(Unauthenticated):
        service.access.check(caller)


def at_once(attempts):
    """What each call answered or raised, all begun together."""
    found, ready = [], threading.Barrier(len(attempts))

    def attempt(call):
        ready.wait(20)
        try:
            found.append(call())
        except DomainError as error:
            found.append(type(error))

    threads = [threading.Thread(target=attempt, args=(call,)) for call in attempts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_of_two_who_rotate_one_token_at_once_one_gets_a_successor(service):
    (north,) = service.found(sites=["north"])
    found = at_once([lambda: service.participants.renew_token(north, "clinics", "north")] * 4)
    assert found.count(Unauthenticated) == 3
    assert len(service.participants.tokens(OPERATOR, "clinics", "north")) == 1


def test_of_two_named_operators_who_rotate_one_token_at_once_one_gets_a_successor(service):
    alice = service.access.identify(service.operators.add(OPERATOR, "alice").token)
    found = at_once([lambda: service.operators.renew_token(alice, "alice")] * 4)
    assert found.count(Unauthenticated) == 3
    assert len(service.operators.tokens(OPERATOR, "alice")) == 1


def test_one_invitation_makes_one_participant(service):
    service.found()
    code = service.invitations.add(OPERATOR, "clinics").code
    names = [f"site-{number}" for number in range(4)]
    found = at_once([lambda name=name: service.invitations.redeem(code, participant=name) for name in names])
    assert found.count(InvitationUsed) == 3
    assert len(service.participants.all(OPERATOR, "clinics")) == 1
