"""OpenAI's Responses API over a panel, with the official `openai` client."""

import openai
import pytest
from pydantic import BaseModel

from tests.support.panels import LYON, PARIS

ASKED = "What is the capital of France?"


@pytest.fixture
def respond(agreed):
    """Ask the panel as an application does."""
    client = agreed.client()
    return lambda given=ASKED, **options: client.responses.create(model="capitals", input=given, **options)


def test_a_text_is_answered_with_what_most_upstreams_mean(agreed, respond):
    answer = respond(instructions="Be brief.", max_output_tokens=9, temperature=0.5, top_p=0.9)
    assert (answer.output_text, answer.status, answer.model) == (PARIS, "completed", "capitals")
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (21, 9, 30)
    assert answer.consensus["share"] == pytest.approx(2 / 3)
    assert [each.split()[0] for each in answer.consensus["warnings"]] == ["store"]
    assert agreed.upstreams[0].bodies == [
        {
            "model": "told",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASKED}],
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 9,
        }
    ]
    assert respond(store=False).consensus["warnings"] == []


def test_an_answer_can_be_appended_to_the_conversation(agreed, respond):
    turns = [{"role": "user", "content": [{"type": "input_text", "text": ASKED}]}]
    turns += respond(turns).output
    respond([*turns, {"role": "user", "content": "Are you sure?"}])
    assert agreed.upstreams[0].bodies[1]["messages"] == [
        {"role": "user", "content": ASKED},
        {"role": "assistant", "content": PARIS},
        {"role": "user", "content": "Are you sure?"},
    ]


EVENTS = [
    "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
    "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done",
    "response.completed",
]  # fmt: skip


def test_a_stream_has_the_events_of_the_api_and_its_helper_puts_them_together(agreed, respond):
    events = list(respond(stream=True))
    assert [each.type for each in events] == EVENTS
    assert [each.sequence_number for each in events] == list(range(len(EVENTS)))
    assert events[0].response.consensus == events[-1].response.consensus
    with agreed.client().responses.stream(model="capitals", input=ASKED) as stream:
        assert stream.get_final_response().output_text == PARIS


def test_a_schema_is_asked_for_and_held_to(agreed, respond):
    class City(BaseModel):
        city: str

    for upstream, text in zip(agreed.upstreams, ('{"city": "Paris"}', '{ "city":"Paris" }', LYON), strict=True):
        upstream.text = text
    answer = agreed.client().responses.parse(model="capitals", input=ASKED, text_format=City)
    assert answer.output_parsed == City(city="Paris")
    assert answer.consensus["choices"][0]["upstreams"][2]["reason"] == "not_json"
    assert agreed.upstreams[0].bodies[0]["response_format"]["json_schema"]["strict"] is True
    respond([{"role": "user", "content": ASKED}, *answer.output, {"role": "user", "content": "Sure?"}])
    assert agreed.upstreams[0].bodies[1]["messages"][1]["content"] == answer.output_text


@pytest.mark.parametrize("stream", [False, True])
def test_an_abstention_is_a_refusal(agreed, respond, stream):
    agreed.upstreams[1].text = "Nobody knows it to this day, whatever they say."
    answer = list(respond(stream=True))[-1].response if stream else respond()
    (part,) = answer.output[0].content
    assert part.type == "refusal"
    assert "tie" in part.refusal
    assert (answer.output_text, answer.status, answer.consensus["abstention"]) == ("", "completed", "tie")


def test_an_answer_that_was_cut_is_incomplete(agreed, respond):
    for upstream in agreed.upstreams:
        upstream.finish_reason = "length"
    answer = respond()
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert list(respond(stream=True))[-1].type == "response.incomplete"


REFUSED = {
    "previous_response_id": ("resp_1", "unsupported_parameter"),
    "conversation": ("conv_1", "unsupported_parameter"),
    "background": (True, "unsupported_parameter"),
    "tools": ([{"type": "web_search"}], "unsupported_parameter"),
    "reasoning": ({"effort": "low"}, "unsupported_parameter"),
    "n": (2, "unknown_parameter"),
    "max_tokens": (9, "unknown_parameter"),
    "text.format.schema": (
        {"format": {"type": "json_schema", "name": "tree", "schema": {"items": {"$ref": "#"}}}}, "invalid_value",
    ),
    "text.format": ({"format": {"type": "json_schema"}}, "invalid_value"),
}  # fmt: skip


@pytest.mark.parametrize("param", REFUSED)
def test_what_cannot_be_honoured_is_refused_by_name(agreed, respond, param):
    value, code = REFUSED[param]
    with pytest.raises(openai.BadRequestError) as error:
        respond(extra_body={param.split(".")[0]: value})
    assert (error.value.code, error.value.param) == (code, param)
    assert agreed.upstreams[0].bodies == []


def test_turns_that_are_no_text_are_refused_with_their_place(agreed, respond):
    with pytest.raises(openai.BadRequestError) as error:
        respond([{"role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}])
    assert error.value.param.startswith("input.0.content")
