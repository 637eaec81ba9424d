"""Federations of before keep refusals, unless they say otherwise; in new ones they are dropped."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_FEDERATIONS = sa.table("federations", sa.column("id", sa.Integer), sa.column("terms", sa.Text))


def upgrade() -> None:
    connection = op.get_bind()
    for key, terms in connection.execute(sa.select(_FEDERATIONS.c.id, _FEDERATIONS.c.terms)).all():
        renewed = json.dumps(_renewed(json.loads(terms)), ensure_ascii=False)
        connection.execute(sa.update(_FEDERATIONS).where(_FEDERATIONS.c.id == key).values(terms=renewed))


def _renewed(terms: dict[str, Any]) -> dict[str, Any]:
    return {**terms, "answers": {"refusals": "keep"} | terms.get("answers", {})}
