"""A round from nothing to pseudo-labels, as a client sees it."""

import hashlib

import pytest

from client_kit import wire

NDJSON = {"accept": "application/x-ndjson"}


def test_the_life_of_a_round(live, arena, answer_rows, digest_of):
    anna = arena.as_("anna")
    assert arena.submit("anna", answer_rows()[:3]).json() == {"stored": 3, "unchanged": 0, "replaced": 0, "held": 3}
    assert arena.submit("anna", answer_rows()).json() == {"stored": 2, "unchanged": 3, "replaced": 0, "held": 5}
    held = wire.HeldSubmission.model_validate(anna.get(f"{arena.round}/submissions").json())
    assert (held.digest, held.sealed) == (digest_of(answer_rows()), False)

    seal = {"count": 5, "digest": digest_of(answer_rows())}
    first = anna.post(f"{arena.round}/submissions/seal", json=seal)
    assert first.status_code == 200
    assert anna.post(f"{arena.round}/submissions/seal", json=seal).json() == first.json()
    assert arena.state() == "open"
    arena.submit("bert", answer_rows("Forty-two is the answer to {}."))
    assert arena.seal("bert").status_code == 200
    assert arena.state() == "closed"

    assert live.aggregate()
    published = wire.Round.model_validate(anna.get(arena.round).json())
    assert published.state is wire.RoundState.PUBLISHED
    page = wire.PseudoLabelPage.model_validate(anna.get(f"{arena.round}/pseudo-labels").json())
    assert [label.prompt_id for label in page.items] == ["p1", "p2", "p3", "p4", "p5"]
    assert page.items[0].text in {"The answer to p1 is forty-two.", "Forty-two is the answer to p1."}
    assert wire.pseudo_labels_digest(page.items) == published.labels
    card = wire.RoundCard.model_validate(anna.get(f"{arena.round}/card").json())
    assert (card.labels, card.counts.answers, card.encoder.name) == (published.labels, 10, "hashing-STAND-IN")


def test_lines_and_pages_say_the_same(arena, answer_rows):
    arena.publish({"anna": answer_rows(), "bert": answer_rows()})
    anna = arena.as_("anna")
    lines = anna.get(f"{arena.round}/pseudo-labels", headers=NDJSON)
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    streamed = [wire.PseudoLabel.model_validate_json(line) for line in lines.content.splitlines()]
    assert hashlib.sha256(lines.content).hexdigest() == anna.get(arena.round).json()["labels"]

    paged, cursor = [], None
    while cursor is not None or not paged:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = wire.PseudoLabelPage.model_validate(anna.get(f"{arena.round}/pseudo-labels", params=params).json())
        assert len(page.items) <= 2
        paged += page.items
        cursor = page.next_cursor
    assert paged == streamed
    assert len(paged) == 5


def test_published_labels_are_asked_for_by_their_digest(arena, answer_rows):
    arena.publish({"anna": answer_rows(), "bert": answer_rows()})
    anna = arena.as_("anna")
    first = anna.get(f"{arena.round}/pseudo-labels")
    assert first.headers["cache-control"] == "private, no-cache"  # an erasure may change them
    etag = first.headers["etag"]
    assert anna.get(arena.round).json()["labels"] in etag
    for given in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        again = anna.get(f"{arena.round}/pseudo-labels", headers={"if-none-match": given})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert anna.get(f"{arena.round}/pseudo-labels", headers={"if-none-match": '"other"'}).status_code == 200


def test_nobody_but_operators_sees_whose_answer_it_is(arena, answer_rows):
    arena.publish({"anna": answer_rows(), "bert": answer_rows("Something else about {}.")})
    path = f"{arena.round}/prompts/p1"
    assert {fate["participant"] for fate in arena.operator.get(path).json()["answers"]} == {"anna", "bert"}
    assert {fate["participant"] for fate in arena.as_("bert").get(path).json()["answers"]} == {"bert"}


def test_a_token_knows_whose_it_is(arena):
    assert arena.as_("anna").get("/v1/identity").json() == {
        "federation": arena.name,
        "participant": "anna",
        "role": "participant",
        "scopes": ["labels", "observe", "submit"],
        "expires_at": None,
    }
    assert arena.operator.get("/v1/identity").json() == {
        "federation": None,
        "participant": None,
        "role": "operator",
        "scopes": ["labels", "observe", "operate", "panels"],
        "expires_at": None,
    }


def test_a_new_token_ends_the_old_one_and_is_not_cached(arena):
    old = arena.as_("anna")
    renewed = arena.operator.post(f"{arena.path}/participants/anna/token")
    assert renewed.headers["cache-control"] == "no-store"
    assert old.get("/v1/identity").status_code == 401
    arena.tokens["anna"] = renewed.json()["token"]
    assert arena.as_("anna").get("/v1/identity").status_code == 200


def test_an_inactive_participant_is_not_awaited(arena, answer_rows):
    arena.submit("anna", answer_rows())
    arena.seal("anna")
    changed = arena.operator.patch(f"{arena.path}/participants/bert", json={"active": False})
    assert changed.json()["active"] is False
    assert arena.as_("bert").get("/v1/identity").status_code == 401
    listed = arena.operator.get(f"{arena.path}/participants").json()["items"]
    assert [(each["participant"], each["active"]) for each in listed] == [("anna", True), ("bert", False)]
    assert arena.operator.post(f"{arena.round}/close").json()["state"] == "closed"


def test_a_prompt_set_is_kept_once(live, prompt_set):
    operator = live.client()
    prompts = [wire.Prompt(prompt_id=f"q{n}", prompt="Why?", topic="odd") for n in range(3)]
    body = prompt_set(prompts, name="once")
    assert operator.post("/v1/prompt-sets", json=body).status_code == 201
    again = operator.post("/v1/prompt-sets", json=body)
    assert (again.status_code, again.json()["name"]) == (200, "once")
    path = f"/v1/prompt-sets/{body['manifest']['digest']}"
    assert operator.get(path).json() == again.json()
    lines = operator.get(f"{path}/prompts").content.splitlines()
    assert [wire.Prompt.model_validate_json(line) for line in lines] == prompts
    assert body["manifest"]["digest"] in {each["digest"] for each in operator.get("/v1/prompt-sets").json()["items"]}


def test_a_draft_waits_for_its_operator(live, arena):
    arena.operator.post(f"{arena.round}/close")
    draft = arena.operator.post(f"{arena.path}/rounds", json={"open": False, "round_seconds": 60})
    assert (draft.json()["number"], draft.json()["state"]) == (2, "draft")
    assert arena.operator.post(f"{arena.path}/rounds/2/open").json()["state"] == "open"
    assert [each["number"] for each in arena.operator.get(f"{arena.path}/rounds").json()["items"]] == [1, 2]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_compressed_answers_are_the_same_answers(arena, answer_rows, encoding, compressed):
    body = compressed(answer_rows(), encoding)
    response = arena.submit("anna", body, headers={"content-encoding": encoding})
    assert response.json()["stored"] == 5
    assert arena.submit("anna", answer_rows()).json()["unchanged"] == 5


def test_large_answers_come_back_compressed_where_the_client_can_read_it(live):
    with live.client(None, **{"accept-encoding": "gzip"}) as client:
        response = client.get("/openapi.json")
    assert response.headers["content-encoding"] == "gzip"
    with live.client(None, **{"accept-encoding": "identity"}) as client:
        assert "content-encoding" not in client.get("/openapi.json").headers


def test_labels_do_not_depend_on_database_or_order_of_arrival(start_server, new_arena, answer_rows):
    texts = {"anna": "Blue is {}.", "bert": "The colour of {} is blue.", "carl": "Blue, I think, is {}.", "dora": "No."}

    def labels(live, order, reverse):
        arena = new_arena(live, participants=order)
        for participant in order:
            rows = answer_rows(texts[participant])
            for row in reversed(rows) if reverse else rows:
                assert arena.submit(participant, [row]).status_code == 200
            arena.seal(participant)
        assert live.aggregate()
        return arena.as_("anna").get(f"{arena.round}/pseudo-labels", headers=NDJSON).content

    first = labels(start_server("one"), ["anna", "bert", "carl", "dora"], reverse=False)
    second = labels(start_server("two"), ["dora", "carl", "anna", "bert"], reverse=True)
    assert first == second
    assert len(first.splitlines()) == 5
