"""A panel and pull mode before every exchange in tests/dialects."""

import pytest

from client_kit.generation.dialects import MEANINGS, ForPrompt, ForRun, Situation
from client_kit.generation.openai_compatible import InferenceApi
from consensus_server.backends.store import SqlStore
from consensus_server.backends.upstreams import FAILURES, OpenAIUpstream, cleaned, seed_of_answer
from consensus_server.core.inference import Failure, Message, Question, UpstreamFailed
from consensus_server.core.pulling import Endpoint
from consensus_server.service.pulling import _FINAL, _OUTAGES, Pulling
from tests.support.databases import sqlite_engine
from tests.support.dialects import exchanges, mixed, replaying
from tests.support.panels import PARIS
from tests.support.service import OPERATOR, Service

ALL = {exchange.name: exchange for exchange in exchanges()}
ASKED = "What is the capital of France?"


async def reply_of(exchange):
    with replaying({ASKED: [exchange]}) as replay:
        upstream = OpenAIUpstream("u", InferenceApi(base_url=replay.url, model="m", retries=0))
        try:
            return await upstream.ask(Question(messages=(Message("user", ASKED),)))
        finally:
            await upstream.close()


@pytest.mark.parametrize("name", ALL)
async def test_an_upstream_gives_a_text_or_the_failure_of_its_situation(name):
    exchange = ALL[name]
    if MEANINGS[exchange.expected].prompt in {ForPrompt.ANSWERED, ForPrompt.CUT}:
        reply = await reply_of(exchange)
        assert reply.finished is (exchange.expected is Situation.ANSWERED)
        return
    with pytest.raises(UpstreamFailed) as failed:
        await reply_of(exchange)
    assert failed.value.failure is FAILURES[exchange.expected]


async def pulled_by(tmp_path, prompts, script):
    """Pull mode in a round of so many prompts: (what it tells, requests by prompt)."""
    store = SqlStore(sqlite_engine(tmp_path))
    service = Service(store)
    service.found(prompts=prompts, sites=("anna", "llama"))
    service.endpoints.set(OPERATOR, "clinics", "llama", Endpoint(upstream="llama", attempts=2))
    service.open()
    with replaying(script) as replay:
        upstream = OpenAIUpstream("llama", InferenceApi(base_url=replay.url, model="m", retries=0))
        pulling = Pulling(
            store, service.clock, service.submissions, {"llama": upstream}, clean=cleaned, seed=seed_of_answer
        )
        while (claim := pulling.claim()) is not None:
            await pulling.pull(claim)
            service.clock.advance(60)
        await upstream.close()
    (pulled,) = service.endpoints.pulls(OPERATOR, "clinics", 1)
    store.close()
    return pulled, replay.asked


async def test_pull_mode_asks_each_prompt_as_often_as_its_replies_say(tmp_path):
    """A round whose prompts meet one exchange each, of those that say something of the prompt."""
    of_prompts = [each for each in ALL.values() if MEANINGS[each.expected].prompt is not None]
    script = {f"Question {number}?": [exchange] for number, exchange in enumerate(of_prompts)}
    pulled, requests = await pulled_by(tmp_path, len(of_prompts), script)
    again = {Failure.EMPTY, Failure.NO_COMPLETION, Failure.REFUSED_REQUEST}
    asked = [2 if FAILURES.get(exchange.expected) in again else 1 for exchange in of_prompts]
    assert [requests[prompt] for prompt in script] == asked
    assert pulled.state == "sealed"
    assert pulled.answered == sum(exchange.expected is Situation.ANSWERED for exchange in of_prompts)
    assert pulled.answered + pulled.given_up == len(of_prompts)


async def test_200_prompts_with_faults_mixed_in_are_pulled_but_for_those_that_are_counted(tmp_path):
    """Faults that mean `stop` are told, and the prompts are asked again after a pause."""
    prompts = [f"Question {number}?" for number in range(200)]
    script, given = mixed(prompts, 1)
    pulled, requests = await pulled_by(tmp_path, len(prompts), script)
    lost = [fault for fault in given.values() if MEANINGS[fault.expected].prompt]
    assert (pulled.state, pulled.answered, pulled.given_up) == ("sealed", 200 - len(lost), len(lost))
    assert pulled.reason.startswith(f"{len(lost)} answers given up: ")
    assert all(requests[prompt] == 1 + (prompt in given) for prompt in prompts if len(script.get(prompt, "12")) == 2)


def test_panels_and_pull_mode_have_a_word_for_every_situation_and_follow_the_table():
    assert FAILURES.keys() == set(Situation) - {Situation.ANSWERED, Situation.CUT}
    for situation, failure in FAILURES.items():
        meaning = MEANINGS[situation]
        assert (failure in _OUTAGES) is (meaning.prompt is None), situation
        assert (failure in _FINAL) is (
            meaning.prompt in {ForPrompt.REFUSED, ForPrompt.TOO_LONG} and not meaning.doubtful
        )
        assert meaning.run is not ForRun.STOP or failure in _OUTAGES


def test_a_panel_answers_whatever_one_of_its_upstreams_says(upstreams, consensus_server, ask):
    """Two upstreams answer; the third replays one exchange after the other."""
    with replaying({ASKED: list(ALL.values())}) as replay:
        server = consensus_server([*upstreams(PARIS, PARIS), replay], deadline_seconds=60)
        client = server.client()
        for exchange in ALL.values():
            answer = ask(client)
            assert answer.choices[0].message.content, exchange.name
            (told,) = (each for each in answer.consensus["choices"][0]["upstreams"] if each["name"] == "u2")
            answered = MEANINGS[exchange.expected].prompt in {ForPrompt.ANSWERED, ForPrompt.CUT}
            assert (told["standing"] == "answered") is answered, exchange.name


@pytest.mark.parametrize("count", [None, 3.5, -1, "7"])
def test_usage_that_is_no_count_is_unknown_and_no_error(upstreams, consensus_server, ask, count):
    usage = {"prompt_tokens": count, "completion_tokens": count, "total_tokens": count}
    answer = ask(consensus_server(upstreams(PARIS, PARIS, usage=usage)).client())
    assert (answer.choices[0].message.content, answer.usage.total_tokens) == (PARIS, 0)
