"""Every kind of bad input gets one clear problem, nothing is half-written, and the server goes on."""

import gzip
import json
import time

import pytest
import zstandard

from client_kit import wire

UNKNOWN_DIGEST = "0" * 64


@pytest.fixture
def held(arena):
    """Keys that the server holds of anna."""
    client = arena.as_("anna")
    return lambda: [row["prompt_id"] for row in client.get(f"{arena.round}/submissions").json()["answers"]]


@pytest.fixture(autouse=True)
def goes_on(live):
    yield
    assert live.client(None).get("/healthz").json()["status"] == "ok"


# Who calls


@pytest.mark.parametrize("header", [None, "Bearer", "Basic YTpi", "Bearer wrong", "Bearer wrong token", "x"])
def test_no_valid_token(live, problem, header):
    headers = {} if header is None else {"authorization": header}
    response = live.client(None, **headers).get("/v1/identity")
    problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"
    assert "wrong" not in response.text


def test_a_stranger_learns_nothing_of_a_federation(live, arena, new_arena, problem):
    """404 with the same text, whether the federation exists or not: a 403 would tell that it does."""
    stranger = new_arena(live).as_("anna")
    foreign = problem(stranger.get(arena.path), 404, "unknown_federation")
    missing = problem(stranger.get("/v1/federations/missing"), 404, "unknown_federation")
    assert foreign["detail"].replace(arena.name, "missing") == missing["detail"]
    for path in ("/rounds", "/rounds/1", "/rounds/1?wait_for=draft", "/rounds/1/events", "/rounds/1/pseudo-labels"):
        problem(stranger.get(arena.path + path), 404, "unknown_federation")
    problem(
        stranger.put(f"{arena.round}/submissions", content=b'{"prompt_id":"p1","text":"x"}'), 404, "unknown_federation"
    )


def test_a_role_that_does_not_allow_it(arena, problem):
    anna = arena.as_("anna")
    problem(anna.post(f"{arena.round}/close"), 403, "forbidden")
    problem(anna.get(f"{arena.path}/participants"), 403, "forbidden")
    problem(
        arena.operator.put(f"{arena.round}/submissions", content=b'{"prompt_id":"p1","text":"x"}'), 403, "forbidden"
    )
    problem(anna.post("/v1/federations", json={"federation": "x", "prompt_set": UNKNOWN_DIGEST}), 403, "forbidden")
    assert arena.state() == "open"


def test_an_observer_reads_rounds_but_no_labels(arena, answer_rows, problem):
    created = arena.operator.post(f"{arena.path}/participants", json={"participant": "olga", "role": "observer"})
    arena.publish({"anna": answer_rows(), "bert": answer_rows()})
    olga = arena.live.client(created.json()["token"])
    assert olga.get(f"{arena.round}/card").status_code == 200
    problem(olga.get(f"{arena.round}/pseudo-labels"), 403, "forbidden")
    problem(olga.get(f"{arena.round}/traffic"), 403, "forbidden")


# What does not exist


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/federations/missing", 404, "unknown_federation"),
        ("/v1/prompt-sets/" + UNKNOWN_DIGEST, 404, "unknown_prompt_set"),
        ("/v1/prompt-sets/" + UNKNOWN_DIGEST + "/prompts", 404, "unknown_prompt_set"),
        ("/v1/nothing", 404, "unknown_route"),
        ("/v1/identity/", 404, "unknown_route"),
        ("/v1/federations/UPPER", 422, "validation_failed"),
        ("/v1/federations/a%00b", 422, "validation_failed"),
    ],
)
def test_what_does_not_exist(live, problem, path, status, code):
    problem(live.client().get(path), status, code)


def test_unknown_rounds_and_participants(arena, problem):
    for number in (2, 2**31 - 1):
        problem(arena.operator.get(f"{arena.path}/rounds/{number}"), 404, "unknown_round")
    for number in ("0", "-1", "one", str(2**31), "9" * 400):
        problem(arena.operator.get(f"{arena.path}/rounds/{number}"), 422, "validation_failed")
    changed = arena.operator.patch(f"{arena.path}/participants/nobody", json={"active": False})
    problem(changed, 404, "unknown_participant")


def test_a_method_that_a_path_does_not_know(live, problem):
    response = live.client().delete("/v1/federations")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"]


# Bodies of submissions


def broken_bodies():
    good = b'{"prompt_id": "p1", "text": "Good."}\n'
    yield "empty", b"", {}, 400, "empty_body", ""
    yield "blank lines", b"\n \n", {}, 400, "empty_body", ""
    yield "invalid UTF-8", good + b'{"prompt_id": "p2", "text": "\xff"}\n', {}, 400, "invalid_utf8", "Line 2"
    yield "cut line", good + b'{"prompt_id": "p2", "te', {}, 400, "invalid_json", "Line 2"
    yield "an array", b"[" + good + b"]", {}, 400, "invalid_json", "Line 1"
    yield "no gzip", good, {"content-encoding": "gzip"}, 400, "broken_encoding", "gzip"
    yield "cut gzip", gzip.compress(good)[:-4], {"content-encoding": "gzip"}, 400, "truncated_body", "gzip"
    yield "no zstd", good, {"content-encoding": "zstd"}, 400, "broken_encoding", "zstd"
    cut = zstandard.compress(good)[:-3]
    yield "cut zstd", cut, {"content-encoding": "zstd"}, 400, "truncated_body", "zstd"
    yield "brotli", good, {"content-encoding": "br"}, 415, "unsupported_encoding", "br"
    yield "two layers", good, {"content-encoding": "gzip, gzip"}, 415, "unsupported_encoding", "gzip, gzip"
    bomb = gzip.compress(b" " * 17 * 2**20)
    yield "bomb", bomb, {"content-encoding": "gzip"}, 413, "body_too_large", "after decompression"
    yield "unknown field", good + b'{"prompt_id": "p2", "text": "x", "model": "m"}', {}, 422, "validation_failed", ""
    yield "NUL", good + b'{"prompt_id": "p2", "text": "a\\u0000"}', {}, 422, "validation_failed", ""
    yield "unknown prompt", good + b'{"prompt_id": "p99", "text": "x"}', {}, 422, "unknown_prompt", "p99"
    yield "second sample", good + b'{"prompt_id": "p1", "text": "x", "sample": 1}', {}, 422, "too_many_samples", ""
    yield "conflict within", good + b'{"prompt_id": "p1", "text": "Other."}', {}, 409, "answer_conflict", "p1"
    long = json.dumps({"prompt_id": "p2", "text": "x" * 40_000}).encode()
    yield "too long", good + long, {}, 422, "answer_too_long", "32"


@pytest.mark.parametrize("case", [pytest.param(rest, id=name) for name, *rest in broken_bodies()])
def test_a_submission_that_cannot_be_stored(arena, held, problem, case):
    body, headers, status, code, says = case
    found = problem(arena.submit("anna", body, headers=headers), status, code)
    assert says in found["detail"] + json.dumps(found["errors"])
    assert held() == []


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(live, arena, raw, held):
    request = raw.head("PUT", f"{arena.round}/submissions", arena.tokens["anna"], content_length=17 * 2**20)
    answer = raw.exchange(request)  # the body is never sent
    assert b" 413 " in answer
    assert b"body_too_large" in answer
    assert held() == []


def test_a_chunked_body_beyond_the_limit(arena, problem, held):
    pieces = (b" " * 2**20 for _ in range(18))
    problem(arena.as_("anna").put(f"{arena.round}/submissions", content=pieces), 413, "body_too_large")
    assert held() == []


def test_an_upload_that_breaks_off_leaves_nothing(arena, raw, held):
    good = b'{"prompt_id": "p1", "text": "Good."}\n'
    head = raw.head("PUT", f"{arena.round}/submissions", arena.tokens["anna"], content_length=1_000)
    with raw.connect() as connection:
        connection.sendall(head + good * 3)
    time.sleep(0.2)
    assert held() == []


def test_an_upload_that_stalls_is_ended(start_server, new_arena, raw_for):
    slow = start_server("stalling", idle_seconds=0.3)
    arena = new_arena(slow)
    raw = raw_for(slow)
    head = raw.head("PUT", f"{arena.round}/submissions", arena.tokens["anna"], content_length=1_000)
    answer = raw.exchange(head + b'{"prompt_id"')
    assert b" 400 " in answer
    assert b"truncated_body" in answer


# Other bodies


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "empty_body"),
        (b"{", 400, "invalid_json"),
        (b'{"federation": "\xff"}', 400, "invalid_utf8"),
        (b'{"federation": NaN}', 400, "invalid_json"),
        (b"[]", 422, "validation_failed"),
        (b'{"federation": "f"}', 422, "validation_failed"),
        (b'{"federation": "f", "prompt_set": "' + b"0" * 64 + b'", "quorumm": 3}', 422, "validation_failed"),
        (b'{"federation": "f", "prompt_set": "' + b"0" * 64 + b'"}', 404, "unknown_prompt_set"),
    ],
)
def test_a_federation_that_cannot_be_created(live, problem, body, status, code):
    problem(live.client().post("/v1/federations", content=body), status, code)


def test_faulty_fields_are_named_and_their_values_are_not(live, problem):
    body = {"federation": "f", "prompt_set": UNKNOWN_DIGEST, "quorumm": "secret", "policy": {"distance_long": 7}}
    found = problem(live.client().post("/v1/federations", json=body), 422, "validation_failed")
    assert {error["where"] for error in found["errors"]} == {"quorumm", "policy.distance_long"}
    assert "secret" not in json.dumps(found)


def test_a_rule_that_nobody_knows(live, arena, prompt_set, problem):
    digest = prompt_set()["manifest"]["digest"]
    body = {"federation": "ruled", "prompt_set": digest, "policy": {"rule": "coin_toss"}}
    found = problem(live.client().post("/v1/federations", json=body), 422, "unknown_rule")
    assert "cluster_medoid" in json.dumps(found)


@pytest.mark.parametrize(
    "changes",
    [{"digest": UNKNOWN_DIGEST}, {"prompt_count": 4}, {"topics": {"odd": 5}}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_prompt_set_that_is_not_what_its_manifest_says(live, prompt_set, problem, changes):
    problem(live.client().post("/v1/prompt-sets", json=prompt_set(**changes)), 422, "prompt_set_mismatch")


def test_a_prompt_that_stands_there_twice(live, prompt_set, problem):
    prompts = [wire.Prompt(prompt_id="same", prompt=text, topic="odd") for text in ("One?", "Two?")]
    problem(live.client().post("/v1/prompt-sets", json=prompt_set(prompts)), 422, "prompt_set_mismatch")


def test_a_name_that_cannot_be_one_is_refused_in_words(live, prompt_set, problem):
    body = {"federation": "St. Mary", "prompt_set": prompt_set()["manifest"]["digest"]}
    found = problem(live.client().post("/v1/federations", json=body), 422, "validation_failed")
    assert "must have lower-case letters, digits" in json.dumps(found)
    assert "[a-z0-9]" not in json.dumps(found)


def test_names_that_are_taken(live, arena, prompt_set, problem):
    body = {"federation": arena.name, "prompt_set": prompt_set()["manifest"]["digest"]}
    problem(live.client().post("/v1/federations", json=body), 409, "already_exists")
    problem(arena.operator.post(f"{arena.path}/participants", json={"participant": "anna"}), 409, "already_exists")


@pytest.mark.parametrize("query", ["wait_for=never", "timeout_seconds=61", "timeout_seconds=nan", "timeout_seconds=-1"])
def test_a_wait_that_cannot_be_waited(arena, problem, query):
    problem(arena.operator.get(f"{arena.round}?{query}"), 422, "validation_failed")


@pytest.mark.parametrize("seconds", [0, -1, 1e300, 1e400])
def test_a_round_of_impossible_length(arena, problem, seconds):
    arena.operator.post(f"{arena.round}/close")
    response = arena.operator.post(f"{arena.path}/rounds", content=json.dumps({"round_seconds": seconds}).encode())
    assert response.status_code in {400, 422}, response.text


# The state of things


def test_another_answer_for_the_same_key(arena, answer_rows, problem, held):
    arena.submit("anna", answer_rows())
    changed = [{**answer_rows()[0], "text": "Other."}]
    problem(arena.submit("anna", changed), 409, "answer_conflict")
    replaced = arena.as_("anna").put(
        f"{arena.round}/submissions", params={"replace": "true"}, content=json.dumps(changed[0])
    )
    assert replaced.json() == {"stored": 0, "unchanged": 0, "replaced": 1, "held": 5}
    assert len(held()) == 5


def test_a_seal_that_does_not_match(arena, answer_rows, digest_of, problem):
    arena.submit("anna", answer_rows()[:3])
    seal = {"count": 5, "digest": digest_of(answer_rows())}
    problem(arena.as_("anna").post(f"{arena.round}/submissions/seal", json=seal), 409, "seal_mismatch")
    assert arena.as_("anna").get(f"{arena.round}/submissions").json()["sealed"] is False


def test_a_sealed_submission_stays_as_it_is(arena, answer_rows, problem):
    arena.submit("anna", answer_rows()[:3])
    arena.seal("anna")
    problem(arena.submit("anna", answer_rows()[3:]), 409, "submission_sealed")


def test_a_closed_round_takes_no_answers(arena, answer_rows, problem):
    arena.submit("anna", answer_rows())
    arena.seal("anna")
    arena.operator.post(f"{arena.round}/close")
    problem(arena.submit("bert", answer_rows()), 409, "round_not_open")


def test_labels_before_publication(arena, problem):
    response = arena.as_("anna").get(f"{arena.round}/pseudo-labels")
    problem(response, 409, "round_not_published")
    assert int(response.headers["retry-after"]) >= 1


def test_labels_of_a_failed_round(arena, problem):
    assert arena.operator.post(f"{arena.round}/close").json()["failure"]["code"] == "quorum_missed"
    problem(arena.as_("anna").get(f"{arena.round}/pseudo-labels"), 409, "round_failed")


def test_a_round_while_another_is_not_over(arena, problem):
    problem(arena.operator.post(f"{arena.path}/rounds", json={}), 409, "round_in_progress")
    problem(arena.operator.post(f"{arena.round}/open"), 409, "invalid_transition")


def test_labels_for_contributors_only(live, new_arena, answer_rows, problem):
    arena = new_arena(live, participants=("anna", "bert", "carl"), contributors_only=True)
    for participant in ("anna", "bert"):
        arena.submit(participant, answer_rows())
        arena.seal(participant)
    arena.operator.post(f"{arena.round}/close")
    assert live.aggregate()
    assert arena.as_("anna").get(f"{arena.round}/pseudo-labels").status_code == 200
    problem(arena.as_("carl").get(f"{arena.round}/pseudo-labels"), 403, "forbidden")


def test_answers_that_nobody_may_train_on(live, new_arena, answer_rows, problem):
    arena = new_arena(live, participants=("anna", "bert"), requires_training_rights=True)
    arena.submit("anna", answer_rows())
    problem(arena.seal("anna"), 422, "training_rights_missing")
    assert arena.seal("anna", training_rights=True).status_code == 200


def test_too_many_requests_of_one_token_hinder_no_other(start_server, problem):
    busy = start_server("busy", requests_per_second=0.01, request_burst=3)
    operator = busy.client()
    assert [operator.get("/v1/identity").status_code for _ in range(3)] == [200] * 3
    response = operator.get("/v1/identity")
    problem(response, 429, "rate_limited")
    assert int(response.headers["retry-after"]) > 1
    problem(busy.client("another").get("/v1/identity"), 401, "unauthenticated")


def test_guesses_of_tokens_are_slowed_down(start_server, problem):
    busy = start_server("guessed", requests_per_second=0.01, request_burst=3)
    guesses = [busy.client(f"guess-{n}").get("/v1/identity").status_code for n in range(5)]
    assert guesses == [401, 401, 401, 429, 429]
    assert busy.client().get("/v1/identity").status_code == 200


def test_an_unexpected_error_tells_its_request_id_and_nothing_else(live, arena, monkeypatch, problem):
    def explode(*_):
        raise ValueError("SELECT secret FROM /private/path")

    monkeypatch.setattr(type(live.server.use_cases.federations), "all", explode)
    response = live.client(**{"x-request-id": "my-request-7"}).get("/v1/federations")
    found = problem(response, 500, "internal")
    assert found["request_id"] == "my-request-7"
    assert "secret" not in response.text
    assert "private" not in response.text


def test_a_request_id_that_could_harm_a_log_is_replaced(live):
    response = live.client(None, **{"x-request-id": "a b\tc"}).get("/healthz")
    assert len(response.headers["x-request-id"]) == 32


def test_bytes_that_are_no_http(live, raw):
    assert b" 400 " in raw.exchange(b"\x00\x01 nonsense\r\n\r\n")


def test_a_topic_that_no_database_holds_is_named(live, problem, prompt_set):
    body = prompt_set()
    body["prompts"][2]["topic"] = "o\x00dd"
    found = problem(live.client().post("/v1/prompt-sets", json=body), 422, "validation_failed")
    assert [error["where"] for error in found["errors"]] == ["prompts.2.topic"]
    assert "NUL" in found["errors"][0]["message"]


def test_an_answer_of_a_megabyte_is_refused_by_its_length(arena, problem, held):
    answer = arena.submit("anna", [{"prompt_id": "p1", "text": "x" * 2**20}])
    found = problem(answer, 422, "validation_failed")
    assert [(error["where"], "100000 characters" in error["message"]) for error in found["errors"]] == [
        ("line 1: text", True)
    ]
    assert held() == []
