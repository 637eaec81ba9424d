"""Many upstreams asked at once, or some after others, under a deadline: who is late or fails is left out, as long as the quorum stands."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import structlog

from client_kit.refusals import is_refusal
from consensus_server.core.inference import Question, RequestState, UpstreamFailed, UpstreamRequest
from consensus_server.ports import Upstream

_log = structlog.get_logger("consensus_server.upstreams")

_cancelled: set[asyncio.Task[UpstreamRequest]] = set()
"""Cancelled requests until they have ended: the event loop itself holds tasks weakly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitLimits:
    """How long a panel waits, and for whom."""

    quorum: int
    """Turns that must bring a reply, for each choice."""
    deadline_seconds: float
    """Longest wait."""
    patience_seconds: float | None = None
    """Longest wait for the others once the quorum is there, counted anew where further ones are asked; None: until the deadline."""
    drop_refusals: bool = False
    """Whether a refusal has a state of its own and is nothing that ends the wait."""
    choices_apart: bool = False
    """Whether a choice that cannot reach the quorum ends alone, since a fallback may answer it; else all end with it."""


@dataclass(frozen=True, slots=True)
class ToAsk:
    """One request that is to be made."""

    upstream: Upstream
    question: Question
    choice: int = 0
    sample: int = 0
    called: str = ""
    """See `UpstreamRequest.called`."""


Turn = tuple[ToAsk, ...]
"""What is asked together and has one vote: an upstream with all of its samples, or one sample where there is one upstream."""


@dataclass(frozen=True, slots=True)
class Steps:
    """How a panel goes on that asks a few first."""

    first: int
    """Turns of each choice to begin with."""
    further: Callable[[Sequence[UpstreamRequest], int], Awaitable[int]]
    """(what the choice has brought, turns not yet through) -> how many of these are needed; 0: the answer stands."""
    hedge_seconds: Callable[[str], float | None] = lambda _upstream: None
    """Wait for this upstream after which the next one is asked, too; None: it is waited for."""


async def fan_out(
    choices: Sequence[Sequence[Turn]], limits: WaitLimits, steps: Steps | None = None
) -> tuple[UpstreamRequest, ...]:
    """Ask until all are through; what became of each request, see `Asking`."""
    asking = Asking(choices, limits, steps)
    try:
        await asking.run()
    finally:
        asking.cancel()
    return asking.told()


class Asking:
    """The requests of one question. With `steps` a few turns of each choice first, further ones as they are needed; else all at once."""

    def __init__(self, choices: Sequence[Sequence[Turn]], limits: WaitLimits, steps: Steps | None = None) -> None:
        self._choices = [_Choice(turns, drop_refusals=limits.drop_refusals) for turns in choices]
        self._limits = limits
        self._steps = steps

    async def run(self) -> None:
        """Ask and wait. Whoever calls this calls `cancel` afterwards, whatever it raises.

        Ends when all are through or nothing more is needed, at the deadline, when patience runs out, or as soon as a choice
        cannot reach the quorum any more.
        """
        loop = asyncio.get_running_loop()
        for choice in self._choices:
            choice.ask(len(choice.left) if self._steps is None else self._steps.first)
        until = deadline = loop.time() + self._limits.deadline_seconds
        while pending := [sent for choice in self._choices for sent in choice.pending()]:
            impatient = min([until, *(at for choice in self._choices for at in self._hedges(choice))])
            tasks = [sent.task for sent in pending]
            done, _ = await asyncio.wait(
                tasks, timeout=max(0.0, impatient - loop.time()), return_when=asyncio.FIRST_COMPLETED
            )
            if not done and loop.time() >= until:
                return
            if self._give_up():
                return
            if await self._go_on():
                until = deadline
            if self._limits.patience_seconds is not None and self._quorum_stands():
                until = min(until, loop.time() + self._limits.patience_seconds)

    def cancel(self) -> None:
        """End what is under way, without waiting for the ends of connections: the answer does not wait for those that were too slow."""
        for choice in self._choices:
            choice.cancel()

    def told(self) -> tuple[UpstreamRequest, ...]:
        """What became of each request, by upstream, choice and sample; also of those that nobody made.

        Never raises: one in which a fault of ours was raised, which `run` tells, is late. It may have to be paid for.
        """
        told = [each for choice in self._choices for each in choice.told()]
        return tuple(sorted(told, key=lambda each: (each.voter, each.choice, each.sample)))

    def _give_up(self) -> bool:
        """End the choices that cannot reach the quorum any more; whether all are to end."""
        lost = [choice for choice in self._choices if choice.out_of_reach(self._limits.quorum)]
        for choice in lost if self._limits.choices_apart else []:
            choice.stand()
        return bool(lost) and not self._limits.choices_apart

    def _quorum_stands(self) -> bool:
        quorum = self._limits.quorum
        return all(choice.answered() >= quorum or choice.out_of_reach(quorum) for choice in self._choices)

    def _hedges(self, choice: "_Choice") -> Iterator[float]:
        return iter(()) if self._steps is None or not choice.left else choice.hedges(self._steps)

    async def _go_on(self) -> bool:
        """Ask what is needed; whether anybody was asked."""
        if self._steps is None:
            return False
        asked = [await self._next(choice, self._steps) for choice in self._choices if not choice.stands]
        return any(asked)

    async def _next(self, choice: "_Choice", steps: Steps) -> int:
        now = asyncio.get_running_loop().time()
        wanted = choice.hedge(now, steps)
        ended = choice.ended()
        if len(ended) > choice.looked_at and (choice.answered() >= steps.first or not choice.pending()):
            choice.looked_at = len(ended)
            needed = await steps.further(ended, choice.unheard())
            if needed == 0:
                choice.stand()
                return 0
            wanted = max(wanted, needed - choice.under_way())
        return choice.ask(wanted)


@dataclass(slots=True, eq=False)
class _Sent:
    """A request under way, or through."""

    asked: ToAsk
    task: asyncio.Task[UpstreamRequest]
    started: float
    hedged: bool = False
    """Whether another one was asked because this one takes long."""
    given_up: float | None = None
    """When the panel went on without it."""

    def ended_as(self, state: RequestState) -> bool:
        return self.through and self.task.result().state is state

    @property
    def through(self) -> bool:
        """Whether it ended by itself. A fault of ours is raised by the task's result."""
        return self.task.done() and not self.task.cancelled()


class _Choice:
    """What one choice has asked, and whom it has left."""

    def __init__(self, turns: Sequence[Turn], *, drop_refusals: bool) -> None:
        self.left = deque(turns)
        self.stands = False
        """Whether nothing more is needed."""
        self.looked_at = 0
        """Requests that were through when it was asked last what is needed."""
        self._turns: list[list[_Sent]] = []
        self._drop_refusals = drop_refusals

    def ask(self, turns: int) -> int:
        """Begin so many further turns, as far as there are; how many those are."""
        begun = min(turns, len(self.left))
        for _ in range(begun):
            self._turns.append([self._sent(asked) for asked in self.left.popleft()])
        return begun

    def _sent(self, asked: ToAsk) -> _Sent:
        request = asyncio.create_task(_ask(asked, drop_refusals=self._drop_refusals))
        return _Sent(asked, request, asyncio.get_running_loop().time())

    def pending(self) -> list[_Sent]:
        return [] if self.stands else [sent for turn in self._turns for sent in turn if not sent.task.done()]

    def hedges(self, steps: Steps) -> Iterator[float]:
        """When each request under way will have taken so long that another one is asked meanwhile."""
        return (at for _, at in self._hedged_at(steps))

    def hedge(self, now: float, steps: Steps) -> int:
        """How many requests have just become that late."""
        late = [sent for sent, at in self._hedged_at(steps) if now >= at]
        for sent in late:
            sent.hedged = True
        return len(late)

    def _hedged_at(self, steps: Steps) -> Iterator[tuple[_Sent, float]]:
        for sent in self.pending():
            seconds = steps.hedge_seconds(sent.asked.upstream.name)
            if seconds is not None and not sent.hedged:
                yield sent, sent.started + seconds

    def ended(self) -> list[UpstreamRequest]:
        """Raises what a fault of ours raised in a request."""
        return [sent.task.result() for turn in self._turns for sent in turn if sent.through]

    def answered(self) -> int:
        """Turns with an answer."""
        return sum(any(sent.ended_as(RequestState.ANSWERED) for sent in turn) for turn in self._turns)

    def under_way(self) -> int:
        return sum(any(not sent.task.done() for sent in turn) for turn in self._turns)

    def unheard(self) -> int:
        """Turns that are under way or left."""
        return self.under_way() + len(self.left)

    def out_of_reach(self, quorum: int) -> bool:
        """Whether so many turns have failed that the rest is less than the quorum."""
        failed = sum(all(sent.ended_as(RequestState.FAILED) for sent in turn) for turn in self._turns)
        return len(self._turns) + len(self.left) - failed < quorum

    def stand(self) -> None:
        """Nothing more is needed."""
        self.cancel()
        self.stands = True

    def cancel(self) -> None:
        now = asyncio.get_running_loop().time()
        for sent in self.pending():
            sent.given_up = now
            _cancelled.add(sent.task)
            sent.task.add_done_callback(_cancelled.discard)
            sent.task.cancel()

    def told(self) -> Iterator[UpstreamRequest]:
        for turn in self._turns:
            for sent in turn:
                seconds = (sent.given_up or sent.started) - sent.started
                ended = sent.through and sent.task.exception() is None
                yield sent.task.result() if ended else _without(sent.asked, RequestState.LATE, seconds)
        for left in self.left:
            for asked in left:
                yield _without(asked, RequestState.NOT_ASKED, 0.0)


def _without(asked: ToAsk, state: RequestState, seconds: float) -> UpstreamRequest:
    """A request that brought nothing."""
    return UpstreamRequest(
        upstream=asked.upstream.name,
        choice=asked.choice,
        sample=asked.sample,
        state=state,
        seconds=seconds,
        called=asked.called,
    )


async def _ask(asked: ToAsk, *, drop_refusals: bool) -> UpstreamRequest:
    told = await ask_one(asked.upstream, asked.sample, asked.question, drop_refusals=drop_refusals)
    return replace(told, choice=asked.choice, called=asked.called)


async def ask_one(
    upstream: Upstream, sample: int, question: Question, *, drop_refusals: bool = False
) -> UpstreamRequest:
    """Ask one upstream once; a failure is told, not raised."""
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
