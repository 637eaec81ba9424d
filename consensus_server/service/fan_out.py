"""Many upstreams asked at once, under a deadline: who is late or fails is left out, as long as the quorum stands."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from client_kit.refusals import is_refusal
from consensus_server.core.inference import Question, RequestState, UpstreamFailed, UpstreamRequest
from consensus_server.ports import Upstream

_log = structlog.get_logger("consensus_server.upstreams")

_Key = tuple[str, int]
"""(upstream, sample)."""

_cancelled: set[asyncio.Task[UpstreamRequest]] = set()
"""Cancelled requests until they have ended: the event loop itself holds tasks weakly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitLimits:
    """How long a panel waits, and for whom."""

    quorum: int
    """Replies that each sample needs."""
    deadline_seconds: float
    """Longest wait."""
    patience_seconds: float | None = None
    """Longest wait for the others once the quorum is there; None: until the deadline."""
    drop_refusals: bool = False
    """Whether a refusal has a state of its own and is nothing that ends the wait."""


async def fan_out(
    upstreams: Sequence[Upstream], samples: Sequence[Question], limits: WaitLimits
) -> tuple[UpstreamRequest, ...]:
    """Ask every upstream every sample, all at the same time; what became of each, by upstream and sample.

    Ends when all are through, at the deadline, when patience runs out, or as soon as a sample cannot reach the quorum
    any more. Requests that are still under way are cancelled; also when the caller is.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    tasks: dict[_Key, asyncio.Task[UpstreamRequest]] = {
        (upstream.name, sample): asyncio.create_task(
            ask_one(upstream, sample, question, drop_refusals=limits.drop_refusals)
        )
        for sample, question in enumerate(samples)
        for upstream in upstreams
    }
    try:
        await _wait(tasks, len(upstreams), len(samples), limits, started)
    finally:
        _cancel(tasks)
    waited = loop.time() - started
    return tuple(tasks[key].result() if tasks[key].done() else _late(key, waited) for key in sorted(tasks))


async def ask_one(
    upstream: Upstream, sample: int, question: Question, *, drop_refusals: bool = False
) -> UpstreamRequest:
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        reply = await upstream.ask(question)
    except UpstreamFailed as failure:
        seconds = loop.time() - started
        _log.warning("no reply", upstream=upstream.name, failure=failure.failure.value, cause=str(failure))
        return UpstreamRequest(
            upstream=upstream.name, sample=sample, state=RequestState.FAILED, seconds=seconds, failure=failure
        )
    seconds = loop.time() - started
    state = RequestState.REFUSED if drop_refusals and is_refusal(reply.text) else RequestState.ANSWERED
    return UpstreamRequest(upstream=upstream.name, sample=sample, state=state, seconds=seconds, reply=reply)


async def _wait(
    tasks: dict[_Key, asyncio.Task[UpstreamRequest]], upstreams: int, samples: int, limits: WaitLimits, started: float
) -> None:
    loop = asyncio.get_running_loop()
    until = started + limits.deadline_seconds
    pending = set(tasks.values())
    while pending:
        done, pending = await asyncio.wait(
            pending, timeout=max(0.0, until - loop.time()), return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            return
        ended = [task.result() for task in tasks.values() if task.done()]
        failed = Counter(each.sample for each in ended if each.state is RequestState.FAILED)
        if any(upstreams - count < limits.quorum for count in failed.values()):
            return
        answered = Counter(each.sample for each in ended if each.state is RequestState.ANSWERED)
        if limits.patience_seconds is not None and all(answered[k] >= limits.quorum for k in range(samples)):
            until = min(until, loop.time() + limits.patience_seconds)


def _cancel(tasks: dict[_Key, asyncio.Task[UpstreamRequest]]) -> None:
    """Without waiting for the ends of connections: the answer does not wait for those that were too slow for it."""
    for task in tasks.values():
        if not task.done():
            _cancelled.add(task)
            task.add_done_callback(_cancelled.discard)
            task.cancel()


def _late(key: _Key, waited: float) -> UpstreamRequest:
    upstream, sample = key
    return UpstreamRequest(upstream=upstream, sample=sample, state=RequestState.LATE, seconds=waited)
