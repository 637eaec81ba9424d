"""Every administrative act has a line of who did it, and no line has a secret or a text."""

import json

from client_kit.vocabulary import AppealOutcome, Role
from consensus_server.core.pulling import Endpoint
from consensus_server.service.audit import checked
from consensus_server.service.tokens import Revocation, TokenWish
from tests.support.service import OPERATOR

SECRET = "A text that nobody else may read."


def acts(service):
    with service.store.reading() as tx:
        return [json.loads(line) for line in tx.audit.lines()]


def test_who_did_what_is_recorded_with_before_and_after(service):
    north, _ = service.found(sites=["north", "south"])
    alice = service.access.identify(service.operators.add(OPERATOR, "alice").token)
    made = service.invitations.add(alice, "clinics", participant="carl")
    secrets = [made.code, service.invitations.redeem(made.code).token]
    service.invitations.withdraw(alice, "clinics", service.invitations.add(alice, "clinics").invitation.id)
    service.clock.advance(1)  # tokens are listed by their age
    secrets.append(service.participants.renew_token(alice, "clinics", "carl", TokenWish(grace_seconds=5)).token)
    old, _ = service.participants.tokens(alice, "clinics", "carl")
    service.participants.revoke_token(alice, "clinics", "carl", Revocation(old.id))
    service.participants.set_active(alice, "clinics", "carl", active=False)
    service.participants.bind(alice, "clinics", "carl", {"c" * 64})
    service.endpoints.set(alice, "clinics", "south", Endpoint(upstream="llama"))
    service.endpoints.remove(alice, "clinics", "south")
    service.open()
    service.store_answers(north, {"p-0": SECRET})
    service.submissions.withdraw(north, "clinics", 1)
    service.submit(north, {"p-0": SECRET})
    service.rounds.close(alice, "clinics", 1)
    service.worker.run_once()
    service.operators.remove(OPERATOR, "alice")
    found = acts(service)
    assert [(each["actor"], each["action"]) for each in found] == [
        ("command line", "prompt_set.added"),
        ("command line", "federation.created"),
        ("command line", "participant.added"),
        ("command line", "participant.added"),
        ("command line", "operator.added"),
        ("operator alice", "invitation.added"),
        ("clinics/carl", "invitation.used"),
        ("operator alice", "invitation.added"),
        ("operator alice", "invitation.withdrawn"),
        ("operator alice", "token.issued"),
        ("operator alice", "token.revoked"),
        ("operator alice", "participant.changed"),
        ("operator alice", "participant.bound"),
        ("operator alice", "endpoint.set"),
        ("operator alice", "endpoint.set"),
        ("command line", "round.draft"),
        ("command line", "round.open"),
        ("clinics/north", "submission.withdrawn"),
        ("operator alice", "round.closed"),
        ("server", "round.published"),
        ("command line", "operator.removed"),
    ]
    by_action = {each["action"]: each for each in found}
    changed = by_action["participant.changed"]
    assert (changed["before"], changed["after"]) == ({"active": True}, {"active": False})
    assert by_action["token.issued"]["after"]["replaces"] == [old.id]
    assert by_action["endpoint.set"]["before"]["upstream"] == "llama"
    assert by_action["submission.withdrawn"]["before"] == {"answers": 1}
    assert by_action["round.published"]["after"]["labels"] == service.rounds.get(OPERATOR, "clinics", 1).labels
    assert by_action["federation.created"]["after"]["policy"]["rule"] == "hybrid"
    written = "\n".join(map(str, found))
    assert not any(secret in written for secret in (*secrets, SECRET))
    assert checked(service.store).number == len(found)


def test_a_round_that_ends_of_itself_is_the_servers_act(service):
    service.found(sites=["north"])
    service.open(round_seconds=5)
    service.clock.advance(6)
    service.state()
    assert (acts(service)[-1]["actor"], acts(service)[-1]["after"]["failure"]) == ("server", "quorum_missed")


def test_appeals_are_recorded_without_their_words(service, monkeypatch):
    monkeypatch.setattr("consensus_server.service.appeals._rejected", lambda *_: True)
    north, south = service.found(sites=["north", "south"])
    service.open()
    for site in (north, south):
        service.submit(site, {"p-0": "Yes."})
    service.worker.run_once()
    service.appeals.make(north, "clinics", 1, gate="garbage", text=SECRET)
    boss = service.join("boss", role=Role.OPERATOR)
    service.appeals.resolve(boss, "clinics", 1, AppealOutcome.UPHELD, SECRET)
    made, _, resolved = acts(service)[-3:]
    assert (made["actor"], made["after"]) == ("clinics/north", {"gate": "garbage", "round": 1})
    assert (resolved["actor"], resolved["before"], resolved["after"]) == (
        "clinics/boss", {"outcome": None}, {"outcome": "upheld"},
    )  # fmt: skip
    assert SECRET not in str(acts(service))
