"""Copies of a database that is in use, and whether one is sound."""

import json
import sqlite3
import threading
from contextlib import closing

import pytest
from typer.testing import CliRunner

from client_kit.command_line import Exit
from client_kit.vocabulary import Role
from consensus_server import cli
from consensus_server.backends.store import open_store
from tests.support.service import OPERATOR, Service


@pytest.fixture
def data(tmp_path):
    """A server's data with one published round."""
    folder = tmp_path / "data"
    folder.mkdir()
    store = open_store(f"sqlite:///{folder}/consensus.sqlite3")
    service = Service(store)
    publish(service, service.found(sites=("ann", "bob"), quorum=2), 1)
    store.close()
    return folder


def publish(service, sites, number):
    service.open()
    for site in sites:
        service.submit(site, {"p-0": "yes"}, number)
    assert service.worker.run_once()


def run(*words, expect=Exit.DONE):
    result = CliRunner().invoke(cli.app, [*map(str, words)], env={"COLUMNS": "200", "CONSENSUS_ENCODER": "hashing"})
    assert result.exit_code == expect, result.output
    return result


def dump(file):
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def test_a_copy_of_a_server_at_work_is_put_back_as_it_was(data, tmp_path):
    """Somebody writes all the time while the copy is made."""
    copy, stop = tmp_path / "copy.sqlite3", threading.Event()
    service = Service(open_store(f"sqlite:///{data}/consensus.sqlite3"))

    def write():
        number = 0
        while not stop.is_set():
            service.participants.add(OPERATOR, "clinics", f"new-{number}", Role.PARTICIPANT)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    made = json.loads(run("database", "backup", copy, "--data-dir", data, "--json").stdout)
    stop.set()
    writer.join()
    service.store.close()
    assert made == {"file": str(copy), "bytes": copy.stat().st_size}
    assert copy.stat().st_mode & 0o777 == 0o600
    run("database", "restore", copy, "--data-dir", tmp_path / "elsewhere")
    assert dump(tmp_path / "elsewhere" / "consensus.sqlite3") == dump(copy)
    assert "labels of 1 published rounds" in run("database", "check", "--data-dir", tmp_path / "elsewhere").stdout


def test_nothing_is_written_over(data, tmp_path):
    copy = tmp_path / "copy.sqlite3"
    run("database", "backup", copy, "--data-dir", data)
    again = run("database", "backup", copy, "--data-dir", data, expect=Exit.FAILED)
    assert "is there already" in again.stderr
    assert (
        "Stop the server and move it away"
        in run("database", "restore", copy, "--data-dir", data, expect=Exit.FAILED).stderr
    )


@pytest.mark.parametrize("left", ["-wal", "-shm", "-journal"])
def test_no_copy_is_put_beside_a_journal_of_another_database(data, tmp_path, left):
    """SQLite would replay it into the copy."""
    copy, new = tmp_path / "copy.sqlite3", tmp_path / "new"
    run("database", "backup", copy, "--data-dir", data)
    new.mkdir()
    (new / f"consensus.sqlite3{left}").write_bytes(b"of before")
    said = run("database", "restore", copy, "--data-dir", new, expect=Exit.FAILED).stderr
    assert f"consensus.sqlite3{left} is there" in said
    assert not (new / "consensus.sqlite3").exists()


def test_what_was_erased_after_the_copy_is_erased_again_once_it_is_put_back(data, tmp_path):
    copy, record, new = tmp_path / "copy.sqlite3", tmp_path / "audit.jsonl", tmp_path / "new"
    run("database", "backup", copy, "--data-dir", data)
    run("participant", "erase", "clinics", "ann", "--yes", "--data-dir", data)
    run("audit", "export", "--out", record, "--data-dir", data)
    run("database", "restore", copy, "--data-dir", new)
    for again in (["clinics/ann"], []):
        said = run("database", "erase-again", record, "--data-dir", new, "--json").stdout
        assert json.loads(said) == {"erased": again}
    with closing(sqlite3.connect(new / "consensus.sqlite3")) as connection:
        assert connection.execute("SELECT count(*) FROM answers").fetchone() == (1,)  # bob's
    run("database", "check", "--data-dir", new)
    record.write_text(record.read_text().replace("clinics", "others", 1))
    run("database", "erase-again", record, "--data-dir", new, expect=Exit.FAILED)


def test_a_database_that_its_url_names_is_copied_put_back_and_read_through(data, tmp_path):
    copy, url = tmp_path / "copy.sqlite3", f"sqlite:///{tmp_path}/other.sqlite3"
    run("database", "backup", copy, "--database-url", f"sqlite:///{data}/consensus.sqlite3")
    made = json.loads(run("database", "restore", copy, "--database-url", url, "--json").stdout)
    assert made["file"] == f"{tmp_path}/other.sqlite3"
    run("database", "check", "--database-url", url)
    orphan(tmp_path / "other.sqlite3")
    assert "is damaged" in run("database", "check", "--database-url", url, expect=Exit.FAILED).stderr


def test_of_a_damaged_database_no_copy_is_left(data, tmp_path):
    orphan(data / "consensus.sqlite3")
    said = run("database", "backup", tmp_path / "copy.sqlite3", "--data-dir", data, expect=Exit.FAILED).stderr
    assert "No copy was made" in said
    assert list(tmp_path.iterdir()) == [data]


def orphan(file):
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = off")
        connection.execute("UPDATE participants SET federation_id = 999")


@pytest.mark.parametrize("damage", ["another file", "cut"])
def test_what_is_no_sound_copy_is_not_put_back(data, tmp_path, damage):
    copy = tmp_path / "copy.sqlite3"
    if damage == "cut":
        run("database", "backup", copy, "--data-dir", data)
        copy.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2])
    else:
        copy.write_text("not a database")
    said = run("database", "restore", copy, "--data-dir", tmp_path / "new", expect=Exit.FAILED).stderr
    assert "Nothing was restored" in said
    assert not list((tmp_path / "new").glob("*"))


def test_a_copy_that_is_not_there_is_told_as_that(tmp_path):
    said = run("database", "restore", tmp_path / "copy", "--data-dir", tmp_path / "new", expect=Exit.FAILED).stderr
    assert f"Nothing was restored: there is no database at {tmp_path / 'copy'}." in said


def test_labels_that_are_not_those_that_were_published_are_found(data, tmp_path):
    with closing(sqlite3.connect(data / "consensus.sqlite3")) as connection, connection:
        connection.execute("""UPDATE labels SET line = replace(line, '"yes"', '"no"') WHERE prompt_id = 'p-0'""")
    said = run("database", "check", "--data-dir", data, expect=Exit.FAILED).stderr
    assert "The labels of 1 of 1 published rounds are not what was published: clinics 1." in said


def test_postgresql_is_left_to_its_own_tools(tmp_path):
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    said = run("database", "backup", tmp_path / "copy", "--database-url", url, expect=Exit.USAGE).stderr
    assert "pg_dump --format=custom" in said


def test_a_database_of_a_newer_version_is_told_in_one_line(data):
    with closing(sqlite3.connect(data / "consensus.sqlite3")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_of_tomorrow'")
    said = run("database", "check", "--data-dir", data, expect=Exit.USAGE).stderr
    assert "9999_of_tomorrow, which a newer version of the server made" in said
