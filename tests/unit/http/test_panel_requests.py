"""What clients of OpenAI's API may send to a panel beside a question."""

import pytest
from pydantic import ValidationError

from consensus_server.http_api.openai_compat.requests import MAX_CHOICES, MAX_TOKENS, ChatRequest, CompletionRequest

PART = {"type": "text", "text": "Are you sure?", "cache_control": {"type": "ephemeral"}}
HINTS = {"user": "a person", "top_k": 40, "keep_alive": "5m", "metadata": None}


@pytest.mark.parametrize(
    ("kind", "question"),
    [
        (ChatRequest, {"messages": [{"role": "user", "content": [PART]}]}),
        (CompletionRequest, {"prompt": "Are you sure?"}),
    ],
)
def test_hints_that_do_no_harm_are_told_and_go_nowhere(kind, question):
    asked = kind.model_validate({"model": "p", **question, **HINTS})
    assert [each.split()[0] for each in asked.warnings] == ["keep_alive", "top_k", "user"]
    assert asked.question() == kind.model_validate({"model": "p", **question}).question()
    assert "ephemeral" not in repr(asked.question())


def test_nothing_is_told_where_there_is_nothing_to_tell():
    assert ChatRequest.model_validate({"model": "p", "messages": [{"role": "user", "content": "?"}]}).warnings == []


@pytest.mark.parametrize(
    ("field", "newer"), [("functions", "send tools"), ("function_call", "send tools and tool_choice")]
)
def test_what_is_deprecated_is_refused_with_the_name_of_today(field, newer):
    with pytest.raises(ValidationError, match=f"{field} is not supported: {newer}"):
        ChatRequest.model_validate({"model": "p", "messages": [{"role": "user", "content": "?"}], field: {"name": "f"}})


@pytest.mark.parametrize("field", ["tools_", "_hints", "warnings", "top_kk"])
def test_what_is_misspelt_is_refused(field):
    with pytest.raises(ValidationError, match="extra_forbidden"):
        CompletionRequest.model_validate({"model": "p", "prompt": "?", field: ["x"]})


@pytest.mark.parametrize(
    ("field", "most"),
    [("max_tokens", MAX_TOKENS), ("max_completion_tokens", MAX_TOKENS), ("seed", 2**63 - MAX_CHOICES * 32 - 1)],
)
def test_what_no_upstream_or_budget_could_reckon_with_is_refused(field, most):
    said = {"model": "p", "messages": [{"role": "user", "content": "?"}]}
    assert ChatRequest.model_validate({**said, field: most})
    with pytest.raises(ValidationError, match="less than"):
        ChatRequest.model_validate({**said, field: most + 1})
