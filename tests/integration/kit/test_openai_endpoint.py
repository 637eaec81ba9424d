"""The caller of OpenAI-compatible endpoints against a server that misbehaves."""

import socket
from contextlib import closing

import pytest

from client_kit.errors import (
    ConfigurationError,
    ContextTooLong,
    EndpointRefusedKey,
    EndpointUnreachable,
    GenerationError,
    SpendingLimit,
    UnknownModel,
)
from client_kit.generation.answer_cache import AnswerCache
from client_kit.generation.base import Sampling
from client_kit.generation.cleaning import Dropped, clean
from client_kit.generation.openai_compatible import InferenceApi, OpenAICaller
from client_kit.generation.openai_generator import OpenAICompatibleGenerator
from client_kit.generation.spending import Budget, Tokens, at_most
from client_kit.settings import SpendingSettings
from client_kit.wire import AnswerPolicy, FinishReason, Prompt, Refusals
from tests.support.openai_server import MODEL, openai_server

PROMPTS = [Prompt(prompt_id=f"p{number}", prompt=f"question {number}") for number in range(6)]


def generator_of(cache=None, budget=None, **endpoint):
    return closing(OpenAICompatibleGenerator(OpenAICaller(InferenceApi(**endpoint)), cache=cache, budget=budget))


@pytest.fixture
def server():
    with openai_server() as server:
        yield server


@pytest.fixture
def ask(server):
    def ask(prompts=PROMPTS, sampling=Sampling(), *, model=MODEL, url=None, retries=2, **options):  # noqa: B008  frozen
        with generator_of(model=model, base_url=url or server.url, retries=retries, **options) as generator:
            return list(generator.generate(prompts, sampling))

    return ask


def test_the_request_carries_what_was_asked(ask, server):
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=17, stop=("\n\n",), seed=3)
    (answer,) = ask(PROMPTS[:1], sampling, extra_body={"top_k": 5})
    (body,) = server.bodies
    assert {"temperature": 0.5, "top_p": 0.9, "max_tokens": 17, "stop": ["\n\n"], "top_k": 5}.items() <= body.items()
    assert (answer.prompt_tokens, answer.completion_tokens) == (2, 3)
    assert answer.text.startswith("0 question (seed ")


def test_what_nobody_set_is_not_sent(ask, server):
    ask(PROMPTS[:1])
    assert server.bodies[0].keys() == {"model", "messages", "temperature", "seed", "max_tokens"}


def test_newer_models_of_openai_name_the_limit_otherwise(ask, server):
    ask(PROMPTS[:1], token_limit_field="max_completion_tokens")
    assert server.bodies[0]["max_completion_tokens"] == 256
    assert "max_tokens" not in server.bodies[0]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_failures_are_repeated(ask, server, status):
    server.failures = [status, status]
    assert len(ask(PROMPTS[:1])) == 1
    assert server.asked["question 0"] == 3


@pytest.mark.parametrize(("status", "remedy"), [(429, "Lower concurrency"), (500, "Look into its log")])
def test_lasting_failures_name_the_remedy(ask, server, status, remedy):
    server.always = status
    with pytest.raises(EndpointUnreachable, match=remedy):
        ask(PROMPTS[:1])


def test_a_wrong_key_is_named_and_not_repeated_in_the_message(ask, server):
    server.key = "sk-right"
    with pytest.raises(EndpointRefusedKey, match=r"prompt p0.*Check the key") as caught:
        ask(PROMPTS[:1], api_key="sk-wrong")
    assert "sk-" not in str(caught.value)
    assert len(ask(PROMPTS[:1], api_key="sk-right")) == 1


def test_a_wrong_model_is_named(ask):
    with pytest.raises(UnknownModel, match=r"no model 'absent'.*/models"):
        ask(PROMPTS[:1], model="absent")


def test_an_endpoint_that_is_down_is_named(ask):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(EndpointUnreachable, match="cannot be reached"):
        ask(PROMPTS[:1], url=f"http://127.0.0.1:{port}/v1", retries=0)


def test_a_slow_endpoint_is_given_up_on(ask, server):
    server.delay_seconds = 0.5
    with pytest.raises(EndpointUnreachable, match="did not answer in time"):
        ask(PROMPTS[:1], timeout_seconds=0.05, retries=0)


def test_an_answer_of_another_shape_is_no_answer(ask, server):
    server.shape = "other"
    with pytest.raises(GenerationError, match="is no completion"):
        ask(PROMPTS[:1])


def test_a_prompt_that_does_not_fit_is_named_after_the_others_were_answered(ask, server):
    server.broken = {"question 2"}
    answered = set()
    with generator_of(model=MODEL, base_url=server.url, concurrency=2) as generator:
        answers = generator.generate(PROMPTS, Sampling())
        with pytest.raises(ContextTooLong, match="prompt p2"):
            answered.update(answer.prompt_id for answer in answers)
    assert {"p0", "p1"} <= answered
    assert "p2" not in answered


def test_concurrency_is_used_and_bounded(ask, server):
    server.delay_seconds = 0.05
    assert len(ask(concurrency=3)) == 6
    assert server.busiest == 3
    with pytest.raises(ConfigurationError):
        ask(concurrency=0)


@pytest.mark.parametrize(
    ("said", "known"),
    [("stop", FinishReason.STOP), ("length", FinishReason.LENGTH), ("content_filter", FinishReason.CONTENT_FILTER),
     ("tool_calls", FinishReason.LENGTH)],
)  # fmt: skip
def test_how_an_answer_ended(ask, server, said, known):
    server.finish_reason = said
    assert ask(PROMPTS[:1])[0].finish_reason is known


def test_a_refusal_comes_through_and_the_policy_decides(ask, server):
    server.answers = {"question 0": "I'm sorry, but I can't help with that."}
    (answer,) = ask(PROMPTS[:1])
    assert clean(answer, AnswerPolicy(refusals=Refusals.KEEP)).text == answer.text
    assert clean(answer, AnswerPolicy()) is Dropped.REFUSAL


def test_what_the_cache_holds_is_not_asked_again(ask, server, tmp_path):
    sampling = Sampling(temperature=1.0, samples=2, seed=5)
    with closing(AnswerCache(tmp_path / "answers.sqlite")) as cache:
        first = ask(PROMPTS[:2], sampling, cache=cache)
        again = ask(PROMPTS[:3], sampling, cache=cache)
    assert len(first) == 4
    assert set(first) <= set(again)
    assert dict(server.asked) == {"question 0": 2, "question 1": 2, "question 2": 2}


def test_a_limit_that_the_answers_could_exceed_is_told_before_anything_is_asked(ask, server):
    with pytest.raises(SpendingLimit, match="6 answers take at most"):
        ask(sampling=Sampling(max_tokens=100), budget=Budget(SpendingSettings(limit_tokens=600)))
    assert not server.bodies


def test_the_meter_counts_what_came_and_what_broke_off(ask, server):
    budget = Budget(SpendingSettings(limit_tokens=10_000))
    ask(PROMPTS[:2], Sampling(max_tokens=100), budget=budget)
    assert budget.spent == Tokens(4, 6)
    server.failures = [500]
    ask(PROMPTS[:1], Sampling(max_tokens=100), budget=budget)
    assert budget.spent == Tokens(4, 6) + Tokens(2, 3) + at_most(PROMPTS[0], Sampling(max_tokens=100))


def test_a_model_that_says_nothing_costs_one_answer_and_not_the_others(ask, server):
    server.answers = {"question 0": " "}
    answers = {answer.prompt_id: answer for answer in ask(PROMPTS[:2])}
    assert clean(answers["p0"], AnswerPolicy()) is Dropped.EMPTY
    assert answers["p1"].text.startswith("1 question")


def test_fewer_requests_at_once_after_a_429(server):
    server.failures = [429]
    with generator_of(model=MODEL, base_url=server.url, concurrency=4) as generator:
        assert len(list(generator.generate(PROMPTS[:1], Sampling()))) == 1
        assert generator._caller._throttle.window.size == pytest.approx(2.5)
