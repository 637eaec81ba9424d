"""What callers of panels have spent, in SQL."""

from sqlalchemy import Engine, and_, delete, select, update

from consensus_server.backends.store.engine import insert_unless_held, writing
from consensus_server.backends.store.schema import spendings
from consensus_server.core.budgets import Amount, Budget


class SqlSpendingStore:
    """`ports.SpendingStore`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def reserve(self, caller: str, began: int, amount: Amount, budget: Budget) -> Amount | None:
        own = and_(spendings.c.caller == caller, spendings.c.began == began)
        held = {"caller": caller, "began": began, "tokens": 0, "money": 0.0}
        more = {"tokens": spendings.c.tokens + amount.tokens, "money": spendings.c.money + amount.money}
        within = [
            spent + asked <= limit
            for spent, asked, limit in (
                (spendings.c.tokens, amount.tokens, budget.tokens),
                (spendings.c.money, amount.money, budget.money),
            )
            if limit is not None
        ]
        with writing(self._engine) as connection:
            connection.execute(delete(spendings).where(spendings.c.caller == caller, spendings.c.began < began))
            connection.execute(insert_unless_held(connection, spendings).on_conflict_do_nothing(), held)
            # One statement looks and takes: of two processes at once the second sees what the first has taken.
            if connection.execute(update(spendings).where(own, *within).values(more)).rowcount:
                return None
            row = connection.execute(select(spendings.c.tokens, spendings.c.money).where(own)).one()
            return Amount(row.tokens, row.money)

    def settle(self, caller: str, began: int, difference: Amount) -> None:
        changed = {
            "tokens": spendings.c.tokens + difference.tokens,
            "money": spendings.c.money + difference.money,
        }
        with writing(self._engine) as connection:
            connection.execute(
                update(spendings).where(spendings.c.caller == caller, spendings.c.began == began).values(changed)
            )
