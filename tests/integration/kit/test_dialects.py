"""A participant's generator before every exchange in tests/dialects, and a run with all faults mixed in."""

import logging
import random
from contextlib import closing

import pytest

from client_kit._transport import RetryPolicy
from client_kit.errors import ContextTooLong, GenerationError, PromptRefused, UnreadableAnswer
from client_kit.generation.base import Sampling
from client_kit.generation.dialects import MEANINGS, ForRun
from client_kit.generation.openai_compatible import InferenceApi, OpenAICaller
from client_kit.generation.openai_errors import ERRORS
from client_kit.generation.openai_generator import OpenAICompatibleGenerator
from client_kit.wire import Prompt
from tests.support.dialects import exchanges, replaying

ALL = {exchange.name: exchange for exchange in exchanges()}
AGAIN = {ForRun.RETRY, ForRun.SLOW_DOWN}


def prompts_of(count):
    return [Prompt(prompt_id=f"p{number}", prompt=f"question {number}") for number in range(count)]


def generator_of(replay, **options):
    endpoint = InferenceApi(**{"base_url": replay.url, "model": "m", "api_key": "k", "retries": 2, **options})
    caller = OpenAICaller(endpoint)
    caller._policy = RetryPolicy(first_pause_seconds=0.001)
    return closing(OpenAICompatibleGenerator(caller))


def all_of(generator, prompts, sampling=Sampling()):  # noqa: B008  frozen
    """As a participant does it: answers, and the prompts that were left out with their errors."""
    answers, left_out = [], {}
    while left := [p for p in prompts if p.prompt_id not in {a.prompt_id for a in answers} | left_out.keys()]:
        try:
            answers.extend(generator.generate(left, sampling))
        except (ContextTooLong, PromptRefused) as error:
            left_out[error.prompt_id] = error
    return answers, left_out


@pytest.mark.parametrize("name", ALL)
def test_every_exchange_costs_what_the_table_says(name):
    """Among two prompts that are answered, one meets the exchange for ever."""
    exchange = ALL[name]
    meaning = MEANINGS[exchange.expected]
    with replaying({"question 1": [exchange]}) as replay, generator_of(replay, concurrency=1) as generator:
        if meaning.prompt is None:
            with pytest.raises(GenerationError, match="prompt p1") as caught:
                all_of(generator, prompts_of(3))
            assert type(caught.value) is ERRORS[exchange.expected][0]
            assert replay.asked["question 1"] == (3 if meaning.run in AGAIN else 1)
            return
        answers, left_out = all_of(generator, prompts_of(3))
    assert {"p0", "p2"} <= {answer.prompt_id for answer in answers}
    assert len(answers) + len(left_out) == 3
    assert set(replay.asked.values()) == {1}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_with_all_faults_mixed_in_answers_every_prompt_that_can_be_answered(seed, caplog):
    """One reply in ten is a fault that passes, one prompt in ten meets one that costs it; drawn by seed."""
    draw = random.Random(seed)
    passing = [each for each in ALL.values() if MEANINGS[each.expected].run in AGAIN]
    costing = [each for each in ALL.values() if MEANINGS[each.expected].prompt and not each.name.endswith("answered")]
    script, lost = {}, set()
    for prompt in prompts_of(200):
        script[prompt.prompt] = [
            *(draw.choice(passing) for _ in range(2) if draw.random() < 0.1),
            f"to {prompt.prompt}",
        ]
        if draw.random() < 0.1:
            script[prompt.prompt] = [fault := draw.choice(costing)]
            if fault.status != 200 or not fault.expected.value.startswith(("answered", "cut", "empty", "refused")):
                lost.add(prompt.prompt_id)
    caplog.set_level(logging.WARNING)
    with replaying(script) as replay, generator_of(replay, concurrency=8, retries=4) as generator:
        answers, left_out = all_of(generator, prompts_of(200))
    assert left_out.keys() == lost
    assert sorted(answer.prompt_id for answer in answers) == sorted({f"p{n}" for n in range(200)} - lost)
    assert all(replay.asked[f"question {prompt_id[1:]}"] == 1 for prompt_id in lost)
    assert f"{len(lost)} of 200 answers are left out" in caplog.text


@pytest.mark.parametrize("name", ["a-captive-portal--unreadable", "nobody--other-error"])
def test_an_endpoint_that_answers_nobody_ends_the_run(name):
    script = {f"question {number}": [ALL[name]] for number in range(50)}
    with (
        replaying(script) as replay,
        generator_of(replay, concurrency=1) as generator,
        pytest.raises(GenerationError, match=r"base_url|extra_body"),
    ):
        list(generator.generate(prompts_of(50), Sampling()))
    assert replay.asked.total() == 5


def test_an_endpoint_that_becomes_something_else_ends_the_run_and_its_prompts_are_asked_again():
    portal = ALL["a-captive-portal--unreadable"]
    script = {f"question {number}": [portal] for number in range(3, 50)}
    with replaying(script) as replay, generator_of(replay, concurrency=1) as generator:
        answers = generator.generate(prompts_of(50), Sampling())
        assert [next(answers).prompt_id for _ in range(3)] == ["p0", "p1", "p2"]
        with pytest.raises(UnreadableAnswer, match="prompt p3"):
            next(answers)
        assert replay.asked.total() == 23
        replay.script = {}
        assert len(list(generator.generate(prompts_of(50)[3:], Sampling()))) == 47


async def asked(exchange, prompt="why", **options):
    with replaying({prompt: [exchange]}) as replay:
        caller = OpenAICaller(InferenceApi(**{"base_url": replay.url, "model": "m", "retries": 0, **options}))
        try:
            return await caller.ask(prompt, {"seed": 7, "temperature": 0.5}), replay.bodies[0]
        finally:
            await caller.close()


async def test_the_field_that_a_strict_server_refuses_is_shown_with_the_setting_that_leaves_it_out():
    with pytest.raises(GenerationError, match=r"body seed Extra inputs are not permitted.*omit: \[seed\]"):
        await asked(ALL["mistral--refused-parameter"])


async def test_what_is_omitted_is_not_sent():
    _, body = await asked("Paris.", omit=("seed",), extra_body={"top_k": 5})
    assert body.keys() == {"model", "messages", "temperature", "top_k"}


async def test_a_prompt_that_the_server_cuts_is_told_once(caplog):
    long = "word " * 3000
    cut = ALL["ollama--answered"]
    cut = type(cut)(**{**vars(cut), "body": {**cut.body, "usage": {"prompt_tokens": 2048, "completion_tokens": 9}}})
    with replaying({long: [cut]}) as replay:
        caller = OpenAICaller(InferenceApi(base_url=replay.url, model="m"))
        await caller.ask(long, prompt_id="p1")
        await caller.ask(long, prompt_id="p2")
        await caller.close()
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 1
    assert "read 2048 tokens of prompt p1, which has 3000 words" in told[0]
    assert "OLLAMA_CONTEXT_LENGTH" in told[0]


async def test_answers_slower_than_half_the_time_out_do_not_lower_the_window():
    from tests.support.openai_server import MODEL, openai_server

    with openai_server() as server:
        server.delay_seconds = 0.4
        caller = OpenAICaller(InferenceApi(base_url=server.url, model=MODEL, concurrency=8, timeout_seconds=0.7))
        await caller.ask("warm")
        assert caller._throttle.window.size == 8
        await caller.close()


def test_errors_stand_for_every_situation_without_a_text():
    assert set(ERRORS) | {"answered", "cut"} == set(MEANINGS)
