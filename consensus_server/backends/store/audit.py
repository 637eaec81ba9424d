"""The audit record in SQL."""

from collections.abc import Iterator

from sqlalchemy import Connection, insert, select, text

from consensus_server.backends.store.schema import audit
from consensus_server.core.audit import Act, Head, chained

_LOCK = 0x636F_6E74
"""Number of the advisory lock under which a PostgreSQL chain grows."""

_LINES = 500
"""Read at once."""


class SqlAudit:
    """`ports.AuditStore`. Acts are written at the end of the transaction: the chain's lock is the last one taken, and held briefly."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._acts: list[Act] = []

    def add(self, act: Act) -> None:
        self._acts.append(act)

    def head(self) -> Head:
        last = select(audit.c.number, audit.c.digest).order_by(audit.c.number.desc()).limit(1)
        row = self._connection.execute(last).one_or_none()
        return Head() if row is None else Head(*row)

    def lines(self) -> Iterator[str]:
        after = 0
        query = select(audit.c.number, audit.c.line).order_by(audit.c.number).limit(_LINES)
        while rows := self._connection.execute(query.where(audit.c.number > after)).all():
            yield from (row.line for row in rows)
            after = rows[-1].number

    def write(self) -> None:
        """Chain what was added to what is there. The last statements of a transaction."""
        if not self._acts:
            return
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        head, rows = self.head(), []
        for act in self._acts:
            line, head = chained(act, head)
            rows.append({"number": head.number, "digest": head.digest, "line": line})
        self._connection.execute(insert(audit), rows)
        self._acts.clear()
