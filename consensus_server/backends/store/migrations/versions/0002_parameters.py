"""Files of the parameter path."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "updates",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("participant_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False, comment="SHA-256 of the file"),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("examples", sa.BigInteger(), nullable=False),
        sa.Column("file", sa.LargeBinary(), nullable=False, comment="safetensors"),
        sa.ForeignKeyConstraint(["participant_id"], ["participants.id"], name=op.f("fk_updates_participant_id")),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_updates_round_id")),
        sa.PrimaryKeyConstraint("round_id", "participant_id", name=op.f("pk_updates")),
    )
    op.create_table(
        "aggregates",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column(
            "recipient",
            sa.String(63).with_variant(sa.VARCHAR(63, collation="C"), "postgresql"),
            nullable=False,
            comment="a participant; empty: everybody else",
        ),
        sa.Column("digest", sa.String(length=64), nullable=False, comment="SHA-256 of the file"),
        sa.Column("file", sa.LargeBinary(), nullable=False, comment="safetensors"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_aggregates_round_id")),
        sa.PrimaryKeyConstraint("round_id", "recipient", name=op.f("pk_aggregates")),
    )
