"""What every upstream promises (consensus_server.ports.Upstream), over both APIs of an endpoint."""

import asyncio
from dataclasses import replace

import pytest

from client_kit.generation.openai_compatible import InferenceApi
from consensus_server.backends.upstreams import OpenAIUpstream
from consensus_server.core.inference import Failure, Message, Question, Reply, UpstreamFailed
from tests.support.upstreams import upstream_server

KEY = "sk-the-key"
ASKED = Question(messages=(Message("user", "What is the capital of France?"),), temperature=0.5, seed=4, stop=("END",))


@pytest.fixture(params=["chat", "completions"])
def api(request):
    return request.param


@pytest.fixture
def server():
    with upstream_server("Paris.") as server:
        yield server


async def asked(server, api, question=ASKED):
    upstream = OpenAIUpstream("u", InferenceApi(base_url=server.url, model="told", api=api, api_key=KEY, retries=0))
    try:
        return await upstream.ask(question)
    finally:
        await upstream.close()


async def test_it_replies_with_text_end_and_tokens(server, api):
    assert await asked(server, api) == Reply("Paris.", "stop", 7, 3)
    (body,) = server.bodies
    assert {name: body[name] for name in ("temperature", "seed", "stop")} == {
        "temperature": 0.5, "seed": 4, "stop": ["END"],
    }  # fmt: skip
    assert "max_tokens" not in body
    assert server.keys == [f"Bearer {KEY}"]


async def test_it_is_told_how_many_panels_the_question_has_passed(server, api):
    await asked(server, api)
    await asked(server, api, replace(ASKED, depth=3))
    assert server.depths == ["1", "4"]


async def test_reasoning_and_what_no_database_holds_are_no_part_of_a_reply(server, api):
    server.text = "<think>Lyon?</think>\n Par\x00is. "
    assert (await asked(server, api)).text == "Paris."


FAILURES = {
    "503": Failure.SERVER_ERROR,
    "429": Failure.RATE_LIMITED,
    "401": Failure.REFUSED_KEY,
    "404": Failure.UNKNOWN_MODEL,
    "400": Failure.CONTEXT_TOO_LONG,
    "empty": Failure.EMPTY,
    "reasoning": Failure.EMPTY,
    "other": Failure.NO_COMPLETION,
    "flood": Failure.NO_COMPLETION,
}


@pytest.mark.parametrize("behaviour", FAILURES)
async def test_every_failure_has_its_kind_and_tells_no_secret(server, api, behaviour):
    server.behaviour = behaviour
    with pytest.raises(UpstreamFailed) as failed:
        await asked(server, api)
    assert failed.value.failure is FAILURES[behaviour]
    assert KEY not in str(failed.value)
    assert (failed.value.reply is not None) is (behaviour in {"empty", "reasoning"})  # paid for, by what was counted
    assert failed.value.cost_unknown is (behaviour in {"other", "flood"})


async def test_what_no_connection_was_made_for_costs_nothing_and_what_timed_out_may():
    nowhere = InferenceApi(base_url="http://127.0.0.1:1/v1", model="told", retries=0)
    with upstream_server("Paris.") as server:
        server.behaviour = "hang"
        hangs = replace(nowhere, base_url=server.url, timeout_seconds=0.3)
        for endpoint, unknown in ((nowhere, False), (hangs, True)):
            upstream = OpenAIUpstream("u", endpoint)
            with pytest.raises(UpstreamFailed) as failed:
                await upstream.ask(ASKED)
            await upstream.close()
            assert (failed.value.reply, failed.value.cost_unknown) == (None, unknown)


async def test_cancelled_it_leaves_its_connection(server, api):
    server.behaviour = "hang"
    asking = asyncio.create_task(asked(server, api))
    await asyncio.to_thread(server.asked.wait, 60)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await asyncio.to_thread(server.left.wait, 60)


async def test_a_base_model_holds_no_conversation(server):
    talk = Question(messages=(Message("system", "Be brief."), Message("user", "?")))
    with pytest.raises(UpstreamFailed) as failed:
        await asked(server, "completions", talk)
    assert failed.value.failure is Failure.REFUSED_REQUEST
    assert server.bodies == []
