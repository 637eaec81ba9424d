"""Many threads, and a process that is killed, over real databases."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from consensus_server.backends.clock import SystemClock
from consensus_server.core.errors import AnswerConflict, RoundInProgress, SealMismatch, SubmissionSealed
from consensus_server.ports import TrafficCount
from tests.support.databases import open_sqlite
from tests.support.service import OPERATOR, Service

ROOT = Path(__file__).parents[3]
YES = {"p-0": "Yes.", "p-1": "No."}


def together(*acts):
    """Run all at the same time; what each answered or raised, in their order."""
    barrier = threading.Barrier(len(acts))

    def run(act):
        barrier.wait()
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_sites_that_seal_at_the_same_time_close_the_round_once(service):
    sites = service.found(sites=[f"site-{i}" for i in range(6)])
    for number in (1, 2, 3):
        service.open()
        for site in sites:
            service.store_answers(site, YES, number)
        results = together(*(partial(service.seal, site, number) for site in sites))
        assert [each for each in results if isinstance(each, Exception)] == []
        events = service.events(number)
        assert (events.count("submission.sealed"), events.count("round.closed")) == (6, 1)
        assert service.worker.run_once()


def test_the_last_seal_and_the_leaving_of_the_last_awaited_do_not_block_each_other(service):
    north, south, _ = service.found(sites=["north", "south", "east"])
    for number in (1, 2, 3):
        service.participants.set_active(OPERATOR, "clinics", "east", active=True)
        service.open()
        for site in (north, south):
            service.store_answers(site, YES, number)
        results = together(
            partial(service.seal, north, number),
            partial(service.participants.set_active, OPERATOR, "clinics", "east", active=False),
            partial(service.seal, south, number),
        )
        assert [each for each in results if isinstance(each, Exception)] == []
        assert service.state(number) == "closed"
        assert service.worker.run_once()


def test_the_same_request_sent_twice_at_once_is_stored_once(service):
    north, _ = service.found(sites=["north", "south"])
    service.open()
    receipts = together(*[lambda: service.store_answers(north, YES)] * 4)
    assert sorted((each.stored, each.unchanged) for each in receipts) == [(0, 2)] * 3 + [(2, 0)]


def test_of_contradicting_requests_at_once_one_wins(service):
    north, _ = service.found(sites=["north", "south"])
    service.open()
    results = together(
        *(lambda text=text: service.store_answers(north, {"p-0": text}) for text in ("Yes.", "No.", "Perhaps."))
    )
    assert sorted(type(each).__name__ for each in results) == ["AnswerConflict", "AnswerConflict", "SubmissionReceipt"]
    assert all("p-0" in each.detail for each in results if isinstance(each, AnswerConflict))


def test_a_late_request_and_the_seal_of_one_site_do_not_block_each_other(service):
    north, _ = service.found(sites=["north", "south"], prompts=500)
    late = {f"p-{i}": "Late." for i in range(2, 500)}
    for number in range(1, 7):
        service.open()
        service.store_answers(north, YES, number)
        results = together(
            partial(service.store_answers, north, late, number),
            partial(service.seal, north, number),
            partial(service.traffic.add, [TrafficCount("clinics", number, "north", 1, 1)]),
        )
        faults = {type(each) for each in results if isinstance(each, Exception)}
        assert faults <= {SubmissionSealed, SealMismatch}
        service.rounds.close(OPERATOR, "clinics", number)
        service.worker.run_once()


def test_two_operators_begin_one_round(service):
    service.found(sites=["north"])
    results = together(service.open, service.open, service.open)
    assert [type(each) for each in results if isinstance(each, Exception)] == [RoundInProgress] * 2
    assert len(service.rounds.all(OPERATOR, "clinics")) == 1


def test_a_deadline_seen_by_many_at_once_ends_the_round_once(service):
    service.found(sites=["north"], round_seconds=60.0)
    service.open()
    service.clock.advance(60)
    states = together(*[service.state] * 6, service.rounds.settle_all)
    assert states[:6] == ["failed"] * 6
    assert service.events().count("round.failed") == 1


def test_many_workers_publish_each_round_once(service):
    names = [f"group-{i}" for i in range(4)]
    for name in names:
        (site,) = service.found(name, sites=["north"], quorum=1)
        service.open(name)
        service.submit(site, YES)
    results = together(*[service.worker.run_once] * 6)
    assert [each for each in results if isinstance(each, Exception)] == []
    while service.worker.run_once():
        pass
    for name in names:
        assert service.events(federation=name).count("round.published") == 1


def test_large_submissions_take_few_statements(service):
    """Ten times the answers in a request take hardly more statements: no trip to the database for each of them."""
    statements = []

    def note(_connection, _cursor, statement, *_):
        statements.append(statement)

    (north,) = service.found(sites=["north"], prompts=3300, quorum=1)
    service.open()
    texts = [(f"p-{i}", f"The answer to question {i} is {i * i}." * 5) for i in range(3300)]
    few, many = dict(texts[:300]), dict(texts[300:])
    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert service.store_answers(north, few).stored == 300
        of_few = len(statements)
        assert service.store_answers(north, many).stored == 3000
        of_many = len(statements) - of_few
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert of_few <= of_many < of_few + 30
    assert service.store_answers(north, many).unchanged == 3000
    assert service.seal(north).count == 3300


KILLED_WHILE_AGGREGATING = """
import sys, time
from pathlib import Path
from consensus_server.backends.clock import SystemClock
from consensus_server.backends.encoders.hashing import HashingEncoder
from tests.support.databases import open_sqlite
from tests.support.service import Service

class Slow(HashingEncoder):
    def encode_with_openings(self, texts):
        print("encoding", flush=True)
        time.sleep(60)

Service(open_sqlite(Path(sys.argv[1])), SystemClock(), Slow(), lease_seconds=2.0).worker.run_once()
"""


def test_a_worker_process_that_is_killed_leaves_its_round_to_another(tmp_path):
    service = Service(open_sqlite(tmp_path), SystemClock(), lease_seconds=2.0)
    (north,) = service.found(sites=["north"], quorum=1)
    service.open()
    service.submit(north, YES)
    command = [sys.executable, "-c", KILLED_WHILE_AGGREGATING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout.readline() == "encoding\n"
        time.sleep(2.5)
        assert not service.worker.run_once(), "the heartbeat of the living process keeps its lease"
        process.kill()
    until = time.monotonic() + 20
    while not service.worker.run_once():
        assert time.monotonic() < until
        time.sleep(0.1)
    assert service.state() == "published"
    service.store.close()


def test_everything_is_there_after_a_restart(tmp_path):
    before = Service(open_sqlite(tmp_path))
    north, south = before.found(sites=["north", "south"])
    before.open()
    before.submit(north, YES)
    before.store_answers(south, {"p-0": "Yes."})
    before.store.close()

    after = Service(open_sqlite(tmp_path), before.clock)
    assert after.submissions.held(south, "clinics", 1).answers[0].prompt_id == "p-0"
    after.store_answers(south, YES)
    after.seal(south)
    assert after.worker.run_once()
    labels = after.labels(caller=north)
    after.store.close()

    again = Service(open_sqlite(tmp_path), before.clock)
    assert again.labels(caller=south) == labels
    assert again.events()[-1] == "round.published"
    again.store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_database_publishes_the_same_bytes(kind, tmp_path):
    from consensus_server.backends.store import SqlStore
    from tests.support.databases import empty_engine

    streams = []
    for name, store in (("reference", open_sqlite(tmp_path)), ("tested", None)):
        folder = tmp_path / name
        folder.mkdir()
        service = Service(store or SqlStore(empty_engine(kind, folder)))
        sites = service.found(sites=["a", "B", "c"], prompts=12)
        service.open()
        for place, site in enumerate(sites):
            service.submit(
                site, {f"p-{i}": f"It is {'so' if (i * (place + 1)) % 3 else 'not so'}, I say." for i in range(12)}
            )
        assert service.worker.run_once()
        streams.append(service.labels())
        service.store.close()
    assert streams[0] == streams[1]
