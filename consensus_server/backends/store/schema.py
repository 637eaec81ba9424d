"""The tables. A change here needs a migration; a test holds both equal."""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment. SQLite has no time zones: there it is kept in UTC without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _name(length: int) -> String:
    """Text that sorts by code points everywhere: the order of `prompt_id` is part of the labels' digest."""
    return String(length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


def _round_key() -> Column[int]:
    return Column("round_id", ForeignKey("rounds.id"), primary_key=True)


def _participant_key() -> Column[int]:
    return Column("participant_id", ForeignKey("participants.id"), primary_key=True)


prompt_sets = Table(
    "prompt_sets",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("name", _name(63), nullable=False),
    Column("version", String(64), nullable=False),
    Column("manifest", Text, nullable=False, comment="JSON"),
)

prompts = Table(
    "prompts",
    metadata,
    Column("prompt_set", ForeignKey("prompt_sets.digest"), primary_key=True),
    Column("prompt_id", _name(128), primary_key=True),
    Column("prompt", Text, nullable=False),
    Column("topic", Text),
    Column("equivalence", String(32)),
    Column("question", _name(128), comment="prompts with one value ask the same"),
)

federations = Table(
    "federations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", _name(63), nullable=False, unique=True),
    Column("prompt_set", ForeignKey("prompt_sets.digest"), nullable=False),
    Column("terms", Text, nullable=False, comment="JSON"),
    Column("encoder", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

participants = Table(
    "participants",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("federation_id", ForeignKey("federations.id"), nullable=False),
    Column("name", _name(63), nullable=False),
    Column("role", String(16), nullable=False),
    Column("active", Boolean, nullable=False),
    Column(
        "token_hash", String(64), nullable=False, unique=True, comment="SHA-256"
    ),  # of before 0013; nothing reads it
    Column("created_at", UtcDateTime, nullable=False),
    Column("certificates", Text, comment="SHA-256 of those it must show, with spaces between"),
    Column("seen_at", UtcDateTime, comment="roughly"),
    UniqueConstraint("federation_id", "name"),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    _participant_key(),
    Column("key", String(64), primary_key=True, comment="Ed25519 public key, hexadecimal"),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, comment="none: it signs"),
)

operators = Table(
    "operators",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", _name(63), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("digest", String(64), primary_key=True, comment="SHA-256"),
    Column("participant_id", ForeignKey("participants.id"), index=True),
    Column("operator_id", ForeignKey("operators.id")),
    Column("scopes", String(64), nullable=False, comment="with spaces between"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("last_used_at", UtcDateTime, comment="roughly"),
    Column("replaced", Boolean, nullable=False, server_default=false(), comment="another took its place"),
    CheckConstraint("(participant_id IS NULL) <> (operator_id IS NULL)", name="holder"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("digest", String(64), primary_key=True, comment="SHA-256"),
    Column("federation_id", ForeignKey("federations.id"), nullable=False),
    Column("role", String(16), nullable=False),
    Column("participant", _name(63), comment="with which name to join"),
    Column("scopes", String(64), nullable=False, comment="with spaces between"),
    Column("lifetime_seconds", Float, comment="of the token"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Column("used_by", _name(63)),
)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False, comment="without gaps, from 1"),
    Column("digest", String(64), nullable=False, comment="of the line and all before it"),
    Column("line", Text, nullable=False, comment="JSON"),
)

rounds = Table(
    "rounds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("federation_id", ForeignKey("federations.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("round_seconds", Float, nullable=False),
    Column("quorum", Integer, nullable=False),
    Column("opened_at", UtcDateTime),
    Column("deadline", UtcDateTime),
    Column("closed_at", UtcDateTime),
    Column("published_at", UtcDateTime),
    Column("failure_code", String(32)),
    Column("failure_detail", Text),
    Column("labels", String(64), comment="digest of the pseudo-labels"),
    Column("lease", String(32), comment="of the worker that aggregates"),
    Column("lease_until", UtcDateTime),
    Column("claims", Integer, nullable=False, server_default="0"),
    Column("progress", Text, comment="JSON of AggregationProgress"),
    UniqueConstraint("federation_id", "number"),
    CheckConstraint("(state = 'aggregating') = (lease IS NOT NULL)", name="lease"),
    CheckConstraint("(state = 'published') = (labels IS NOT NULL)", name="labels"),
    Index(None, "state"),
)

events = Table(
    "events",
    metadata,
    _round_key(),
    Column("event_id", Integer, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("round", Text, nullable=False, comment="JSON: the round as it was"),
)


def _seals(name: str) -> Table:
    return Table(
        name,
        metadata,
        _round_key(),
        _participant_key(),
        Column("count", Integer, nullable=False),
        Column("digest", String(64), nullable=False),
        Column("sealed_at", UtcDateTime, nullable=False),
        Column("privacy", Text, comment="JSON: what the participant states"),
        Column("taught_through", Integer, nullable=False, server_default="0", comment="newest round that was taught"),
        Column("carried_from", Integer, comment="round whose answers stand for this one too"),
        Column("signed", Text, comment="JSON: the statement as signed, key and signature"),
    )


seals = _seals("seals")

late_seals = _seals("late_seals")
"""Of what came after the end of its round, and counts in the next."""
answers = Table(
    "answers",
    metadata,
    _round_key(),
    _participant_key(),
    Column("prompt_id", _name(128), primary_key=True),
    Column("sample", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, comment="SHA-256 of the text"),
    Column("text", Text, nullable=False),
    Column("finish_reason", String(32), nullable=False),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
)

labels = Table(
    "labels",
    metadata,
    _round_key(),
    Column("prompt_id", _name(128), primary_key=True),
    Column("line", Text, nullable=False, comment="canonical JSON: what the digest is made of"),
    Column("fates", Text, nullable=False, comment="JSON: what became of each answer"),
    Column(
        "contests", Text, nullable=True, comment="JSON: what differs between clusters; none where nothing was found"
    ),
)

round_cards = Table(
    "round_cards",
    metadata,
    _round_key(),
    Column("card", Text, nullable=False, comment="JSON"),
)

round_signatures = Table(
    "round_signatures",
    metadata,
    _round_key(),
    Column("signed", Text, nullable=False, comment="JSON: the statement as signed, key and signature"),
)

updates = Table(
    "updates",
    metadata,
    _round_key(),
    _participant_key(),
    Column("digest", String(64), nullable=False, comment="SHA-256 of the file"),
    Column("rank", Integer, nullable=False),
    Column("examples", BigInteger, nullable=False),
    Column("file", LargeBinary, nullable=False, comment="safetensors"),
)

aggregates = Table(
    "aggregates",
    metadata,
    _round_key(),
    Column("recipient", _name(63), primary_key=True, comment="a participant; empty: everybody else"),
    Column("digest", String(64), nullable=False, comment="SHA-256 of the file"),
    Column("file", LargeBinary, nullable=False, comment="safetensors"),
)

reliabilities = Table(
    "reliabilities",
    metadata,
    _round_key(),
    _participant_key(),
    Column("mean", Float, nullable=False),
    Column("prompts", Integer, nullable=False),
    Column("prior_mean", Float, nullable=False),
    Column("prior_prompts", Float, nullable=False),
    Column("reliability", Float, nullable=False),
    Column("weight", Float, nullable=False),
    Column("newcomer", Boolean, nullable=False),
    Column("drifted", Boolean, nullable=False),
)

erasures = Table(
    "erasures",
    metadata,
    _round_key(),
    _participant_key(),
    Column("answers", Integer, nullable=False, comment="of the participant that were deleted"),
    Column("labels", Integer, nullable=False, comment="whose texts were withheld with them"),
    Column("erased_at", UtcDateTime, nullable=False, comment="the last of them"),
)

appeals = Table(
    "appeals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("federation_id", ForeignKey("federations.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("round_id", ForeignKey("rounds.id"), nullable=False),
    Column("participant_id", ForeignKey("participants.id"), nullable=False),
    Column("gate", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("outcome", String(16)),
    Column("note", Text, nullable=False),
    Column("resolved_at", UtcDateTime),
    UniqueConstraint("federation_id", "number"),
    UniqueConstraint("round_id", "participant_id", "gate"),
)

endpoints = Table(
    "endpoints",
    metadata,
    _participant_key(),
    Column("endpoint", Text, nullable=False, comment="JSON: how the server asks this participant; no address, no key"),
)

pulls = Table(
    "pulls",
    metadata,
    _round_key(),
    _participant_key(),
    Column("upstream", _name(63), nullable=False),
    Column("attempts", Integer, nullable=False, comment="after which an answer is given up"),
    Column("finished", Boolean, nullable=False),
    Column("pull", Text, nullable=False, comment="JSON: how far the server has come"),
    Column("lease", String(32), comment="of the worker that asks; none while the upstream is left alone"),
    Column("lease_until", UtcDateTime, nullable=False),
)

traffic = Table(
    "traffic",
    metadata,
    _round_key(),
    _participant_key(),
    Column("received_bytes", BigInteger, nullable=False),
    Column("sent_bytes", BigInteger, nullable=False),
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("encoder", String(64), primary_key=True, comment="digest of its identity"),
    Column("digest", String(64), primary_key=True, comment="SHA-256 of the text"),
    Column("vector", LargeBinary, nullable=False, comment="float32, little endian"),
)

features = Table(
    "features",
    metadata,
    Column("kind", String(16), primary_key=True, comment="of what found it out"),
    Column("version", String(64), primary_key=True, comment="SHA-256 of everything that it depends on"),
    Column("digest", String(64), primary_key=True, comment="SHA-256 of a text, or of several"),
    Column("value", Text, nullable=False),
)

spendings = Table(
    "spendings",
    metadata,
    Column("caller", String(64), primary_key=True, comment="name in the panels file"),
    Column(
        "began",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="of the time that the budget is for, Unix seconds",
    ),
    Column("tokens", BigInteger, nullable=False, comment="spent or reserved"),
    Column("money", Float, nullable=False, comment="spent or reserved"),
)

panel_memories = Table(
    "panel_memories",
    metadata,
    Column("panel", String(63), primary_key=True),
    Column("upstream", String(63), primary_key=True),
    Column("version", String(64), primary_key=True, comment="digest of what the upstream is asked for"),
    Column("encoder", String(64), primary_key=True, comment="digest of its identity"),
    Column("total", Double, nullable=False, comment="of its z on past questions, faded"),
    Column("weight", Double, nullable=False, comment="of those questions, faded"),
    Column("questions", BigInteger, nullable=False),
)
