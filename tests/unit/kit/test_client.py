"""What the clients send, believe and refuse."""

import inspect
import json
import random
from types import SimpleNamespace

import httpx
import pytest

from client_kit.client import AsyncConsensusClient, ConsensusClient, RetryPolicy, calls, submitting
from client_kit.client.events import EventFeed
from client_kit.client.operations import Operations
from client_kit.errors import (
    ConfigurationError,
    DigestMismatch,
    RoundFailed,
    UnexpectedAnswer,
    UnknownRound,
    Unreachable,
    WaitTimeout,
)
from client_kit.wire import (
    Answer,
    Prompt,
    Role,
    RoundState,
    content_digest,
    prompt_set_digest,
    routes,
    submission_digest,
)

from .conftest import NO_PAUSE, NOW, label, ndjson, problem, round_row

HERE = "/v1/federations/f"


def public(kind):
    return {name: item for name, item in vars(kind).items() if not name.startswith("_") and callable(item)}


def test_both_clients_have_the_same_methods_with_the_same_arguments():
    blocking, awaited = public(ConsensusClient), public(AsyncConsensusClient)
    assert blocking.keys() == awaited.keys()
    for name in blocking:
        one, other = inspect.signature(blocking[name]), inspect.signature(awaited[name])
        assert one.parameters == other.parameters, name
        assert inspect.getdoc(blocking[name]).replace("ConsensusClient", "") == inspect.getdoc(awaited[name]).replace(
            "AsyncConsensusClient", ""
        ), name


def test_every_route_has_a_call():
    names = [name for name, value in vars(routes).items() if name.isupper() and str(value).startswith("/")]
    assert len(names) > 15
    source = inspect.getsource(calls)
    missing = {name for name in names if f"routes.{name}" not in source}
    assert missing == {
        "CHAT_COMPLETIONS",
        "COMPLETIONS",
        "RESPONSES",
        "MODELS",
        "MODEL",
    }  # OpenAI's own clients call these


def test_a_value_in_a_path_is_one_segment():
    filled = calls.path(routes.EXPLANATION, federation="f", number=1, prompt_id="a/../b c")
    assert filled == f"{HERE}/rounds/1/prompts/a%2F..%2Fb%20c"


@pytest.mark.parametrize("url", ["server:8000", "ftp://server", "http://", "http://server/?a=1"])
def test_an_address_that_cannot_be_one_is_refused(url):
    with pytest.raises(ConfigurationError):
        ConsensusClient(url)


@pytest.mark.parametrize("token", ["", "two words", "line\n", "schlüssel"])
def test_a_token_that_no_header_carries_is_refused(token):
    with pytest.raises(ConfigurationError, match="token"):
        ConsensusClient("http://server", token)


def test_the_token_travels_as_a_bearer(client, server):
    client.identity()
    assert server.requests[0].headers["Authorization"] == "Bearer token"


def test_the_federation_is_the_token_s_and_asked_for_once(client, server):
    server.answers["GET", f"{HERE}/rounds"] = {"items": [round_row(1), round_row(2)]}
    assert client.current_round().number == 2
    client.rounds()
    assert [request.url.path for request in server.requests].count("/v1/identity") == 1


def test_a_token_for_every_federation_needs_a_name(client, server):
    server.answers["GET", "/v1/identity"] = {"federation": None, "participant": None, "role": "operator"}
    server.answers["GET", "/v1/federations/g/rounds"] = {"items": []}
    with pytest.raises(ConfigurationError, match="in_federation"):
        client.rounds()
    assert client.in_federation("g").rounds() == []


def test_no_round_yet_is_an_unknown_round(client, server):
    server.answers["GET", f"{HERE}/rounds"] = {"items": []}
    with pytest.raises(UnknownRound, match="no round yet"):
        client.current_round()


# Prompts


def test_prompts_are_believed_only_with_the_federation_s_digest(client, server):
    prompts = [Prompt(prompt_id="a", prompt="one?"), Prompt(prompt_id="b", prompt="two?", topic="t")]
    rows = [prompt.model_dump(mode="json", exclude_none=True) for prompt in prompts]
    digest = prompt_set_digest(prompts)
    server.answers["GET", f"/v1/prompt-sets/{digest}/prompts"] = ndjson(rows)
    assert client.prompts(digest) == prompts
    server.answers["GET", f"/v1/prompt-sets/{digest}/prompts"] = ndjson(rows[:1])
    with pytest.raises(DigestMismatch, match="Do not answer"):
        client.prompts(digest)


# Submissions


def test_submitting_sends_all_and_reports_what_to_seal(client, server):
    done = client.submit(1, {"b": "two", "a": "one"})
    assert (done.stored, done.unchanged, done.count) == (2, 0, 2)
    expected = submission_digest([("a", 0, content_digest("one")), ("b", 0, content_digest("two"))])
    assert done.digest == done.seal.digest == expected
    assert server.sent("PUT")[0].headers["Content-Encoding"] == "gzip"


def test_submitting_again_sends_only_what_is_missing(client, server):
    client.submit(1, {"a": "one", "b": "two"})
    done = client.submit(1, {"a": "one", "b": "two", "c": "three"})
    assert (done.stored, done.unchanged, done.count) == (1, 2, 3)
    client.submit(1, {"a": "one"})
    assert len(server.sent("PUT")) == 2


def test_replacing_is_asked_for(client, server):
    client.submit(1, {"a": "one"})
    client.submit(1, {"a": "other"}, replace=True)
    assert [dict(request.url.params) for request in server.sent("PUT")] == [{}, {"replace": "true"}]


def test_a_large_submission_goes_in_several_requests(client, server, monkeypatch):
    answers = [Answer(prompt_id=f"p{number}", text="x" * 100) for number in range(50)]
    monkeypatch.setattr(submitting, "BATCH_BYTES", 1000)
    done = client.submit(1, iter(answers))
    assert len(server.sent("PUT")) == 8
    assert done.stored == done.count == len(server.held) == 50


def before_the_server(server, monkeypatch, refuse):
    """A proxy on the way to the fake server: what `refuse` answers to the body of a PUT, else the server."""
    serve = server.submissions

    def submissions(request):
        refusal = refuse(request) if request.method == "PUT" else None
        return serve(request) if refusal is None else refusal

    monkeypatch.setattr(server, "submissions", submissions)


def page(status):
    return httpx.Response(status, html=f"<html><h1>{status}</h1><hr>nginx</html>", headers={"Server": "nginx"})


ANSWERS = [Answer(prompt_id=f"p{number}", text=random.Random(number).randbytes(40).hex()) for number in range(40)]


def test_a_request_that_a_proxy_finds_too_large_goes_in_halves_and_so_do_all_others(client, server, monkeypatch):
    monkeypatch.setattr(submitting, "BATCH_BYTES", 2000)
    before_the_server(server, monkeypatch, lambda request: page(413) if len(request.content) > 600 else None)
    assert client.submit(1, ANSWERS).stored == len(server.held) == 40
    sizes = [len(request.content) for request in server.sent("PUT")]
    assert [size > 600 for size in sizes].count(True) <= 2, "it learns"


def test_one_answer_that_is_too_large_for_a_proxy_is_told_with_the_setting_to_raise(client, server, monkeypatch):
    before_the_server(server, monkeypatch, lambda _: page(413))
    with pytest.raises(UnexpectedAnswer, match=r"before the server.*client_max_body_size.*bytes"):
        client.submit(1, ANSWERS[:3])


PACKED = {
    "refused": lambda request: page(415) if "Content-Encoding" in request.headers else None,
    "unpacked": lambda request: problem("broken_encoding", 400) if "Content-Encoding" in request.headers else None,
}


@pytest.mark.parametrize("packed", PACKED)
def test_what_a_proxy_unpacks_or_refuses_is_sent_as_it_is(client, server, monkeypatch, packed):
    monkeypatch.setattr(submitting, "BATCH_BYTES", 1000)
    before_the_server(server, monkeypatch, PACKED[packed])
    assert client.submit(1, ANSWERS).stored == len(server.held) == 40
    assert ["Content-Encoding" in request.headers for request in server.sent("PUT")].count(True) == 1


def test_an_upload_is_tried_and_nothing_kept(client, server, monkeypatch):
    before_the_server(server, monkeypatch, lambda _: problem("unknown_round", 404))
    client.check_upload()
    (request,) = server.sent("PUT")
    assert len(request.content) > 1024 * 1024, "more than nginx takes by default"
    before_the_server(server, monkeypatch, lambda _: page(413))
    with pytest.raises(UnexpectedAnswer, match="client_max_body_size"):
        client.check_upload()


CLOSED = httpx.RemoteProtocolError("Server disconnected without sending a response.")


@pytest.mark.parametrize("broken", ["PUT", "POST"])
def test_a_connection_closed_at_the_moment_of_sending_costs_nothing(server, broken):
    sealed_by(server, 1)
    serve, left = server.__call__, [CLOSED, httpx.ReadError("Connection reset by peer")]

    def broken_twice(request):
        if request.method == broken and left:
            serve(request)  # it arrived, and its answer is lost
            raise left.pop()
        return serve(request)

    with ConsensusClient("http://server", "t", retry=NO_PAUSE, transport=httpx.MockTransport(broken_twice)) as client:
        client.submit_and_seal(1, {"a": "one"})
    assert server.held.keys() == {("a", 0)}


def test_an_interrupted_model_that_samples_is_asked_for_the_rest_only(client, server, monkeypatch):
    monkeypatch.setattr(submitting, "BATCH_SECONDS", 0.0)
    sealed_by(server, 1)
    prompts = [Prompt(prompt_id=each, prompt=each) for each in "abcd"]
    digest = prompt_set_digest(prompts)
    server.answers["GET", HERE] = {
        "federation": "f", "prompt_set": digest, "encoder": "1" * 64, "created_at": NOW, "quorum": 2, "policy": {}, "answers": {},
    }  # fmt: skip
    server.answers["GET", f"/v1/prompt-sets/{digest}/prompts"] = ndjson(
        [each.model_dump(mode="json", exclude_none=True) for each in prompts]
    )
    asked = []

    def answers(interrupted_at=None):
        for prompt in client.missing(1):
            if prompt.prompt_id == interrupted_at:
                raise KeyboardInterrupt
            asked.append(prompt.prompt_id)
            yield Answer(prompt_id=prompt.prompt_id, text=f"answer {len(asked)}, never twice the same")

    with pytest.raises(KeyboardInterrupt):
        client.submit(1, answers(interrupted_at="c"))
    client.submit(1, answers())
    client.seal(1)
    assert asked == ["a", "b", "c", "d"]
    seal = json.loads(server.sent("POST")[0].content)
    held = submission_digest((*key, digest) for key, digest in server.held.items())
    assert (seal["count"], seal["digest"]) == (4, held)


def test_a_stand_in_that_says_the_same_to_everything_is_told(client, caplog):
    client.submit(1, {f"p{number}": "whatever your model answers" for number in range(10)})
    assert "All 10 prompts have the same answer" in caplog.text
    caplog.clear()
    client.submit(1, {f"q{number}": "yes" if number else "no" for number in range(10)})
    client.submit(1, {"r1": "yes", "r2": "yes"})
    assert caplog.text == ""


def test_nothing_is_sent_for_nothing(client, server):
    assert client.submit(1, {}).count == 0
    assert server.sent("PUT") == []


def test_two_texts_under_one_key_are_refused_and_the_same_twice_is_not(client):
    twice = [Answer(prompt_id="a", text="x"), Answer(prompt_id="a", text="x")]
    assert client.submit(1, twice).count == 1
    with pytest.raises(ConfigurationError, match="sample number"):
        client.submit(1, [Answer(prompt_id="a", text="x"), Answer(prompt_id="a", text="y")])


def test_a_text_that_no_server_takes_is_refused_by_name(client):
    with pytest.raises(ConfigurationError, match="prompt a cannot be sent"):
        client.submit(1, {"a": "nul \x00"})


def test_the_seal_is_what_the_participant_counts(client, server):
    receipt = {"federation": "f", "number": 1, "participant": "a", "count": 2, "digest": "0" * 64, "sealed_at": NOW}
    server.answers["POST", f"{HERE}/rounds/1/submissions/seal"] = receipt
    answers = {"a": "one", "b": "two"}
    client.submit_and_seal(1, answers)
    client.seal(1, answers)
    first, second = (json.loads(request.content) for request in server.sent("POST"))
    assert first == second
    assert first["count"] == 2


def test_a_seal_states_what_the_model_was_taught(client, server):
    sealed_by(server, 3)
    client.submit_and_seal(3, {"a": "one"}, taught_through=2)
    client.seal(3, {"a": "one"}, taught_through=2)
    assert [json.loads(request.content)["taught_through"] for request in server.sent("POST")] == [2, 2]


@pytest.mark.parametrize("counted_here", [True, False])
def test_answers_are_carried_by_a_seal_alone(client, server, counted_here):
    sealed_by(server, 2)
    answers = {"a": "one", "b": "two"}
    done = client.submit(1, answers)
    sent = len(server.requests)
    client.carry(2, 1, answers if counted_here else None, training_rights=True)
    assert len(server.requests) - sent == (1 if counted_here else 2)
    seal = json.loads(server.sent("POST")[0].content)
    assert (seal["count"], seal["digest"], seal["carried_from"]) == (2, done.digest, 1)
    assert seal["training_rights"] is True


def sealed_by(server, number):
    receipt = {
        "federation": "f", "number": number, "participant": "a", "count": 2, "digest": "0" * 64, "sealed_at": NOW,
    }  # fmt: skip
    server.answers["POST", f"{HERE}/rounds/{number}/submissions/seal"] = receipt


# Waiting


def polled(server, *answers):
    server.answers["GET", f"{HERE}/rounds/1"] = list(answers)


def test_waiting_ends_when_the_state_is_reached_or_passed(client, server):
    polled(server, round_row(state="open"), round_row(state="closed"), round_row(state="published"))
    assert client.wait_for(1, RoundState.AGGREGATING).state is RoundState.PUBLISHED
    poll = server.requests[-1].url.params
    assert poll["wait_for"] == "aggregating"
    assert float(poll["timeout_seconds"]) == 25.0


def test_who_watches_a_wait_is_told_at_once_and_with_each_poll(clock):
    operations, told = Operations("f", NO_PAUSE, clock=lambda: clock.now), []
    steps = operations.wait_for(1, RoundState.PUBLISHED, 100, told.append)
    rows = [round_row(state="open"), round_row(state="aggregating")]
    asked = [next(steps), *(steps.send(response(row)) for row in rows)]
    assert [call.params["timeout_seconds"] for call in asked] == [0.0, 25.0, 25.0]
    assert [each.state for each in told] == ["open", "aggregating"]


def test_a_failed_round_ends_the_wait_with_its_reason(client, server):
    polled(server, round_row(state="failed", failure={"code": "quorum_missed", "detail": "1 of 2 sealed"}))
    with pytest.raises(RoundFailed, match="1 of 2 sealed"):
        client.wait_for(1, RoundState.PUBLISHED)
    assert client.wait_for(1, RoundState.FAILED).state is RoundState.FAILED


def play(steps, outcomes, clock):
    """Perform steps on a clock of one's own: every request takes ten seconds."""
    outcome, left = None, list(outcomes)
    while True:
        step = steps.send(outcome)
        if hasattr(step, "seconds"):
            clock.now += step.seconds
            outcome = None
            continue
        clock.now += 10.0
        outcome = left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture
def clock():
    return SimpleNamespace(now=0.0)


def waiting(clock, timeout_seconds, outcomes):
    operations = Operations("f", NO_PAUSE, clock=lambda: clock.now)
    play(operations.wait_for(1, RoundState.PUBLISHED, timeout_seconds), outcomes, clock)


def response(row):
    return httpx.Response(200, json=row, request=httpx.Request("GET", "http://server"))


def refused():
    return httpx.ConnectError("refused", request=httpx.Request("GET", "http://server"))


def test_the_wait_has_a_deadline_and_says_how_far_the_round_is(clock):
    with pytest.raises(WaitTimeout, match=r"is open, not published, after 45 seconds \(1 of 3"):
        waiting(clock, 45.0, [response(round_row())])
    assert 45.0 <= clock.now <= 65.0


def test_an_outage_is_waited_out_once_the_server_has_answered(clock):
    outcomes = [response(round_row()), *[refused()] * 7, response(round_row(state="published"))]
    with pytest.raises(StopIteration) as done:
        waiting(clock, 1000.0, outcomes)
    assert done.value.value.state is RoundState.PUBLISHED


def test_a_server_that_never_answered_is_not_waited_for(clock):
    with pytest.raises(Unreachable):
        waiting(clock, 1000.0, [refused()])
    assert clock.now < 100.0


def test_a_round_that_does_not_exist_yet_is_waited_for(clock):
    unknown = problem("unknown_round", 404)
    unknown.request = httpx.Request("GET", "http://server")
    with pytest.raises(StopIteration) as done:
        waiting(clock, 1000.0, [unknown, unknown, response(round_row(state="published"))])
    assert done.value.value.number == 1
    with pytest.raises(UnknownRound):
        waiting(SimpleNamespace(now=0.0), 30.0, [unknown])


# Pseudo-labels


def test_labels_are_believed_only_with_the_round_s_digest(client, server):
    labels = [label("a", "one"), label("b", None)]
    server.publish(labels)
    assert client.pseudo_labels(1) == client.wait_for_labels(1) == labels
    server.answers["GET", f"{HERE}/rounds/1"]["labels"] = "0" * 64
    with pytest.raises(DigestMismatch, match="arrived damaged"):
        client.pseudo_labels(1)


def test_fields_of_a_newer_server_do_not_disturb_the_digest(client, server):
    from client_kit.wire import rows_digest

    row = {**label("a", "one").model_dump(mode="json", exclude_none=True), "novelty": 1}
    server.publish([label("a", "one")])
    server.answers["GET", f"{HERE}/rounds/1/pseudo-labels"] = ndjson([row])
    server.answers["GET", f"{HERE}/rounds/1"]["labels"] = rows_digest([row])
    assert client.pseudo_labels(1) == [label("a", "one")]


@pytest.mark.parametrize("content", [b'{"prompt_id": "a"', b"<html>"])
def test_a_cut_off_answer_is_no_answer(client, server, content):
    body = httpx.Response(200, content=content, headers={"Content-Type": "application/x-ndjson"})
    server.answers["GET", f"{HERE}/rounds/1/pseudo-labels"] = body
    with pytest.raises(UnexpectedAnswer, match="cut off"):
        client.pseudo_labels(1)


# Operators


def test_an_operator_s_requests(client, server):
    participant = {"participant": "b", "role": "observer", "active": False, "created_at": NOW}
    server.answers["POST", f"{HERE}/participants"] = {"participant": participant, "token": "t"}
    server.answers["PATCH", f"{HERE}/participants/b"] = participant
    server.answers["POST", f"{HERE}/rounds"] = round_row(state="draft")
    assert client.add_participant("b", Role.OBSERVER).token == "t"
    assert client.set_active("b", active=False).active is False
    assert client.create_round(draft=True, round_seconds=60).state is RoundState.DRAFT
    bodies = [json.loads(request.content) for request in server.requests if request.content]
    assert bodies == [
        {"participant": "b", "role": "observer"},
        {"active": False},
        {"open": False, "round_seconds": 60.0},
    ]


def test_a_round_is_not_created_twice_after_a_lost_answer(client, server):
    server.answers["POST", f"{HERE}/rounds"] = httpx.ReadError("reset")
    with pytest.raises(Unreachable):
        client.create_round()
    assert len(server.sent("POST")) == 1


def test_a_server_that_is_not_ready_is_an_answer(client, server):
    body = {"ready": False, "database": "ok", "encoder": None, "version": "1"}
    server.answers["GET", "/readyz"] = httpx.Response(503, json=body)
    assert client.readiness().ready is False
    assert len(server.requests) == 1


# Events


def event(number, kind, state):
    row = {"event_id": number, "kind": kind, "at": NOW, "round": round_row(state=state)}
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(row)}\n\n"


def stream(*parts):
    return httpx.Response(200, content="".join(parts), headers={"Content-Type": "text/event-stream"})


def test_events_go_on_after_a_broken_connection_and_end_with_the_round(client, server):
    opened = event(1, "round.opened", "open")
    half = event(2, "round.closed", "closed")[:-2]
    rest = [event(2, "round.closed", "closed"), ": ping\n\n", event(3, "round.published", "published")]
    server.answers["GET", f"{HERE}/rounds/1/events"] = [stream(opened, half), stream(*rest)]
    assert [item.event_id for item in client.events(1)] == [1, 2, 3]
    resumed = [request.headers.get("Last-Event-ID") for request in server.requests if "events" in request.url.path]
    assert resumed == [None, "1"]


def test_an_event_may_hold_what_python_takes_for_an_end_of_line():
    row = {"event_id": 4, "kind": "round.failed", "at": NOW, "round": round_row(state="failed", reason="a\u2028b\x85c")}
    whole = f"data: {json.dumps(row, ensure_ascii=False)}\r\n\r\n".encode()
    for size in (1, 7, len(whole)):
        feed = EventFeed()
        events = [event for at in range(0, len(whole), size) for event in feed.take(whole[at : at + size])]
        assert [event.event_id for event in events] == [4]


def test_data_over_several_lines_is_one_event():
    feed = EventFeed()
    row = json.dumps({"event_id": 4, "kind": "round.failed", "at": NOW, "round": round_row(state="failed")}, indent=1)
    assert [feed.feed(f"data: {line}") for line in row.splitlines()] == [None] * len(row.splitlines())
    assert feed.feed("").event_id == 4
    assert feed.ended


def test_a_stream_of_something_else_is_refused():
    feed = EventFeed()
    feed.feed("data: hello")
    with pytest.raises(UnexpectedAnswer, match="no round event"):
        feed.feed("")


# Asynchronous


async def test_the_asynchronous_client_goes_the_same_ways(server):
    labels = [label("a", "one")]
    server.publish(labels)
    server.answers["GET", f"{HERE}/rounds/1/events"] = stream(event(1, "round.published", "published"))
    server.answers["GET", "/healthz"] = [problem("not_ready", 503), httpx.Response(200, json={"version": "1"})]
    async with AsyncConsensusClient(
        "http://server", "token", retry=RetryPolicy(first_pause_seconds=0.0), transport=httpx.MockTransport(server)
    ) as client:
        assert (await client.health()).version == "1"
        assert (await client.submit(1, {"a": "one"})).stored == 1
        assert await client.wait_for_labels(1) == labels
        assert [item.event_id async for item in client.events(1)] == [1]
        assert await client.in_federation("f").pseudo_labels(1) == labels
