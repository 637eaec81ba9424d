"""Participants that the server itself asks."""

import sqlalchemy as sa
from alembic import op

from consensus_server.backends.store.schema import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "endpoints",
        sa.Column("participant_id", sa.Integer(), nullable=False),
        sa.Column(
            "endpoint",
            sa.Text(),
            nullable=False,
            comment="JSON: how the server asks this participant; no address, no key",
        ),
        sa.ForeignKeyConstraint(["participant_id"], ["participants.id"], name=op.f("fk_endpoints_participant_id")),
        sa.PrimaryKeyConstraint("participant_id", name=op.f("pk_endpoints")),
    )
    op.create_table(
        "pulls",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("participant_id", sa.Integer(), nullable=False),
        sa.Column("upstream", sa.String(63).with_variant(sa.VARCHAR(63, collation="C"), "postgresql"), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="after which an answer is given up"),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.Column("pull", sa.Text(), nullable=False, comment="JSON: how far the server has come"),
        sa.Column(
            "lease",
            sa.String(length=32),
            nullable=True,
            comment="of the worker that asks; none while the upstream is left alone",
        ),
        sa.Column("lease_until", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["participant_id"], ["participants.id"], name=op.f("fk_pulls_participant_id")),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_pulls_round_id")),
        sa.PrimaryKeyConstraint("round_id", "participant_id", name=op.f("pk_pulls")),
    )
