"""Signing keys of participants, signatures of seals and of rounds."""

import sqlalchemy as sa
from alembic import op

from consensus_server.backends.store.schema import UtcDateTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("participant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False, comment="Ed25519 public key, hexadecimal"),
        sa.Column("registered_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True, comment="none: it signs"),
        sa.ForeignKeyConstraint(["participant_id"], ["participants.id"], name=op.f("fk_signing_keys_participant_id")),
        sa.PrimaryKeyConstraint("participant_id", "key", name=op.f("pk_signing_keys")),
    )
    op.create_table(
        "round_signatures",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("signed", sa.Text(), nullable=False, comment="JSON: the statement as signed, key and signature"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_round_signatures_round_id")),
        sa.PrimaryKeyConstraint("round_id", name=op.f("pk_round_signatures")),
    )
    op.add_column(
        "seals",
        sa.Column("signed", sa.Text(), nullable=True, comment="JSON: the statement as signed, key and signature"),
    )
