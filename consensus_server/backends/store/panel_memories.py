"""What panels remember, in SQL: one row for each upstream, however many questions."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy import Engine, delete, select

from consensus_server.backends.store.engine import insert_unless_held, reading, writing
from consensus_server.backends.store.schema import panel_memories
from consensus_server.core.panel_memory import UpstreamMemory

_COLUMNS: Final = [column for column in panel_memories.c if column.name != "panel"]
_SUMS: Final = ("total", "weight")


class SqlPanelMemories:
    """`ports.PanelMemoryStore`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, panel: str) -> tuple[UpstreamMemory, ...]:
        query = select(*_COLUMNS).where(panel_memories.c.panel == panel)
        with reading(self._engine) as connection:
            rows = [UpstreamMemory(**row) for row in connection.execute(query).mappings()]
        return tuple(sorted(rows, key=lambda each: (each.upstream, each.version, each.encoder)))

    def add(self, panel: str, stood: Sequence[UpstreamMemory], *, fading: float) -> None:
        # In one order always, so that two servers do not wait for each other in a circle.
        rows = [{"panel": panel} | asdict(each) for each in sorted(stood, key=lambda each: each.upstream)]
        if not rows:
            return
        with writing(self._engine) as connection:
            added = insert_unless_held(connection, panel_memories)
            held, new = panel_memories.c, added.excluded
            sums = {name: held[name] * fading + new[name] for name in _SUMS}
            sums["questions"] = held.questions + new.questions
            statement = added.on_conflict_do_update(panel_memories.primary_key, set_=sums)
            connection.execute(statement, rows)

    def forget(self, panel: str) -> int:
        with writing(self._engine) as connection:
            return connection.execute(delete(panel_memories).where(panel_memories.c.panel == panel)).rowcount
