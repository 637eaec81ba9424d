"""What was erased, when participants were seen, and what came late."""

import sqlalchemy as sa
from alembic import op

from consensus_server.backends.store.schema import UtcDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("participants", sa.Column("seen_at", UtcDateTime(), nullable=True, comment="roughly"))
    op.create_table(
        "erasures",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("participant_id", sa.Integer(), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False, comment="of the participant that were deleted"),
        sa.Column("labels", sa.Integer(), nullable=False, comment="whose texts were withheld with them"),
        sa.Column("erased_at", UtcDateTime(), nullable=False, comment="the last of them"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_erasures_round_id")),
        sa.ForeignKeyConstraint(["participant_id"], ["participants.id"], name=op.f("fk_erasures_participant_id")),
        sa.PrimaryKeyConstraint("round_id", "participant_id", name=op.f("pk_erasures")),
    )
    op.create_table(
        "late_seals",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("participant_id", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("sealed_at", UtcDateTime(), nullable=False),
        sa.Column("privacy", sa.Text(), nullable=True, comment="JSON: what the participant states"),
        sa.Column(
            "taught_through", sa.Integer(), nullable=False, server_default="0", comment="newest round that was taught"
        ),
        sa.Column("carried_from", sa.Integer(), nullable=True, comment="round whose answers stand for this one too"),
        sa.Column("signed", sa.Text(), nullable=True, comment="JSON: the statement as signed, key and signature"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_late_seals_round_id")),
        sa.ForeignKeyConstraint(["participant_id"], ["participants.id"], name=op.f("fk_late_seals_participant_id")),
        sa.PrimaryKeyConstraint("round_id", "participant_id", name=op.f("pk_late_seals")),
    )
