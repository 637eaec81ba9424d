"""Many waiters look once an interval, and one that leaves takes nothing from the others."""

import asyncio
import threading

import pytest

from consensus_server.http_api.polling import SharedPoll


class Reader:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, key: str) -> int:
        self.calls.append(key)
        assert self.gate.wait(5)
        if key == "missing":
            raise LookupError(key)
        return len(self.calls)


async def test_waiters_share_a_look():
    reader = Reader()
    poll = SharedPoll(reader, interval_seconds=60)
    assert set(await asyncio.gather(*(poll.get("a") for _ in range(50)))) == {1}
    assert await poll.get("b") == 2
    assert reader.calls == ["a", "b"]


async def test_after_the_interval_it_looks_again():
    reader = Reader()
    poll = SharedPoll(reader, interval_seconds=0.01)
    assert await poll.get("a") == 1
    await asyncio.sleep(0.02)
    assert await poll.get("a") == 2


async def test_errors_reach_every_waiter():
    poll = SharedPoll(Reader(), interval_seconds=60)
    outcomes = await asyncio.gather(poll.get("missing"), poll.get("missing"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LookupError, LookupError]


async def test_a_waiter_that_leaves_does_not_end_the_look():
    reader = Reader()
    reader.gate.clear()
    poll = SharedPoll(reader, interval_seconds=60)
    leaving, staying = asyncio.create_task(poll.get("a")), asyncio.create_task(poll.get("a"))
    await asyncio.sleep(0.01)
    leaving.cancel()
    reader.gate.set()
    assert await staying == 1
    with pytest.raises(asyncio.CancelledError):
        await leaving
