"""A participant's generator before every exchange in tests/dialects, and a run with all faults mixed in."""

import json
import logging
import re
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from client_kit._transport import RetryPolicy
from client_kit.cli import app
from client_kit.errors import ContextTooLong, GenerationError, PromptRefused, UnreadableAnswer
from client_kit.federation import joining
from client_kit.generation.base import Generation, Sampling
from client_kit.generation.cleaning import Dropped, clean
from client_kit.generation.dialects import COMPLETIONS, MEANINGS, ForRun
from client_kit.generation.openai_compatible import InferenceApi, OpenAICaller
from client_kit.generation.openai_errors import ERRORS
from client_kit.generation.openai_generator import OpenAICompatibleGenerator
from client_kit.generation.replies import read
from client_kit.generation.throttle import Throttle
from client_kit.wire import AnswerPolicy, Prompt
from tests.support.dialects import exchanges, mixed, replaying
from tests.unit.federation.test_participant import FakeClient

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


class Questions(FakeClient):
    """A federation of 200 prompts, for a command."""

    def __init__(self, *_, **__):
        super().__init__()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def prompts(self):
        return prompts_of(200)


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs a command of `consensus` with the settings of a participant behind an endpoint; nobody sleeps."""
    monkeypatch.setattr(joining, "ConsensusClient", Questions)
    monkeypatch.setattr(RetryPolicy, "pause_seconds", lambda *_: 0.001)
    monkeypatch.setattr(Throttle, "hold", lambda *_: None)
    monkeypatch.setenv("TOKEN", "t")

    def run(name, url, *options):
        generator = {"kind": "openai", "base_url": url, "model": "m"}
        given = {
            "server": "http://127.0.0.1:9",
            "federation": "f",
            "token_env": "TOKEN",
            "work": str(tmp_path / "work"),
        }
        settings = {**given, "rounds": 1, "generator": generator, "trainer": {"kind": "none"}}
        (tmp_path / "p.yaml").write_text(json.dumps(settings))
        return CliRunner().invoke(app, [name, str(tmp_path / "p.yaml"), *options])

    return run


def lost_by(given):
    """The table that belongs to these faults: prompts by what becomes of them, and why."""
    lost = {}
    for prompt, fault in given.items():
        reading, prompt_id = read(fault.status, fault.headers, fault.content), prompt.replace("question ", "p")
        if reading.completed:
            said = clean(Generation(prompt_id, 0, reading.text, reading.finish_reason), AnswerPolicy())
            what, why = ("dropped", said.value) if isinstance(said, Dropped) else (None, None)
        else:
            what, why = ("left_out", fault.expected.value) if MEANINGS[fault.expected].prompt else (None, None)
        if what:
            lost.setdefault(what, {}).setdefault(why, set()).add(prompt_id)
    return lost


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_200_prompts_with_faults_mixed_in_are_answered_but_for_those_in_the_table(seed, command):
    """One reply in ten is a fault. What means `stop` ends the command, and the same command goes on from there."""
    script, given = mixed([prompt.prompt for prompt in prompts_of(200)], seed)
    lost = lost_by(given)
    with replaying(script) as replay:
        while (ended := command("generate", replay.url, "--json")).exit_code and replay.bodies:
            told = json.loads(ended.stderr.splitlines()[-1])["error"]
            assert re.match(r"participant a: prompt p\d+: ", told)
            replay.bodies.clear()  # a run that asks nothing would ask nothing the next time
        again = command("generate", replay.url)
    assert ended.exit_code == 0, ended.stderr
    found = json.loads(ended.stdout)
    as_sets = {what: {why: set(prompts) for why, prompts in whys.items()} for what, whys in found["lost"].items()}
    assert as_sets == lost
    gone = {prompt_id for whys in lost.values() for prompts in whys.values() for prompt_id in prompts}
    rows = [json.loads(line) for line in Path(found["file"]).read_text().splitlines()]
    assert sorted(row["prompt_id"] for row in rows) == sorted({f"p{n}" for n in range(200)} - gone)
    for prompt in script.keys() | {prompt.prompt for prompt in prompts_of(200)}:
        answered = replay.asked[prompt] - (prompt in given and len(script[prompt]) > 1)
        assert answered == 1 or given[prompt].expected not in COMPLETIONS, prompt
    for what, whys in lost.items():
        for why, prompts in whys.items():
            assert re.search(rf"^{len(prompts)} +{what.replace('_', ' ')} +{why}\b", again.stdout, re.MULTILINE)


def test_join_tells_what_was_left_out_as_a_table_and_as_json(command):
    script = {"question 7": [ALL["openai--refused"]], "question 8": [ALL["nobody--other-json"]]}
    with replaying(script) as replay:
        records = [json.loads(line) for line in command("join", replay.url, "--json").stdout.splitlines()]
    (sent,) = (each for each in records if each["step"] == "submitted")
    assert (sent["done"], sent["lost"]) == (198, {"left_out": {"refused": ["p7"], "unreadable": ["p8"]}})


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
