"""Replies held against the form that was asked for."""

import pytest

from consensus_server.core.answer_forms import fitting
from consensus_server.core.answer_schemas import AnswerSchema
from consensus_server.core.inference import AnswerForm, Failure, Reply, ToolCall, UpstreamFailed

CITY = AnswerSchema({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
JSON = AnswerForm(json=CITY)
TOOLS = AnswerForm(tools={"look": CITY, "now": AnswerSchema({"type": "object"})})
MUST = AnswerForm(tools=TOOLS.tools, must_call=True)


def calls(*given, text=""):
    made = (ToolCall(f"c{place}", name, arguments) for place, (name, arguments) in enumerate(given))
    return Reply(text, "stop", 7, 3, tuple(made))


UNFIT = {
    "prose": (JSON, Reply("It is Paris.", "stop"), Failure.NOT_JSON, "Expecting value: line 1 column 1 (char 0)"),
    "another type": (JSON, Reply('{"city": 1}', "stop"), Failure.SCHEMA_MISMATCH, "/city: type"),
    "arguments that are none": (TOOLS, calls(("look", "{")), Failure.NOT_JSON, "look: Expecting property name"),
    "arguments that do not fit": (TOOLS, calls(("look", "")), Failure.SCHEMA_MISMATCH, "look: the whole: required"),
    "another tool": (TOOLS, calls(("now", ""), ("sell", "{}")), Failure.UNKNOWN_TOOL, "it calls 'sell'"),
    "words": (MUST, Reply("It is Paris.", "stop"), Failure.NO_TOOL_CALL, "it answers in words"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_a_reply_of_another_form_fails_with_what_it_said(what):
    form, reply, failure, detail = UNFIT[what]
    with pytest.raises(UpstreamFailed) as failed:
        fitting(reply, form)
    assert (failed.value.failure, failed.value.reply) == (failure, reply)
    assert failed.value.detail.startswith(detail)


def test_calls_are_one_whatever_their_order_their_ids_and_how_arguments_are_written():
    one = fitting(calls(("look", '{"city": "Paris", "n": 1}'), ("now", "{}"), text="Let me see."), TOOLS)
    other = fitting(calls(("now", ""), ("look", ' {"n": 1.0, "city": "Paris"}')), MUST)
    assert one.text == other.text != fitting(calls(("look", '{"city": "Lyon"}')), TOOLS).text
    assert one.text != fitting(calls(("now", ""), *[("look", '{"city": "Paris", "n": 1}')] * 2), TOOLS).text
    assert (one.beside, one.tool_calls[0].arguments) == ("Let me see.", '{"city": "Paris", "n": 1}')


def test_texts_that_fit_and_texts_beside_tools_are_left_as_they_are():
    for form, text in ((JSON, '```json\n{"city": "Paris"}\n```'), (TOOLS, "It is Paris.")):
        assert fitting(Reply(text, "stop"), form) == Reply(text, "stop")


def test_what_is_told_of_a_reply_can_be_sent_whatever_it_holds():
    with pytest.raises(UpstreamFailed) as failed:
        fitting(calls(("look", '{"\\ud800": 1}')), AnswerForm(tools={"look": AnswerSchema(CLOSED)}))
    assert (failed.value.detail.encode(), str(failed.value).encode()) != (b"", b"")
    assert UpstreamFailed(Failure.EMPTY, "a\ud800", "b\udfff").detail == "b"


CLOSED = {"type": "object", "additionalProperties": {"type": "string"}}
