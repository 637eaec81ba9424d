"""First schema.

A released migration is never changed; the next change is a new file beside this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def _name(length: int) -> sa.String:
    """Text that sorts by code points everywhere."""
    return sa.String(length).with_variant(sa.VARCHAR(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "embeddings",
        sa.Column("encoder", sa.String(length=64), nullable=False, comment="digest of its identity"),
        sa.Column("digest", sa.String(length=64), nullable=False, comment="SHA-256 of the text"),
        sa.Column("vector", sa.LargeBinary(), nullable=False, comment="float32, little endian"),
        sa.PrimaryKeyConstraint("encoder", "digest", name=op.f("pk_embeddings")),
    )
    op.create_table(
        "prompt_sets",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", _name(63), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False, comment="JSON"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_prompt_sets")),
    )
    op.create_table(
        "federations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", _name(63), nullable=False),
        sa.Column("prompt_set", sa.String(length=64), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False, comment="JSON"),
        sa.Column("encoder", sa.String(length=64), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["prompt_set"], ["prompt_sets.digest"], name=op.f("fk_federations_prompt_set")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_federations")),
        sa.UniqueConstraint("name", name=op.f("uq_federations_name")),
    )
    op.create_table(
        "prompts",
        sa.Column("prompt_set", sa.String(length=64), nullable=False),
        sa.Column("prompt_id", _name(128), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=True),
        sa.Column("equivalence", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["prompt_set"], ["prompt_sets.digest"], name=op.f("fk_prompts_prompt_set")),
        sa.PrimaryKeyConstraint("prompt_set", "prompt_id", name=op.f("pk_prompts")),
    )
    op.create_table(
        "participants",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("federation_id", sa.Integer(), nullable=False),
        sa.Column("name", _name(63), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False, comment="SHA-256"),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["federation_id"], ["federations.id"], name=op.f("fk_participants_federation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participants")),
        sa.UniqueConstraint("federation_id", "name", name=op.f("uq_participants_federation_id_name")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_participants_token_hash")),
    )
    op.create_table(
        "rounds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("federation_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("round_seconds", sa.Float(), nullable=False),
        sa.Column("quorum", sa.Integer(), nullable=False),
        sa.Column("opened_at", _MOMENT, nullable=True),
        sa.Column("deadline", _MOMENT, nullable=True),
        sa.Column("closed_at", _MOMENT, nullable=True),
        sa.Column("published_at", _MOMENT, nullable=True),
        sa.Column("failure_code", sa.String(length=32), nullable=True),
        sa.Column("failure_detail", sa.Text(), nullable=True),
        sa.Column("labels", sa.String(length=64), nullable=True, comment="digest of the pseudo-labels"),
        sa.Column("lease", sa.String(length=32), nullable=True, comment="of the worker that aggregates"),
        sa.Column("lease_until", _MOMENT, nullable=True),
        sa.CheckConstraint("(state = 'aggregating') = (lease IS NOT NULL)", name=op.f("ck_rounds_lease")),
        sa.CheckConstraint("(state = 'published') = (labels IS NOT NULL)", name=op.f("ck_rounds_labels")),
        sa.ForeignKeyConstraint(["federation_id"], ["federations.id"], name=op.f("fk_rounds_federation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rounds")),
        sa.UniqueConstraint("federation_id", "number", name=op.f("uq_rounds_federation_id_number")),
    )
    op.create_index(op.f("ix_rounds_state"), "rounds", ["state"], unique=False)
    op.create_table(
        "answers",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("participant_id", sa.Integer(), nullable=False),
        sa.Column("prompt_id", _name(128), nullable=False),
        sa.Column("sample", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False, comment="SHA-256 of the text"),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("finish_reason", sa.String(length=32), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["participant_id"], ["participants.id"], name=op.f("fk_answers_participant_id")),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_answers_round_id")),
        sa.PrimaryKeyConstraint("round_id", "participant_id", "prompt_id", "sample", name=op.f("pk_answers")),
    )
    op.create_table(
        "events",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("round", sa.Text(), nullable=False, comment="JSON: the round as it was"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_events_round_id")),
        sa.PrimaryKeyConstraint("round_id", "event_id", name=op.f("pk_events")),
    )
    op.create_table(
        "labels",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("prompt_id", _name(128), nullable=False),
        sa.Column("line", sa.Text(), nullable=False, comment="canonical JSON: what the digest is made of"),
        sa.Column("fates", sa.Text(), nullable=False, comment="JSON: what became of each answer"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_labels_round_id")),
        sa.PrimaryKeyConstraint("round_id", "prompt_id", name=op.f("pk_labels")),
    )
    op.create_table(
        "round_cards",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("card", sa.Text(), nullable=False, comment="JSON"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_round_cards_round_id")),
        sa.PrimaryKeyConstraint("round_id", name=op.f("pk_round_cards")),
    )
    op.create_table(
        "seals",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("participant_id", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["participant_id"], ["participants.id"], name=op.f("fk_seals_participant_id")),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_seals_round_id")),
        sa.PrimaryKeyConstraint("round_id", "participant_id", name=op.f("pk_seals")),
    )
    op.create_table(
        "traffic",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("participant_id", sa.Integer(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sent_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["participant_id"], ["participants.id"], name=op.f("fk_traffic_participant_id")),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_traffic_round_id")),
        sa.PrimaryKeyConstraint("round_id", "participant_id", name=op.f("pk_traffic")),
    )
