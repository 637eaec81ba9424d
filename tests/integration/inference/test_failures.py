"""Upstreams that fail, hang, babble or die, and requests that cannot be answered: what an application gets to see."""

import threading
import time

import httpx
import openai
import pytest

from client_kit.wire.limits import MAX_REQUEST_BYTES
from tests.support.embedding_server import DIMENSION, MODEL, embedding_server
from tests.support.panels import CALLER_TOKEN, LYON, PARIS
from tests.support.upstreams import upstream_process


def told_of(answer, name):
    return next(each for each in answer.consensus["choices"][0]["upstreams"] if each["name"] == name)


BROKEN = {
    "503": "server_error",
    "401": "refused_key",
    "404": "unknown_model",
    "429": "rate_limited",
    "400": "context_too_long",
    "empty": "empty",
    "reasoning": "empty",
    "garbage": "unreachable",
    "not_json": "no_completion",
    "other": "no_completion",
    "flood": "no_completion",
}


@pytest.mark.parametrize(("behaviour", "reason"), BROKEN.items())
def test_an_upstream_that_fails_is_left_out_and_named(agreed, ask, behaviour, reason):
    three = agreed.upstreams
    three[2].behaviour = behaviour
    answer = ask(agreed.client())
    assert answer.choices[0].message.content == PARIS
    told = told_of(answer, "u2")
    assert (told["standing"], told["reason"], told["cluster"]) == ("failed", reason, None)
    counted = f'consensus_upstream_failures_total{{panel="capitals",reason="{reason}",upstream="u2"}}'
    assert counted in agreed.metrics()


@pytest.mark.parametrize("behaviour", ["hang", "drip"])
def test_an_upstream_without_end_is_late_and_let_go(upstreams, consensus_server, ask, behaviour):
    three = upstreams(PARIS, PARIS, LYON)
    three[2].behaviour = behaviour
    answer = ask(consensus_server(three, deadline_seconds=8).client())
    assert answer.choices[0].message.content == PARIS
    told = told_of(answer, "u2")
    assert told["standing"] == "late"
    assert told["latency_seconds"] >= 8
    assert three[2].left.wait(20), "its connection is still open"


def test_patience_ends_the_wait_for_those_beyond_the_quorum(upstreams, consensus_server, ask):
    three = upstreams(PARIS, PARIS, LYON)
    three[2].behaviour = "hang"
    answer = ask(consensus_server(three, deadline_seconds=600, patience_seconds=0).client())
    assert answer.choices[0].message.content == PARIS
    assert told_of(answer, "u2")["standing"] == "late"


def test_an_upstream_killed_in_the_middle_of_the_fan_out_is_left_out(upstreams, consensus_server, ask):
    with upstream_process(LYON, "hang") as dying:
        both = upstreams(PARIS, PARIS)
        server = consensus_server([*both, dying], deadline_seconds=600)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(ask(server.client())))
        asking.start()
        dying.wait_until_asked()
        dying.kill()
        asking.join(60)
    assert answers[0].choices[0].message.content == PARIS
    assert told_of(answers[0], "u2")["reason"] == "unreachable"


def _missed(server):
    """Quorums missed so far, as the server's metrics have it."""
    name = 'consensus_panel_seconds_count{outcome="quorum_missed",panel="capitals"} '
    return sum(float(line.removeprefix(name)) for line in server.metrics().splitlines() if line.startswith(name))


def test_a_missed_quorum_is_an_error_that_names_every_cause_and_is_not_repeated(agreed, ask, body_of):
    three = agreed.upstreams
    three[1].behaviour, three[2].behaviour = "503", "401"
    three[2].delay_seconds = 0.3  # two failures end the wait, and the first has to have answered by then
    server, before = agreed, _missed(agreed)
    with pytest.raises(openai.InternalServerError) as error:
        ask(server.client(max_retries=2))
    body = body_of(error)
    assert (error.value.status_code, body["code"], body["type"]) == (502, "quorum_missed", "upstream_error")
    assert "u1: server_error; u2: refused_key" in body["message"]
    assert [each["standing"] for each in body["upstreams"]] == ["answered", "failed", "failed"]
    assert len(three[0].bodies) == 1, "the client asked again, which somebody pays for"
    assert _missed(server) == before + 1


def test_a_quorum_out_of_reach_ends_the_wait(upstreams, consensus_server, ask):
    three = upstreams(PARIS, PARIS, LYON)
    three[0].behaviour, three[1].behaviour, three[2].behaviour = "hang", "503", "503"
    with pytest.raises(openai.InternalServerError):
        ask(consensus_server(three, deadline_seconds=600).client())
    assert three[0].left.wait(20)


def test_a_deadline_without_quorum_is_a_gateway_time_out(upstreams, consensus_server, ask, body_of):
    three = upstreams(PARIS, PARIS, LYON, behaviour="hang")
    with pytest.raises(openai.InternalServerError) as error:
        ask(consensus_server(three, deadline_seconds=1).client())
    assert (error.value.status_code, body_of(error)["code"]) == (504, "deadline_missed")


def test_a_question_too_long_for_all_is_the_question_s_fault(upstreams, consensus_server, ask, body_of):
    with pytest.raises(openai.BadRequestError) as error:
        ask(consensus_server(upstreams(PARIS, PARIS, behaviour="400")).client())
    assert body_of(error)["code"] == "context_length_exceeded"


def test_a_client_that_goes_away_takes_the_upstreams_requests_with_it(upstreams, consensus_server, ask):
    three = upstreams(PARIS, PARIS, LYON, behaviour="hang")
    server = consensus_server(three, deadline_seconds=600)
    with pytest.raises(openai.APITimeoutError):
        ask(server.client(), timeout=httpx.Timeout(60, read=2))
    assert all(each.left.wait(30) for each in three)


def test_unknown_tokens_are_refused_before_anything_is_asked(agreed, ask, body_of):
    three = agreed.upstreams
    with pytest.raises(openai.AuthenticationError) as error:
        ask(agreed.client("nobody-s-token"))
    assert body_of(error)["code"] == "invalid_api_key"
    assert three[0].bodies == []


@pytest.mark.parametrize("panel", ["nobody", "reserved"])
def test_panels_that_are_not_there_or_not_the_caller_s_look_alike(agreed, body_of, panel):
    client = agreed.client()
    messages = [{"role": "user", "content": "?"}]
    with pytest.raises(openai.NotFoundError) as error:
        client.chat.completions.create(model=panel, messages=messages)
    body = body_of(error)
    assert (body["code"], body["param"]) == ("model_not_found", "model")
    assert body["message"] == f"There is no panel {panel!r} for this token. GET /v1/models lists those that there are."
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(panel)


def test_too_many_requests_are_a_rate_limit_that_says_when_to_come_again(upstreams, consensus_server, ask, body_of):
    server = consensus_server(upstreams(PARIS, PARIS), settings={"request_burst": 1, "requests_per_second": 0.001})
    client = server.client()
    ask(client)
    with pytest.raises(openai.RateLimitError) as error:
        ask(client)
    assert body_of(error)["code"] == "rate_limit_exceeded"
    assert int(error.value.response.headers["retry-after"]) > 1


REFUSED = {
    "functions": ([{"name": "f", "parameters": {}}], "unsupported_parameter", "functions"),
    "tools": ([{"type": "web_search"}], "invalid_value", "tools.0.type"),
    "logprobs": (True, "unsupported_parameter", "logprobs"),
    "response_format": ({"type": "xml"}, "invalid_value", "response_format.type"),
    "reasoning_effort": ("low", "unsupported_parameter", "reasoning_effort"),
    "store": (True, "unsupported_parameter", "store"),
    "temprature": (0.5, "unknown_parameter", "temprature"),
    "temperature": (3, "invalid_value", "temperature"),
    "n": (9, "invalid_value", "n"),
    "stop": (list("abcde"), "invalid_value", "stop"),
    "stream_options": ({"include_usage": True}, "invalid_value", None),
    "messages": ([], "invalid_value", "messages"),
}


@pytest.mark.parametrize("parameter", REFUSED)
def test_what_cannot_be_honoured_is_refused_by_name(agreed, body_of, parameter):
    three = agreed.upstreams
    value, code, named = REFUSED[parameter]
    body = {"messages": [{"role": "user", "content": "?"}]} | {parameter: value}
    client = agreed.client()
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model="capitals", messages=body.pop("messages"), extra_body=body)
    told = body_of(error)
    assert (told["code"], told["param"], told["type"]) == (code, named, "invalid_request_error")
    assert three[0].bodies == []


MESSAGES = {
    "a picture": ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}, "invalid_value"),
    "a tool's answer to nobody": ({"role": "tool", "content": "42"}, "invalid_value"),
    "half a tool call": ({"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}, "invalid_value"),
    "a function call": (
        {"role": "assistant", "function_call": {"name": "f", "arguments": ""}},
        "unsupported_parameter",
    ),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_messages_that_are_no_text_are_refused_with_their_place(agreed, body_of, kind):
    message, code = MESSAGES[kind]
    client = agreed.client()
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model="capitals", messages=[{"role": "user", "content": "?"}, message])
    told = body_of(error)
    assert told["code"] == code
    assert told["param"].startswith("messages.1")


def test_settings_that_ask_for_nothing_are_accepted(agreed, ask):
    client = agreed.client()
    neutral = {"logprobs": False, "tools": [], "response_format": {"type": "text"}, "logit_bias": None, "metadata": {}}
    assert ask(client, extra_body=neutral).choices[0].message.content == PARIS


BODIES = {
    "no JSON": (b"{", 400, "invalid_json"),
    "nothing": (b"", 400, "invalid_json"),
    "no object": (b"[1]", 400, "invalid_value"),
    "no UTF-8": (b'{"model": "\xff"}', 400, "invalid_json"),
    "too much": (b"x" * (MAX_REQUEST_BYTES + 1), 413, "body_too_large"),
}


@pytest.mark.parametrize("kind", BODIES)
def test_bodies_that_cannot_be_read_are_refused_in_the_same_envelope(agreed, kind):
    content, status, code = BODIES[kind]
    server = agreed
    headers = {"authorization": f"Bearer {CALLER_TOKEN}"}
    response = httpx.post(f"{server.url}/chat/completions", content=content, headers=headers, timeout=60)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert response.json()["error"]["request_id"] == response.headers["x-request-id"]


def test_an_error_that_nobody_expected_tells_nothing_but_its_request(upstreams, consensus_server, ask, body_of):
    server = consensus_server(upstreams(PARIS, PARIS))
    server.server.encoder._encoder = object()
    with pytest.raises(openai.InternalServerError) as error:
        ask(server.client())
    told = body_of(error)
    assert (error.value.status_code, told["code"]) == (500, "internal_error")
    assert "object" not in told["message"]
    assert told["request_id"] == error.value.response.headers["x-request-id"]


def test_an_encoder_whose_model_was_exchanged_is_no_unexpected_error(upstreams, consensus_server, ask, body_of):
    with embedding_server() as embeddings:
        options = {
            "encoder": f"openai:{MODEL}", "encoder_url": embeddings.url, "encoder_dimension": DIMENSION,
        }  # fmt: skip
        server = consensus_server(upstreams(PARIS, PARIS), settings=options)
        assert ask(server.client()).choices[0].message.content == PARIS
        embeddings.exchanged = True
        with pytest.raises(openai.InternalServerError) as error:
            ask(server.client())
        told = body_of(error)
    assert (error.value.status_code, told["code"]) == (503, "encoder_unavailable")
    assert "Tell the operator" in told["message"]
    assert embeddings.url not in told["message"]
    assert error.value.response.headers["x-should-retry"] == "false"


def test_before_the_encoder_is_loaded_nobody_is_asked(upstreams, consensus_server, ask, body_of):
    three = upstreams(PARIS, PARIS)
    server = consensus_server(three)
    server.server.encoder._encoder = None
    with pytest.raises(openai.InternalServerError) as error:
        ask(server.client())
    assert (error.value.status_code, body_of(error)["code"]) == (503, "not_ready")
    assert three[0].bodies == []


def test_keys_reach_their_upstream_and_nothing_else(upstreams, consensus_server, ask, monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET_OF_THE_TESTS", "sk-very-secret")
    three = upstreams(PARIS, PARIS)
    server = consensus_server(three, upstream={"api_key_env": "SECRET_OF_THE_TESTS"})
    answer = ask(server.client())
    assert {key for each in three for key in each.keys} == {"Bearer sk-very-secret"}
    assert "sk-very-secret" not in answer.model_dump_json() + server.metrics()
    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"sk-very-secret" not in held
    assert PARIS.encode() not in held, "an answer was stored"


def test_requests_to_one_upstream_stay_within_its_limit(upstreams, consensus_server, ask):
    both = upstreams(PARIS, PARIS, behaviour="wait")
    server = consensus_server(both, upstream={"concurrency": 2})
    asking = [threading.Thread(target=ask, args=(server.client(),)) for _ in range(4)]
    for each in asking:
        each.start()
    until = time.monotonic() + 60
    while min(each.busy for each in both) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    for each in both:
        each.go.set()
    for each in asking:
        each.join(60)
    assert [each.busiest for each in both] == [2, 2]
    assert [len(each.bodies) for each in both] == [4, 4]
