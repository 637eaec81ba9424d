"""Budgets of callers: reserved before upstreams are asked, settled with what they counted.

What holds: nobody's spending and reservations together pass the budget, whatever the number of server processes over one
database. A process that is killed leaves its reservation standing until the budget is whole again. Where answers run longer
than was reserved for them (requests without `max_tokens`), the excess counts when it is known.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from consensus_server.core.budgets import NOTHING, Amount, Budget
from consensus_server.core.errors import StoreUnavailable
from consensus_server.ports import Clock, SpendingStore

_log = structlog.get_logger("consensus_server.budgets")


class BudgetSpent(Exception):  # noqa: N818 - reads as what happened
    """The request would cost more than its limit, or than is left of the caller's budget. Nobody was asked."""

    def __init__(self, message: str, *, param: str | None = None, retry_seconds: int | None = None) -> None:
        super().__init__(message)
        self.param = param
        """The field of the request that is at fault."""
        self.retry_seconds = retry_seconds
        """When enough may be there again; None: never for this request."""


class Budgets:
    """The budgets of one server."""

    def __init__(self, store: SpendingStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @asynccontextmanager
    async def reserved(
        self, caller: str, budget: Budget, amount: Amount, spent: Callable[[], Amount]
    ) -> AsyncIterator[None]:
        """Reserve the amount for as long as the block runs; afterwards what `spent` gives is counted, however the block ends.

        Raises BudgetSpent, and StoreUnavailable.
        """
        now = int(self._clock.now().timestamp())
        began = now - now % budget.seconds
        if not budget.allows(amount):
            raise BudgetSpent(
                f"The request may cost {_in_words(amount)}, and the whole budget of the caller {caller} is {budget}. "
                "Lower max_tokens, n, or the question; or the operator raises the budget."
            )
        before = await self._reserve(caller, began, amount, budget)
        if before is not None:
            free = began + budget.seconds - now
            raise BudgetSpent(
                f"The request may cost {_in_words(amount)}; the caller {caller} has {budget}, and {_in_words(before)} of it is "
                f"spent or reserved. It is whole again in {free} s.",
                retry_seconds=free,
            )
        try:
            yield
        finally:
            await asyncio.to_thread(self._settle, caller, began, spent() - amount)

    async def _reserve(self, caller: str, began: int, amount: Amount, budget: Budget) -> Amount | None:
        """As the store has it. A client that leaves meanwhile gets back what the store takes for it: nobody will be asked."""
        reserving = asyncio.create_task(asyncio.to_thread(self._store.reserve, caller, began, amount, budget))
        try:
            return await asyncio.shield(reserving)
        except asyncio.CancelledError:
            if await reserving is None:
                await asyncio.to_thread(self._settle, caller, began, NOTHING - amount)
            raise

    def _settle(self, caller: str, began: int, difference: Amount) -> None:
        """An answer goes out though the database is out of reach: the reservation stands then.

        It is not tried again, since what seems lost may have been stored, and what is given back twice would be spent twice.
        """
        try:
            self._store.settle(caller, began, difference)
        except StoreUnavailable as error:
            _log.warning("what was reserved for a caller stands in full", caller=caller, cause=error.reason)


def _in_words(amount: Amount) -> str:
    return f"{amount.tokens} tokens" + (f" and {amount.money:.6g} in money" if amount.money else "")
