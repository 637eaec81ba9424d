"""Asking many upstreams at once. Time is made by events, never by waiting."""

import asyncio

import pytest
import structlog

from consensus_server.core.inference import Failure, Question, Reply, RequestState, UpstreamFailed
from consensus_server.service import fan_out as asking
from consensus_server.service.fan_out import Steps, ToAsk, WaitLimits

QUESTION = Question(text="?")
FOR_EVER = 3_600.0


class Scripted:
    """An upstream that does what `act` says."""

    def __init__(self, name, act):
        self.name = name
        self.act = act
        self.cancelled = asyncio.Event()
        self.asked = []
        self.busy = asyncio.Event()

    async def ask(self, question):
        self.asked.append(question)
        self.busy.set()
        try:
            return await self.act(question)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def close(self):
        """Nothing to close."""


def says(text):
    async def act(_):
        return Reply(text, "stop")

    return act


async def fails(_):
    raise UpstreamFailed(Failure.UNREACHABLE, "gone")


async def hangs(_):
    await asyncio.Event().wait()


def standings(asked):
    return {(each.upstream, each.choice): each.state.value for each in asked}


async def fan_out(upstreams, questions, limits, steps=None):
    """One choice for each of `questions`."""
    choices = [[(ToAsk(each, question, k),) for each in upstreams] for k, question in enumerate(questions)]
    return await asking.fan_out(choices, limits, steps)


async def test_every_upstream_is_asked_every_sample():
    upstreams = [Scripted("b", says("2")), Scripted("a", says("1"))]
    samples = [Question(text="?", seed=1), Question(text="?", seed=2)]
    asked = await fan_out(upstreams, samples, WaitLimits(quorum=2, deadline_seconds=FOR_EVER))
    assert [(each.upstream, each.choice) for each in asked] == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert [each.reply.text for each in asked] == ["1", "1", "2", "2"]
    assert [question.seed for question in upstreams[0].asked] == [1, 2]


async def test_they_are_asked_at_the_same_time():
    together = asyncio.Barrier(3)

    async def meets(_):
        await together.wait()
        return Reply("met", "stop")

    asked = await fan_out(
        [Scripted(name, meets) for name in "abc"], [QUESTION], WaitLimits(quorum=3, deadline_seconds=FOR_EVER)
    )
    assert {each.state for each in asked} == {RequestState.ANSWERED}


async def test_the_deadline_leaves_the_slow_ones_behind_and_cancels_them():
    slow = Scripted("slow", hangs)
    asked = await fan_out([Scripted("quick", says("1")), slow], [QUESTION], WaitLimits(quorum=1, deadline_seconds=0.05))
    assert standings(asked) == {("quick", 0): "answered", ("slow", 0): "late"}
    await asyncio.wait_for(slow.cancelled.wait(), 20)


async def test_patience_counts_from_the_quorum():
    slow = Scripted("slow", hangs)
    upstreams = [Scripted("a", says("1")), Scripted("b", says("1")), slow]
    limits = WaitLimits(quorum=2, deadline_seconds=FOR_EVER, patience_seconds=0)
    assert standings(await fan_out(upstreams, [QUESTION], limits))["slow", 0] == "late"


async def test_a_refusal_ends_no_wait():
    declines = [Scripted(name, says("I can't help with that.")) for name in "ab"]
    slow = Scripted("slow", hangs)
    limits = WaitLimits(quorum=2, deadline_seconds=FOR_EVER, patience_seconds=0)
    assert standings(await fan_out([*declines, slow], [QUESTION], limits))["slow", 0] == "late"
    gate = asyncio.Event()

    async def waits(_):
        await gate.wait()
        return Reply("Paris.", "stop")

    asking = asyncio.create_task(
        fan_out(
            [*declines, Scripted("slow", waits)],
            [QUESTION],
            WaitLimits(quorum=2, deadline_seconds=FOR_EVER, patience_seconds=0, drop_refusals=True),
        )
    )
    for _ in range(10):
        await asyncio.sleep(0)
    gate.set()
    assert standings(await asking) == {("a", 0): "refused", ("b", 0): "refused", ("slow", 0): "answered"}


async def test_without_patience_the_others_are_awaited():
    gate = asyncio.Event()

    async def waits(_):
        await gate.wait()
        return Reply("late but here", "stop")

    asking = asyncio.create_task(
        fan_out(
            [Scripted("a", says("1")), Scripted("slow", waits)],
            [QUESTION],
            WaitLimits(quorum=1, deadline_seconds=FOR_EVER),
        )
    )
    await asyncio.sleep(0)
    gate.set()
    assert set(standings(await asking).values()) == {"answered"}


async def test_a_quorum_that_is_out_of_reach_ends_it():
    slow = Scripted("slow", hangs)
    upstreams = [Scripted("a", fails), Scripted("b", fails), slow]
    asked = await fan_out(upstreams, [QUESTION], WaitLimits(quorum=2, deadline_seconds=FOR_EVER))
    assert standings(asked) == {("a", 0): "failed", ("b", 0): "failed", ("slow", 0): "late"}
    await asyncio.wait_for(slow.cancelled.wait(), 20)


async def test_a_caller_who_gives_up_cancels_all():
    slow = [Scripted(name, hangs) for name in "ab"]
    asking = asyncio.create_task(fan_out(slow, [QUESTION], WaitLimits(quorum=1, deadline_seconds=FOR_EVER)))
    for each in slow:
        await each.busy.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    for each in slow:
        await asyncio.wait_for(each.cancelled.wait(), 20)


async def test_a_fault_of_ours_is_not_taken_for_an_upstream_s():
    async def broken(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fan_out([Scripted("a", broken)], [QUESTION], WaitLimits(quorum=1, deadline_seconds=FOR_EVER))


async def test_the_log_says_who_gave_no_reply_and_why():
    with structlog.testing.capture_logs() as logged:
        await fan_out([Scripted("a", fails)], [QUESTION], WaitLimits(quorum=1, deadline_seconds=FOR_EVER))
    assert logged == [
        {"event": "no reply", "upstream": "a", "failure": "unreachable", "cause": "gone", "log_level": "warning"}
    ]


def needs(*counts):
    """Further turns that are needed, look by look."""
    left = iter(counts)

    async def further(_, unheard):
        return min(unheard, next(left))

    return further


async def test_further_ones_are_asked_as_they_are_needed_and_no_others():
    upstreams = [Scripted(name, says(name)) for name in "abcde"]
    asked = await fan_out(upstreams, [QUESTION], WaitLimits(quorum=2, deadline_seconds=FOR_EVER), Steps(2, needs(1, 0)))
    assert [each.state.value for each in asked] == ["answered"] * 3 + ["not_asked"] * 2
    assert [bool(each.asked) for each in upstreams] == [True] * 3 + [False] * 2


async def test_the_next_ones_stand_in_for_those_that_fail():
    upstreams = [Scripted("a", fails), Scripted("b", says("1")), Scripted("c", says("1"))]
    limits = WaitLimits(quorum=2, deadline_seconds=FOR_EVER)
    asked = await fan_out(upstreams, [QUESTION], limits, Steps(2, needs(1, 0)))
    assert [each.state.value for each in asked] == ["failed", "answered", "answered"]


async def test_while_one_is_late_the_next_is_asked_and_who_loses_is_cancelled():
    slow = Scripted("a", hangs)
    upstreams = [slow, Scripted("b", says("1")), Scripted("c", says("1")), Scripted("d", says("1"))]
    limits = WaitLimits(quorum=2, deadline_seconds=FOR_EVER)
    steps = Steps(2, needs(0), lambda name: 0.01 if name == "a" else None)
    assert list(standings(await fan_out(upstreams, [QUESTION], limits, steps)).values()) == [
        "late",
        "answered",
        "answered",
        "not_asked",
    ]
    await asyncio.wait_for(slow.cancelled.wait(), 20)


async def test_each_choice_asks_as_many_as_it_needs():
    upstreams = [Scripted(name, says(name)) for name in "abc"]

    async def further(asked, _):
        return 0 if asked[0].choice == 0 else 1

    limits = WaitLimits(quorum=1, deadline_seconds=FOR_EVER)
    told = standings(await fan_out(upstreams, [QUESTION] * 2, limits, Steps(1, further)))
    assert [told[name, 0] for name in "abc"] == ["answered", "not_asked", "not_asked"]
    assert {told[name, 1] for name in "abc"} == {"answered"}
