"""Upstreams that come and go with the panels file: nobody's request is broken off because a file has changed."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from consensus_server.ports import Upstream


class Connections:
    """Which upstreams are asked at the moment. For one event loop."""

    def __init__(self) -> None:
        self._busy: Counter[Upstream] = Counter()
        self._retired: set[Upstream] = set()

    @asynccontextmanager
    async def held(self, upstreams: Iterable[Upstream]) -> AsyncIterator[None]:
        """Until the block ends, none of them is closed."""
        held = tuple(upstreams)
        self._busy.update(held)
        try:
            yield
        finally:
            self._busy.subtract(held)
            await self._close_idle()

    async def retire(self, upstreams: Iterable[Upstream]) -> None:
        """Nobody will ask these again: each is closed as soon as nobody asks it."""
        self._retired.update(upstreams)
        await self._close_idle()

    async def _close_idle(self) -> None:
        for upstream in [each for each in self._retired if self._busy[each] <= 0]:
            self._retired.discard(upstream)
            del self._busy[upstream]
            await upstream.close()
