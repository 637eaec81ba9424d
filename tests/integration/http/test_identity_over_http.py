"""Tokens with scopes and an end, invitations and named operators over HTTP, as an attacker would try them."""

import threading
import time
from itertools import count

import pytest

from consensus_server.service.access import token_hash

_numbers = count(1)


def token_path(arena, name):
    return f"{arena.path}/participants/{name}/token"


def renewed(client, arena, name, **wish):
    response = client.post(token_path(arena, name), json=wish)
    assert response.status_code == 200, response.text
    return response.json()


def test_a_participant_rotates_its_token_without_a_gap(live, arena, problem):
    old = arena.as_("anna")
    issued = renewed(old, arena, "anna", grace_seconds=60)
    new = live.client(issued["token"])
    for client in (old, new):
        assert client.get("/v1/identity").json()["participant"] == "anna"
    held = new.get(f"{arena.path}/participants/anna/tokens").json()["items"]
    assert [each["replaced"] for each in held] == [True, False]
    assert held[0]["id"] == token_hash(arena.tokens["anna"])[:12]
    assert not {"token", "digest"} & set(held[0])
    problem(old.post(token_path(arena, "anna"), json={}), 403, "forbidden")  # the old one only ends
    problem(old.delete(f"{arena.path}/participants/anna/tokens/{held[1]['id']}"), 403, "forbidden")
    assert new.delete(f"{arena.path}/participants/anna/tokens/{held[0]['id']}").status_code == 204
    problem(old.get("/v1/identity"), 401, "unauthenticated")
    problem(new.delete(f"{arena.path}/participants/anna/tokens/{held[0]['id']}"), 404, "unknown_token")


def test_a_participant_has_no_say_over_the_tokens_of_others(live, arena, problem):
    anna = arena.as_("anna")
    of_bert = token_hash(arena.tokens["bert"])[:12]
    for response in (
        anna.post(token_path(arena, "bert"), json={}),
        anna.get(f"{arena.path}/participants/bert/tokens"),
        anna.delete(f"{arena.path}/participants/bert/tokens/{of_bert}"),
    ):
        problem(response, 403, "forbidden")
    problem(anna.delete(f"{arena.path}/participants/anna/tokens/{of_bert}"), 404, "unknown_token")
    assert arena.as_("bert").get("/v1/identity").status_code == 200


def test_a_successor_has_no_more_scopes_and_lives_no_longer(live, arena, problem):
    narrow = live.client(renewed(arena.operator, arena, "anna", scopes=["observe"], lifetime_seconds=600)["token"])
    problem(narrow.post(token_path(arena, "anna"), json={"scopes": ["submit"]}), 403, "out_of_scope")
    problem(narrow.post(token_path(arena, "anna"), json={"lifetime_seconds": 601}), 422, "validation_failed")
    issued = renewed(narrow, arena, "anna")
    assert issued["scopes"] == ["observe"]
    assert issued["expires_at"] is not None


def test_a_token_of_an_operator_hands_on_no_scope_that_it_has_not(live, arena, problem):
    add = {"participant": "boss", "role": "operator", "scopes": ["operate"]}
    boss = live.client(arena.operator.post(f"{arena.path}/participants", json=add).json()["token"])
    second = {"participant": "second", "role": "operator"}
    problem(boss.post(f"{arena.path}/participants", json=second | {"scopes": ["labels"]}), 403, "out_of_scope")
    assert boss.post(f"{arena.path}/participants", json=second).json()["scopes"] == ["operate"]
    problem(
        boss.post(f"{arena.path}/invitations", json={"role": "operator", "scopes": ["labels"]}), 403, "out_of_scope"
    )
    observer = {"participant": "olga", "role": "observer", "scopes": ["submit"]}
    problem(boss.post(f"{arena.path}/participants", json=observer), 422, "validation_failed")


def test_tokens_are_bounded_in_number(arena, problem):
    answers = [arena.operator.post(token_path(arena, "anna"), json={"keep": True}) for _ in range(16)]
    assert [each.status_code for each in answers] == [200] * 15 + [422]
    problem(answers[-1], 422, "validation_failed")
    renewed(arena.operator, arena, "anna")
    assert len(arena.operator.get(f"{arena.path}/participants/anna/tokens").json()["items"]) == 1


@pytest.mark.parametrize("waits", ["events", "long poll"])
@pytest.mark.parametrize("end", ["expiry", "revocation"])
def test_who_waits_is_let_go_within_two_seconds_of_the_end_of_its_token(live, arena, end, waits):
    issued = renewed(arena.operator, arena, "anna", **({"lifetime_seconds": 1.0} if end == "expiry" else {}))
    client, ended = live.client(issued["token"]), []

    def wait():
        if waits == "events":
            with client.stream("GET", f"{arena.round}/events") as response:
                list(response.iter_bytes())
        else:
            asked = client.get(f"{arena.round}?wait_for=published&timeout_seconds=30")
            assert asked.status_code == 401, asked.text
        ended.append(time.monotonic())

    waiter, begun = threading.Thread(target=wait), time.monotonic()
    waiter.start()
    if end == "revocation":
        time.sleep(0.3)
        begun = time.monotonic()
        of_anna = f"{arena.path}/participants/anna/tokens/{token_hash(issued['token'])[:12]}"
        assert arena.operator.delete(of_anna).status_code == 204
    waiter.join(10)
    assert ended
    assert ended[0] - begun < 2 + (1.0 if end == "expiry" else 0.0)


def test_an_expired_token_is_told_what_to_do(live, arena, problem):
    token = renewed(arena.operator, arena, "anna", keep=True)["token"]
    with live.server.store.writing() as tx:
        found = tx.tokens.find(token_hash(token))
        tx.tokens.end(found, at=found.created_at)
    told = problem(live.client(token).get("/v1/identity"), 401, "token_expired")
    assert token_hash(token)[:12] in told["detail"]
    assert token not in str(told)


def invited(arena, **create):
    response = arena.operator.post(f"{arena.path}/invitations", json=create)
    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    return response.json()


def redeem(live, code, **more):
    return live.client(None).post("/v1/invitations/redeem", json={"code": code, **more})


def test_whoever_has_an_invitation_joins_with_it_once(live, arena, problem):
    code = invited(arena, participant="carl", scopes=["submit"], lifetime_seconds=600)["code"]
    other = live.client().post("/v1/invitations/redeem", json={"code": code, "federation": "elsewhere"})
    problem(other, 404, "unknown_invitation")
    problem(redeem(live, code, participant="mallory"), 422, "validation_failed")
    joined = redeem(live, code, federation=arena.name)
    assert joined.status_code == 201
    body = joined.json()
    assert (body["participant"]["participant"], body["scopes"], joined.headers["cache-control"]) == (
        "carl", ["submit"], "no-store",
    )  # fmt: skip
    assert live.client(body["token"]).get("/v1/identity").json()["federation"] == arena.name
    problem(redeem(live, code), 409, "invitation_used")
    (listed,) = arena.operator.get(f"{arena.path}/invitations").json()["items"]
    assert (listed["used_by"], "code" in listed) == ("carl", False)


def test_an_invitation_that_is_unknown_withdrawn_or_expired_lets_nobody_in(live, arena, problem):
    problem(redeem(live, "guess"), 404, "unknown_invitation")
    made = invited(arena)
    problem(redeem(live, made["code"]), 422, "validation_failed")  # it has no name
    problem(redeem(live, made["code"], participant="anna"), 409, "already_exists")  # and is still good
    assert arena.operator.delete(f"{arena.path}/invitations/{made['invitation']['id']}").status_code == 204
    problem(redeem(live, made["code"], participant="carl"), 404, "unknown_invitation")
    short = invited(arena, valid_seconds=1)["code"]
    time.sleep(1.05)
    problem(redeem(live, short, participant="carl"), 409, "invitation_expired")


def test_of_many_who_redeem_one_invitation_at_once_one_gets_in(live, arena):
    code, statuses = invited(arena)["code"], []

    def go(name):
        statuses.append(redeem(live, code, participant=name).status_code)

    threads = [threading.Thread(target=go, args=(f"site-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] + [409] * 5


def test_strangers_who_guess_codes_are_slowed_down(running, tmp_path):
    with running(tmp_path / "slow", requests_per_second=1.0, request_burst=5) as slow:
        stranger = slow.client(None)
        statuses = [stranger.post("/v1/invitations/redeem", json={"code": "guess"}).status_code for _ in range(8)]
    assert statuses[0] == 404
    assert statuses[-1] == 429


def test_operators_of_the_server_have_names_and_tokens_of_their_own(live, arena, problem):
    name = f"alice-{next(_numbers)}"
    issued = live.client().post("/v1/operators", json={"operator": name}).json()
    alice = live.client(issued["token"])
    assert alice.get(arena.path).status_code == 200
    assert alice.get("/v1/identity").json()["scopes"] == ["labels", "observe", "operate", "panels"]
    problem(live.client().post("/v1/operators", json={"operator": name}), 409, "already_exists")
    second = alice.post(f"/v1/operators/{name}/token", json={"scopes": ["observe"], "keep": True}).json()
    watcher = live.client(second["token"])
    problem(watcher.post("/v1/operators", json={"operator": "mallory"}), 403, "out_of_scope")
    problem(watcher.post(f"/v1/operators/{name}/token", json={"scopes": ["operate"]}), 403, "out_of_scope")
    assert live.client().delete(f"/v1/operators/{name}").status_code == 204
    for client in (alice, watcher):
        problem(client.get("/v1/identity"), 401, "unauthenticated")
    problem(live.client().delete(f"/v1/operators/{name}"), 404, "unknown_operator")


def test_uses_are_noted_roughly_and_written_with_the_traffic(live, arena):
    arena.as_("anna").get("/v1/identity")
    live.context.use_cases.access.record_uses()
    (held,) = arena.operator.get(f"{arena.path}/participants/anna/tokens").json()["items"]
    assert held["last_used_at"] is not None
