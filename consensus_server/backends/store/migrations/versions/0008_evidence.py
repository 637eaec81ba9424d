"""Wordings of one question, and what stands behind an answer; federations of before go on deciding by support."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_FEDERATIONS = sa.table("federations", sa.column("id", sa.Integer), sa.column("terms", sa.Text))


def upgrade() -> None:
    name = sa.String(128).with_variant(sa.dialects.postgresql.VARCHAR(128, collation="C"), "postgresql")
    op.add_column("prompts", sa.Column("question", name, comment="prompts with one value ask the same"))
    op.add_column(
        "seals",
        sa.Column(
            "taught_through", sa.Integer(), nullable=False, server_default="0", comment="newest round that was taught"
        ),
    )
    op.add_column(
        "seals", sa.Column("carried_from", sa.Integer(), comment="round whose answers stand for this one too")
    )
    connection = op.get_bind()
    for key, terms in connection.execute(sa.select(_FEDERATIONS.c.id, _FEDERATIONS.c.terms)).all():
        renewed = json.dumps(_renewed(json.loads(terms)), ensure_ascii=False)
        connection.execute(sa.update(_FEDERATIONS).where(_FEDERATIONS.c.id == key).values(terms=renewed))


def _renewed(terms: dict[str, Any]) -> dict[str, Any]:
    return {**terms, "policy": {"decide_by": "support", "second_hand": "count"} | terms["policy"]}
