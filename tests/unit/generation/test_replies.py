"""What replies of inference APIs mean, over every exchange in tests/dialects."""

import json

import pytest

from client_kit.generation.dialects import MEANINGS, ForPrompt, ForRun, Situation
from client_kit.generation.replies import read
from client_kit.wire import FinishReason
from tests.support.dialects import SITUATIONS, exchanges

ALL = exchanges()
SERVERS = (
    "OpenAI", "Azure OpenAI", "vLLM", "SGLang", "llama.cpp", "Ollama", "LM Studio", "TGI", "Mistral", "Anthropic", "Gemini",
    "DeepSeek", "OpenRouter", "LiteLLM proxy", "Bedrock gateway",
)  # fmt: skip


def read_of(exchange):
    return read(exchange.status, exchange.headers, exchange.content)


@pytest.mark.parametrize("exchange", ALL, ids=lambda exchange: exchange.name)
def test_every_exchange_is_read_as_its_situation(exchange):
    assert read_of(exchange).situation is exchange.expected


def test_the_exchanges_name_where_they_come_from():
    assert {exchange.kind for exchange in ALL} == {"recorded", "reconstructed"}
    assert all(exchange.version and exchange.source and exchange.situation in SITUATIONS for exchange in ALL)
    assert set(SERVERS) <= {exchange.server for exchange in ALL}


def test_the_table_has_every_situation_and_its_words_are_those_of_the_design():
    assert set(MEANINGS) == set(Situation)
    assert {meaning.prompt for meaning in MEANINGS.values()} == {None, *ForPrompt}
    assert {meaning.run for meaning in MEANINGS.values()} == set(ForRun)


def chat(**choice):
    return {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "Paris."}, **choice}]}


def completion(document):
    return read(200, {}, json.dumps(document).encode())


def test_parts_are_joined_without_thinking():
    (exchange,) = (each for each in ALL if each.name == "mistral--answered-in-parts")
    assert read_of(exchange).text == "The capital of France is Paris."


@pytest.mark.parametrize("told", [None, "stop", "STOP", "eos_token", "stop_sequence", "end_turn"])
def test_ordinary_ends_are_finished_and_no_end_is_none(told):
    assert completion(chat(finish_reason=told)).finish_reason is (FinishReason.STOP if told else FinishReason.LENGTH)


@pytest.mark.parametrize("told", ["abort", "error", "max_tokens", "model_length", "tool_calls", "another", 7])
def test_any_other_end_is_that_of_a_text_that_is_not_finished(told):
    reading = completion(chat(finish_reason=told))
    assert (reading.situation, reading.finish_reason) == (Situation.CUT, FinishReason.LENGTH)


@pytest.mark.parametrize("count", [None, -1, 3.5, "7", True, 2**40, [], {}])
def test_usage_that_is_no_count_is_unknown(count):
    reading = completion({**chat(), "usage": {"prompt_tokens": count, "completion_tokens": 3}})
    assert (reading.situation, reading.prompt_tokens, reading.completion_tokens) == (Situation.ANSWERED, None, 3)


@pytest.mark.parametrize("usage", [None, "none", [], 7])
def test_usage_that_is_no_object_is_unknown(usage):
    assert completion({**chat(), "usage": usage}).prompt_tokens is None


@pytest.mark.parametrize(
    "document",
    [{"hello": "world"}, [], 7, "text", None, {"choices": None}, {"choices": {}}, {"choices": [{}], "error": None},
     chat(message=7), chat(message={"content": 7}), chat(message={"content": {"a": 1}})],
)  # fmt: skip
def test_a_body_of_no_known_dialect_is_a_situation_and_no_error(document):
    assert completion(document).situation in {Situation.UNREADABLE, Situation.EMPTY}


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 100_000, b"<html>", b'{"choices": [{"mess'])
@pytest.mark.parametrize("status", [200, 400, 418, 500, 599])
def test_nothing_that_is_sent_raises(status, body):
    assert read(status, {}, body).situation


@pytest.mark.parametrize("code", ["²", "9" * 5_000, "0" * 5_000 + "1", -500, True])
def test_a_code_in_an_error_that_is_no_status_raises_nothing(code):
    assert completion({"error": {"code": code, "message": "x"}}).situation is Situation.UNEXPLAINED


def test_words_of_a_prompt_that_is_repeated_say_nothing():
    body = {
        "detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "input": "a flagged moderation context length"}]
    }
    reading = read(422, {}, json.dumps(body).encode())
    assert reading.situation is Situation.REFUSED_PARAMETER
    assert "seed" in reading.said
    assert "flagged" not in reading.said


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "1.5"}, 1.5), ({"retry-after": "2"}, 2.0), ({"retry-after-ms": "20.5"}, 0.0205),
     ({"retry-after": "86400"}, 86400.0), ({"retry-after": "soon"}, None), ({}, None),
     ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0)],
)  # fmt: skip
def test_a_pause_that_is_asked_for(headers, seconds):
    assert read(429, headers, b"{}").pause_seconds == seconds


def test_google_asks_for_a_pause_in_the_body():
    (exchange,) = (each for each in ALL if each.name == "gemini--rate-limit")
    assert read_of(exchange).pause_seconds == pytest.approx(0.01)


def test_an_answer_of_a_proxy_names_it():
    (exchange,) = (each for each in ALL if each.name == "nginx--server-fails")
    assert "from a proxy, nginx/1.27" in read_of(exchange).said


def called(finish, *calls):
    """A reply that calls tools and says nothing."""
    message = {"role": "assistant", "content": None, "tool_calls": list(calls)}
    document = {"choices": [{"index": 0, "finish_reason": finish, "message": message}]}
    return read(200, {}, json.dumps(document).encode())


def test_calls_of_tools_are_read_and_say_nothing_by_themselves():
    calls = [
        {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"city": "Paris"}'}},
        {"function": {"name": "now", "arguments": {"zone": "é"}}},
        {"function": {"arguments": "{}"}},
        "none",
    ]
    reading = called("tool_calls", *calls)
    assert [(each.id, each.name, each.arguments) for each in reading.tool_calls] == [
        ("a", "look", '{"city": "Paris"}'),
        ("call_1", "now", '{"zone": "é"}'),
    ]
    assert (reading.situation, reading.finish_reason) == (Situation.EMPTY, FinishReason.STOP)
    assert called("length", *calls).finish_reason is FinishReason.LENGTH
    assert called("stop").tool_calls == ()
