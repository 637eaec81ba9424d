"""JSON and calls of tools, asked for with the official `openai` client."""

import openai
import pytest

from tests.support.panels import PARIS

CITY = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "people": {"type": ["integer", "null"]}},
            "required": ["city"],
        },
    },
}
LOOK = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look a city up.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
def saying(agreed):
    """saying(text or message, ...): a client of three upstreams that say so."""

    def say(*said):
        for upstream, each in zip(agreed.upstreams, said, strict=True):
            if isinstance(each, dict):
                upstream.message, upstream.finish_reason = each, "tool_calls"
            else:
                upstream.text = each
        return agreed.client()

    return say


def told_of(answer, name):
    return next(each for each in answer.consensus["choices"][0]["upstreams"] if each["name"] == name)


def test_json_of_one_value_is_one_meaning_and_what_is_contested_is_named(agreed, saying, ask):
    texts = ('{"city": "Paris", "people": 2.0}', '```json\n{"people": 2, "city": "Paris"}\n```', '{"city": "Paris"}')
    answer = ask(saying(*texts), response_format=CITY)
    assert answer.choices[0].message.content in texts[:2]
    assert answer.consensus["share"] == pytest.approx(2 / 3)
    assert answer.consensus["contested_fields"] == [
        {
            "path": "/people",
            "values": [
                {"clusters": [0], "votes": 2, "missing": False, "value": 2},
                {"clusters": [1], "votes": 1, "missing": True, "value": None},
            ],
        }
    ]
    assert [each.bodies[0]["response_format"] for each in agreed.upstreams] == [CITY] * 3


def test_an_equivalence_that_a_request_names_goes_before_that_of_the_panel(saying, ask):
    client = saying('{"a": 1, "b": 2}', '{"b": 2.0, "a": 1e0}', '{"a": 2, "b": 2}')
    for equivalence, clusters in (("json", [2, 1]), ("exact", [1, 1, 1])):
        answer = ask(client, extra_body={"consensus": {"equivalence": equivalence}})
        assert [len(each["upstreams"]) for each in answer.consensus["choices"][0]["clusters"]] == clusters
    with pytest.raises(openai.BadRequestError) as error:
        ask(client, extra_body={"consensus": {"equivalence": "vibes"}})
    assert error.value.param == "consensus.equivalence"


def test_an_upstream_that_gives_no_json_or_another_has_no_vote_and_is_paid_for(saying, ask):
    said = ('{"city": "Paris"}', '{"city": "Paris", "people": "many"}', '{"city": "Paris" }')
    answer = ask(saying(*said), response_format=CITY, extra_body={"consensus": {"answers": True}})
    told = told_of(answer, "u1")
    assert (told["standing"], told["reason"], told["detail"]) == ("failed", "schema_mismatch", "/people: type")
    assert (told["cluster"], told["answer"], told["completion_tokens"]) == (None, said[1], 3)
    assert (answer.consensus["share"], answer.usage.total_tokens) == (1, 30)


def test_a_quorum_that_ignores_the_form_is_missed(saying, ask, body_of):
    client = saying('{"city": "Paris"}', PARIS, "[1]")
    with pytest.raises(openai.InternalServerError) as error:
        ask(client, response_format={"type": "json_object"})
    told = body_of(error)
    assert [each["reason"] for each in told["upstreams"]] == [None, "not_json", "schema_mismatch"]
    assert told["code"] == "quorum_missed"


CALL = {"id": "call_7", "type": "function", "function": {"name": "look", "arguments": '{"city": "Paris"}'}}
SAME_CALL = {"id": "x", "type": "function", "function": {"name": "look", "arguments": '{ "city":"Paris" }'}}
OTHER_CALL = {"id": "y", "type": "function", "function": {"name": "look", "arguments": '{"city": "Lyon"}'}}


@pytest.mark.parametrize("stream", [False, True])
def test_calls_are_compared_by_name_and_arguments_and_returned_word_for_word(agreed, saying, ask, stream):
    calling = [{"content": "Let me look.", "tool_calls": [each]} for each in (CALL, SAME_CALL)]
    client = saying(*calling, PARIS)
    options = {"tools": [LOOK], "tool_choice": "auto", "parallel_tool_calls": False}
    if stream:
        messages = [{"role": "user", "content": "Where is Paris?"}]
        with client.chat.completions.stream(model="capitals", messages=messages, **options) as events:
            answer = events.get_final_completion()
    else:
        answer = ask(client, **options)
    message = answer.choices[0].message
    (call,) = message.tool_calls
    chosen = {"call_7": CALL, "x": SAME_CALL}[call.id]
    assert (call.function.name, call.function.arguments) == ("look", chosen["function"]["arguments"])
    assert (message.content, answer.choices[0].finish_reason) == ("Let me look.", "tool_calls")
    assert {name: agreed.upstreams[0].bodies[-1][name] for name in options} == options


def test_other_arguments_are_another_meaning_and_named(saying, ask):
    calling = [{"content": None, "tool_calls": [each]} for each in (CALL, SAME_CALL, OTHER_CALL)]
    told = ask(saying(*calling), tools=[LOOK]).consensus
    assert told["share"] == pytest.approx(2 / 3)
    assert [(each["path"], each["values"][1]["value"]) for each in told["contested_fields"]] == [
        ("/0/arguments/city", "Lyon")
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_tools_results_go_back_into_the_conversation(agreed, saying, stream):
    client = saying({"content": None, "tool_calls": [CALL]}, {"content": None, "tool_calls": [CALL]}, PARIS)
    turns = [{"role": "user", "content": "Where is Paris?"}]
    if stream:
        with client.chat.completions.stream(model="capitals", messages=turns, tools=[LOOK]) as events:
            turns.append(events.get_final_completion().choices[0].message)
    else:
        turns.append(client.chat.completions.create(model="capitals", messages=turns, tools=[LOOK]).choices[0].message)
    turns.append({"role": "tool", "tool_call_id": "call_7", "content": "48.9 N, 2.4 E"})
    for upstream in agreed.upstreams:
        upstream.reset(PARIS)
    answer = client.chat.completions.create(model="capitals", messages=turns, tools=[LOOK])
    assert answer.choices[0].message.content == PARIS
    _, called, result = agreed.upstreams[0].bodies[0]["messages"]
    assert called == {"role": "assistant", "content": None, "tool_calls": [CALL]}
    assert result == turns[2]


def test_calls_that_nobody_asked_for_are_no_answer(saying, ask):
    answer = ask(saying(PARIS, PARIS, {"content": None, "tool_calls": [CALL]}))
    assert told_of(answer, "u2")["reason"] == "empty"
    assert answer.choices[0].message.tool_calls is None


BAD = {
    "response_format.json_schema.schema": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "tree", "schema": {"items": {"$ref": "#"}}}}
    },
    "response_format": {"response_format": {"type": "json_schema"}},
    "tools.0.function.parameters": {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"$ref": "https://example.org/s"}}}]
    },
    "tool_choice": {"tools": [LOOK], "tool_choice": {"type": "function", "function": {"name": "sell"}}},
    "tools": {"tools": [LOOK, LOOK]},
    "tool_choice ": {"tools": [LOOK], "tool_choice": "sometimes"},
}


@pytest.mark.parametrize("param", BAD)
def test_forms_that_cannot_be_had_are_refused_with_their_place(agreed, ask, param):
    with pytest.raises(openai.BadRequestError) as error:
        ask(agreed.client(), **BAD[param])
    assert (error.value.code, error.value.param) == ("invalid_value", param.strip())
    assert agreed.upstreams[0].bodies == []
