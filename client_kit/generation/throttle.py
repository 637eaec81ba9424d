"""How many requests an endpoint gets at the same time: additive increase, multiplicative decrease.

Only what an endpoint says of itself counts as overload (429, 503), and time-outs. How long its answers take does not: a
large model on few cores is slow, and fewer requests would make it slower.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Window:
    """The number of requests allowed at once, between 1 and `most`. Arithmetic only; seconds of any one clock.

    Begins at `most`, which the user chose; is halved by each sign of overload; grows by one per window of successes.
    Source: Chiu and Jain 1989, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance".
    """

    most: int
    size: float = 0.0
    lowered_at: float = float("-inf")

    def __post_init__(self) -> None:
        self.size = float(self.most)

    def succeeded(self) -> None:
        """One request was answered."""
        self.size = min(float(self.most), self.size + 1.0 / self.size)

    def overloaded(self, began: float, now: float) -> None:
        """A request that began then met overload. One from before the last decrease says nothing of the new size."""
        if began >= self.lowered_at:
            self.size, self.lowered_at = max(1.0, self.size / 2.0), now


class Turn:
    """One request's place in the window."""

    def __init__(self) -> None:
        self.overloaded = False
        """Set by the request: it met overload (429, 503, a time-out)."""
        self.failed = False
        """Set by the request: it failed for a reason that says nothing of the load."""


class Throttle:
    """Lets requests through, as many at once as the window allows, first come, first served. For one event loop."""

    def __init__(self, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.window = Window(most)
        self._clock = clock
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._not_before = float("-inf")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Hold a place while the block runs; an exception counts as a failure that says nothing of the load."""
        await self._enter()
        began, turn = self._clock(), Turn()
        try:
            yield turn
        except BaseException:
            turn.failed = True
            raise
        finally:
            self._busy -= 1
            self._judge(turn, began)
            self._wake()

    def hold(self, seconds: float) -> None:
        """Nobody begins for so long: the endpoint said when to come again."""
        self._not_before = max(self._not_before, self._clock() + seconds)

    async def _enter(self) -> None:
        while True:
            if (pause := self._not_before - self._clock()) > 0:
                await asyncio.sleep(pause)
            elif self._busy < int(self.window.size):
                self._busy += 1
                return
            else:
                await self._queue()

    async def _queue(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._wake()  # its turn had come: the next one takes it
            raise
        finally:
            if place in self._waiting:
                self._waiting.remove(place)

    def _wake(self) -> None:
        free = int(self.window.size) - self._busy
        while free > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1

    def _judge(self, turn: Turn, began: float) -> None:
        now = self._clock()
        if turn.overloaded:
            self.window.overloaded(began, now)
        elif not turn.failed:
            self.window.succeeded()
