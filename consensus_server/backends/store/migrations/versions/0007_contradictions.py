"""What differs between the clusters of a prompt; and federations of before go on without looking for contradictions."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_FEDERATIONS = sa.table("federations", sa.column("id", sa.Integer), sa.column("terms", sa.Text))


def upgrade() -> None:
    op.add_column(
        "labels",
        sa.Column(
            "contests",
            sa.Text(),
            nullable=True,
            comment="JSON: what differs between clusters; none where nothing was found",
        ),
    )
    connection = op.get_bind()
    for key, terms in connection.execute(sa.select(_FEDERATIONS.c.id, _FEDERATIONS.c.terms)).all():
        renewed = json.dumps(_renewed(json.loads(terms)), ensure_ascii=False)
        connection.execute(sa.update(_FEDERATIONS).where(_FEDERATIONS.c.id == key).values(terms=renewed))


def _renewed(terms: dict[str, Any]) -> dict[str, Any]:
    return {**terms, "policy": {"contradictions": "none"} | terms["policy"]}
