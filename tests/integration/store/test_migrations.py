"""Migrated databases have the schema that the code expects, from empty and again."""

import json
import threading
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, event, insert, inspect, select, text

from client_kit.vocabulary import Role
from consensus_server.backends.store import DatabaseUrlError, SqlStore, make_engine, open_store, upgrade
from consensus_server.backends.store.schema import metadata
from consensus_server.core.tokens import SCOPES_OF
from tests.support.databases import DATABASES, bare_engine, empty_engine, sqlite_engine


@pytest.fixture(params=DATABASES)
def migrated(request, tmp_path):
    engine = empty_engine(request.param, tmp_path)
    yield engine
    engine.dispose()


def test_migrations_make_what_the_code_declares(migrated):
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_constraints_are_those_of_the_code_too(migrated):
    found = inspect(migrated)
    for table in metadata.sorted_tables:
        declared = {c.name for c in table.constraints if c.name} | {index.name for index in table.indexes}
        names = {found.get_pk_constraint(table.name)["name"]}
        for listed in (
            found.get_unique_constraints,
            found.get_foreign_keys,
            found.get_check_constraints,
            found.get_indexes,
        ):
            names |= {each["name"] for each in listed(table.name)}
        assert declared == names


def test_migrating_again_changes_nothing(migrated):
    upgrade(migrated)
    assert SqlStore(migrated).check() == "ok"


@pytest.fixture(params=DATABASES)
def bare(request, tmp_path):
    engine = bare_engine(request.param, tmp_path)
    yield engine
    engine.dispose()


POLICY = {"rule": "vote", "confidence": "agreement", "distance_long": 0.1 + 0.2, "seed": 2**70, "calibration": None}
OLD_POLICIES = {
    "plain": {**POLICY, "clusterer": "average_linkage"},
    "nearest": {**POLICY, "clusterer": "average_linkage", "rule": "mean_nearest"},
    "cut-otherwise": {**POLICY, "clusterer": "hdbscan", "rule": "mean_nearest"},
    "before-clusterers": POLICY,
}
NEW_POLICIES = {name: (POLICY["rule"] if name in {"plain", "before-clusterers"} else "medoid") for name in OLD_POLICIES}


def found_at(engine, revision):
    """The schema of a version, with a federation and a published round for each old policy. Answers the cards as stored."""
    upgrade(engine, revision)
    tables = MetaData()
    tables.reflect(engine)
    at, cards = datetime(2030, 1, 1, tzinfo=UTC), {}
    with engine.begin() as connection:
        row = {"digest": "d" * 64, "name": "q", "version": "1", "manifest": "{}"}
        connection.execute(insert(tables.tables["prompt_sets"]), row)
        for key, (name, policy) in enumerate(OLD_POLICIES.items(), 1):
            terms = {"name": name, "prompt_set": "d" * 64, "policy": policy, "answers": {}, "quorum": 3}
            row = {"id": key, "name": name, "prompt_set": "d" * 64, "terms": json.dumps(terms), "encoder": "e" * 64}
            connection.execute(insert(tables.tables["federations"]), row | {"created_at": at})
            row = {
                "id": key,
                "federation_id": key,
                "number": 1,
                "state": "published",
                "round_seconds": 1.0,
                "quorum": 3,
            }
            connection.execute(insert(tables.tables["rounds"]), row | {"labels": "0" * 64, "published_at": at})
            cards[key] = json.dumps(_card(name, policy))
            connection.execute(insert(tables.tables["round_cards"]), {"round_id": key, "card": cards[key]})
    return cards


def _card(name, policy):
    counts = dict.fromkeys(("prompts", "submissions", "answers", "admitted", "labels", "encoded", "reused"), 1)
    encoder = dict.fromkeys(("name", "weights", "pooling", "chunking", "dtype", "backend"), "x") | {"dimension": 3}
    timings = dict.fromkeys(("encoding_seconds", "deciding_seconds", "total_seconds"), 0.1 + 0.2)
    return {
        "federation": name, "number": 1, "prompt_set": "d" * 64, "policy": policy, "encoder": encoder,
        "constants": {"a": 0.1 + 0.2}, "labels": "0" * 64, "counts": counts | {"abstentions": {"tie": 6}}, "support": [],
        "traffic": [], "timings": timings, "versions": {}, "published_at": "2030-01-01T00:00:00Z",
    }  # fmt: skip


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005"])
def test_federations_of_every_older_version_are_read_without_what_is_gone(bare, revision):
    found_at(bare, revision)
    upgrade(bare)
    store = SqlStore(bare)
    assert store.check() == "ok"
    with store.reading() as tx:
        terms = {each.name: each.terms for each in tx.federations.all()}
    assert {name: each.policy.rule for name, each in terms.items()} == NEW_POLICIES
    assert {name: each.retired_clusterer for name, each in terms.items()} == dict.fromkeys(OLD_POLICIES) | {
        "cut-otherwise": "hdbscan"
    }
    for each in terms.values():
        assert (each.answers.refusals, each.refusals_told_by) == ("keep", None)
        assert (each.policy.distance_long, each.policy.seed, each.quorum) == (0.1 + 0.2, 2**70, 3)


@pytest.mark.parametrize("revision", ["0001", "0005"])
def test_cards_of_published_rounds_stay_as_they_were_published(bare, revision):
    cards = found_at(bare, revision)
    upgrade(bare)
    with bare.connect() as connection:
        stored = metadata.tables["round_cards"]
        assert {row.round_id: row.card for row in connection.execute(select(stored))} == cards
    with SqlStore(bare).reading() as tx:
        read = {each.name: tx.labels.card(tx.rounds.get(each, 1)) for each in tx.federations.all()}
    assert {name: card.policy.rule for name, card in read.items()} == {
        name: policy["rule"] for name, policy in OLD_POLICIES.items()
    }
    assert {name: card.retired_clusterer for name, card in read.items()} == dict.fromkeys(OLD_POLICIES) | {
        "cut-otherwise": "hdbscan"
    }
    assert read["plain"].timings.total_seconds == 0.1 + 0.2


def test_tokens_of_before_go_on_for_all_that_their_role_allows(bare):
    upgrade(bare, "0011")
    found_at(bare, "0011")
    tables = MetaData()
    tables.reflect(bare)
    at = datetime(2030, 1, 1, tzinfo=UTC)
    with bare.begin() as connection:
        for key, role in enumerate(Role, 1):
            row = {
                "id": key,
                "federation_id": 1,
                "name": role.value,
                "role": role.value,
                "active": role is not Role.OBSERVER,
            }
            connection.execute(
                insert(tables.tables["participants"]), row | {"token_hash": f"{key}" * 64, "created_at": at}
            )
    upgrade(bare)
    with SqlStore(bare).reading() as tx:
        tokens = [tx.tokens.find(f"{key}" * 64) for key in range(1, 4)]
    assert [(each.holder.name, each.holder.active, each.scopes) for each in tokens] == [
        (role.value, role is not Role.OBSERVER, SCOPES_OF[role]) for role in Role
    ]
    assert {(each.expires_at, each.last_used_at, each.replaced) for each in tokens} == {(None, None, False)}


def test_processes_that_start_at_the_same_time_migrate_once(tmp_path):
    failures = []

    def start():
        try:
            open_store(f"sqlite:///{tmp_path}/new.sqlite3").close()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_database_without_the_schema_is_told_apart_from_a_ready_one(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/empty.sqlite3")
    assert "not the newest" in SqlStore(engine).check()
    engine.dispose()


def test_a_database_that_does_not_answer_is_told_without_its_path(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/missing/consensus.sqlite3")
    told = SqlStore(engine).check()
    assert "does not answer" in told
    assert "missing" not in told


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/consensus"])
def test_databases_that_would_not_work_are_refused(url):
    with pytest.raises(DatabaseUrlError, match="sqlite:///FILE"):
        make_engine(url)


def test_postgresql_is_asked_without_what_a_pooler_of_transactions_breaks():
    """PgBouncer 1.18 in transaction mode: `prepared statement "_pg3_0" already exists` with the driver's default."""
    engine, told = make_engine("postgresql+psycopg://consensus@db.example/consensus"), {}

    def do_connect(_dialect, _record, _arguments, options):
        told.update(options)
        raise ConnectionError

    event.listen(engine, "do_connect", do_connect)
    with pytest.raises(ConnectionError):
        engine.connect()
    assert told["prepare_threshold"] is None


def test_sqlite_writes_survive_a_loss_of_power(tmp_path):
    engine = sqlite_engine(tmp_path)
    with engine.connect() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
