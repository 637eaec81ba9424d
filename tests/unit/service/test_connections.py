"""An upstream that nobody names any more is closed once nobody asks it, and not before."""

from consensus_server.service.connections import Connections


class Upstream:
    closed = 0

    async def close(self):
        self.closed += 1


async def test_one_that_nobody_asks_is_closed_at_once():
    connections, upstream = Connections(), Upstream()
    await connections.retire([upstream])
    assert upstream.closed == 1


async def test_one_that_is_asked_is_closed_after_the_last_answer_and_once():
    connections, gone, stays = Connections(), Upstream(), Upstream()
    async with connections.held([gone, stays]):
        async with connections.held([gone]):
            await connections.retire([gone])
        assert gone.closed == 0
    assert (gone.closed, stays.closed) == (1, 0)
    async with connections.held([stays]):
        """Later requests close nothing twice."""
    assert (gone.closed, stays.closed) == (1, 0)
