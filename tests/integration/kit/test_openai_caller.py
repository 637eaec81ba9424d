"""The asynchronous caller, whoever stands above it: deadlines, cancellation, and endpoints that cannot be trusted."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from client_kit.errors import (
    ConfigurationError,
    EmptyAnswer,
    EndpointUnreachable,
    GenerationError,
    PromptRefused,
    UnreadableAnswer,
)
from client_kit.generation.openai_compatible import InferenceApi, OpenAICaller
from client_kit.wire import FinishReason
from tests.support.openai_server import MODEL, openai_server


@pytest.fixture
def server():
    with openai_server() as server:
        yield server


@asynccontextmanager
async def calling(server, **options):
    caller = OpenAICaller(InferenceApi(model=MODEL, base_url=server.url, **options))
    try:
        yield caller
    finally:
        await caller.close()


async def ask(server, prompt="why", *, deadline_seconds=None, allow_empty=False, **options):
    async with calling(server, **options) as caller:
        return await caller.ask(
            prompt, {"seed": 1}, prompt_id="p", deadline_seconds=deadline_seconds, allow_empty=allow_empty
        )


async def test_a_reply_says_what_was_said_how_it_ended_and_what_it_took(server):
    reply = await ask(server, [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "why not"}])
    assert (reply.text, reply.finish_reason) == ("not why (seed 1)", FinishReason.STOP)
    assert (reply.prompt_tokens, reply.completion_tokens, reply.requests) == (2, 3, 1)
    assert [message["role"] for message in server.bodies[0]["messages"]] == ["system", "user"]


async def test_messages_are_not_for_the_completions_api(server):
    with pytest.raises(ConfigurationError, match="take api: chat"):
        await ask(server, [{"role": "user", "content": "why"}], api="completions")


@pytest.mark.parametrize("shape", ["other", "broken", "page", "number"])
async def test_what_is_no_completion_is_told(server, shape):
    server.shape = shape
    with pytest.raises(UnreadableAnswer, match=r"prompt p: .* is no completion"):
        await ask(server)
    assert server.asked["why"] == 1


async def test_an_answer_without_end_is_not_read_to_its_end(server):
    server.shape = "endless"
    with pytest.raises(UnreadableAnswer, match="without end"):
        await ask(server, most_bytes=1_000_000)


async def test_an_answer_that_drips_meets_the_time_out(server):
    server.shape = "drip"
    with pytest.raises(EndpointUnreachable, match="did not answer in time"):
        await ask(server, timeout_seconds=0.3, retries=0)


async def test_a_deadline_is_for_all_attempts_together(server):
    server.always, server.retry_after = 503, "30"
    with pytest.raises(EndpointUnreachable, match="in time"):
        await ask(server, deadline_seconds=0.3, retries=100)


async def test_a_pause_that_is_too_long_is_no_pause(server):
    server.always, server.retry_after = 429, "86400"
    with pytest.raises(EndpointUnreachable, match=r"left alone for 24\.0 hours.*check the quota"):
        await ask(server)
    assert server.asked["why"] == 1


async def test_without_money_nothing_is_repeated(server):
    server.always, server.code = 429, "insufficient_quota"
    with pytest.raises(EndpointUnreachable, match="no quota left"):
        await ask(server)
    assert server.asked["why"] == 1


async def test_a_filter_refuses_the_prompt_and_not_the_key(server):
    server.always, server.code = 400, "content_filter"
    with pytest.raises(PromptRefused, match="Leave it out"):
        await ask(server)


async def test_nothing_said_is_an_error_unless_it_is_allowed(server):
    server.shape = "empty"
    with pytest.raises(EmptyAnswer, match="ask again, or leave the prompt out"):
        await ask(server)
    server.finish_reason = "length"
    with pytest.raises(EmptyAnswer, match="raise max_tokens"):
        await ask(server)
    reply = await ask(server, allow_empty=True)
    assert (reply.text, reply.completion_tokens) == ("", 3)


async def test_a_refusal_in_its_own_field_is_what_was_said(server):
    server.shape = "refusal"
    assert (await ask(server)).text == "I'm sorry, but I can't help with that."


async def test_cancelled_it_breaks_off_and_leaves_its_place_to_others(server):
    async with calling(server, concurrency=1) as caller:
        server.shape = "drip"
        slow = asyncio.create_task(caller.ask("slow"))
        await asyncio.to_thread(server.begun.wait)
        server.shape = "openai"
        waiting = asyncio.create_task(caller.ask("waiting"))
        slow.cancel()
        assert (await waiting).text.startswith("waiting")
        assert slow.cancelled()


async def test_two_endpoints_that_fail_do_not_meet(server):
    """Each caller has a window of its own."""
    with openai_server() as other:
        other.always = 500
        async with calling(server) as good, calling(other, retries=0) as bad:
            replies = await asyncio.gather(good.ask("why"), bad.ask("why"), return_exceptions=True)
    assert replies[0].text.startswith("why")
    assert isinstance(replies[1], GenerationError)
