"""Tokens of their own, with scopes and an end; named operators of the server; invitations."""

import sqlalchemy as sa
from alembic import op

from consensus_server.backends.store.schema import UtcDateTime

revision = "0013"
down_revision = "0011"
branch_labels = None
depends_on = None

_OF_BEFORE = """
INSERT INTO tokens (digest, participant_id, scopes, created_at)
SELECT token_hash, id,
       CASE role WHEN 'operator' THEN 'labels observe operate'
                 WHEN 'participant' THEN 'labels observe submit'
                 ELSE 'observe' END,
       created_at
FROM participants
"""
"""They hold until they are revoked, for all that their role allows."""


def _name(length: int) -> sa.String:
    """Text that sorts by code points everywhere."""
    return sa.String(length).with_variant(sa.VARCHAR(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "operators",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", _name(63), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operators")),
        sa.UniqueConstraint("name", name=op.f("uq_operators_name")),
    )
    op.create_table(
        "tokens",
        sa.Column("digest", sa.String(length=64), nullable=False, comment="SHA-256"),
        sa.Column("participant_id", sa.Integer(), nullable=True),
        sa.Column("operator_id", sa.Integer(), nullable=True),
        sa.Column("scopes", sa.String(length=64), nullable=False, comment="with spaces between"),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True, comment="roughly"),
        sa.Column(
            "replaced", sa.Boolean(), nullable=False, server_default=sa.false(), comment="another took its place"
        ),
        sa.CheckConstraint("(participant_id IS NULL) <> (operator_id IS NULL)", name=op.f("ck_tokens_holder")),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name=op.f("fk_tokens_operator_id")),
        sa.ForeignKeyConstraint(["participant_id"], ["participants.id"], name=op.f("fk_tokens_participant_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_tokens")),
    )
    op.create_index(op.f("ix_tokens_participant_id"), "tokens", ["participant_id"])
    op.create_table(
        "invitations",
        sa.Column("digest", sa.String(length=64), nullable=False, comment="SHA-256"),
        sa.Column("federation_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("participant", _name(63), nullable=True, comment="with which name to join"),
        sa.Column("scopes", sa.String(length=64), nullable=False, comment="with spaces between"),
        sa.Column("lifetime_seconds", sa.Float(), nullable=True, comment="of the token"),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.Column("used_by", _name(63), nullable=True),
        sa.ForeignKeyConstraint(["federation_id"], ["federations.id"], name=op.f("fk_invitations_federation_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_invitations")),
    )
    op.execute(_OF_BEFORE)
