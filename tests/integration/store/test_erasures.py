"""Erasure on each database: what is gone, what stays provable, and who has to wait."""

import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import text

from client_kit.wire import content_digest
from consensus_server.backends.store import SqlStore
from consensus_server.core.consensus.records import Policy
from consensus_server.core.errors import Forbidden, RoundInProgress, SealMismatch
from consensus_server.service.audit import checked
from consensus_server.service.checking import published_rounds
from tests.support.databases import DATABASES, empty_engine
from tests.support.service import OPERATOR, Service

MARK = "marker-0123456789 is what north alone said"
SHARED = "both said this"


@pytest.fixture
def service(request, tmp_path):
    store = SqlStore(empty_engine(getattr(request, "param", "sqlite"), tmp_path))
    yield Service(store)
    store.close()


on_each_database = pytest.mark.parametrize("service", DATABASES, indirect=True)
"""Where locks and what SQL says matter; the rest is the same code."""


def found(service, name="clinics", **terms):
    policy = Policy(abstain=False, contradictions="none")
    return service.found(name, sites=("north", "south"), quorum=2, policy=policy, **terms)


def publish(service, sites, number=1):
    """Prompt 0: north alone says it; 1: both say it; 2: south alone."""
    north, south = sites
    service.open(north.federation)
    service.submit(north, {"p-0": MARK, "p-1": SHARED}, number)
    service.submit(south, {"p-1": SHARED, "p-2": "south alone"}, number)
    assert service.worker.run_once()


def vectors(service, *texts):
    return len(service.store.embeddings.get(service.encoder.identity.digest, map(content_digest, texts)))


@on_each_database
def test_what_only_the_participant_said_goes_and_what_it_sealed_stays_provable(service):
    sites = north, south = found(service)
    publish(service, sites)
    before = service.pseudo_labels.page(OPERATOR, "clinics", 1).items
    card, sealed = service.pseudo_labels.card(OPERATOR, "clinics", 1), service.seal(north)
    (erased,) = service.erasures.erase(north, "clinics", "north")
    assert (erased.round, erased.answers, erased.labels) == (1, 2, sum(label.text == MARK for label in before))
    assert (erased.count, erased.digest) == (sealed.count, sealed.digest)
    after = service.pseudo_labels.page(south, "clinics", 1).items
    assert after == tuple(replace(label, text=None, erased=True) if label.text == MARK else label for label in before)
    assert after != before
    assert service.submissions.held(north, "clinics", 1).answers == ()
    assert (vectors(service, MARK), vectors(service, SHARED)) == (0, 1)
    assert service.pseudo_labels.card(OPERATOR, "clinics", 1) == replace(card, erased=(erased,))
    assert all(sound for _, sound in published_rounds(service.store))
    explained = service.pseudo_labels.explain(OPERATOR, "clinics", 1, "p-0")
    assert MARK not in str(explained)


def test_an_erasure_is_one_line_of_the_audit_record_and_repeated_changes_nothing(service):
    sites = north, _ = found(service)
    publish(service, sites)
    first = service.erasures.erase(OPERATOR, "clinics", "north")
    head = checked(service.store)
    assert service.erasures.erase(north, "clinics", "north") == first
    assert checked(service.store) == head
    with service.store.reading() as tx:
        lines = [line for line in tx.audit.lines() if '"participant.erased"' in line]
    assert len(lines) == 1
    assert MARK not in lines[0]


@on_each_database
def test_two_erasures_at_once_are_one(service):
    sites = found(service)
    publish(service, sites)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(service.erasures.erase(OPERATOR, "clinics", "north")))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert results[0] == results[1]
    assert results[0][0].answers == 2


def test_sealed_answers_are_not_erased_before_they_are_decided_on_and_others_are(service):
    north, south = found(service)
    service.open()
    service.store_answers(north, {"p-0": MARK})
    assert service.erasures.erase(north, "clinics", "north") == ()
    assert service.submissions.held(north, "clinics", 1).answers == ()
    service.submit(north, {"p-0": MARK})
    with pytest.raises(RoundInProgress, match="Round 1 is open"):
        service.erasures.erase(north, "clinics", "north")
    service.submit(south, {"p-0": "another"})
    claim = service.aggregation.claim()
    with pytest.raises(RoundInProgress, match="Round 1 is aggregating"):
        service.erasures.erase(OPERATOR, "clinics", "south")
    service.aggregation.aggregate(claim)
    assert service.erasures.erase(north, "clinics", "north")[0].answers == 1


@on_each_database
def test_an_erasure_while_a_worker_is_at_work_is_refused_or_done_and_nothing_between(service):
    """Asked again until it is done, it is done once the round is published; the labels were decided with the answers."""
    north, south = found(service)
    service.open()
    service.submit(north, {"p-0": MARK})
    service.submit(south, {"p-0": MARK})
    stop, refused = threading.Event(), 0
    worker = threading.Thread(target=service.worker.run, args=(stop,))
    worker.start()
    try:
        while True:
            try:
                (erased,) = service.erasures.erase(north, "clinics", "north")
                break
            except RoundInProgress:
                refused += 1
                time.sleep(0.02)
    finally:
        stop.set()
        worker.join()
    assert erased.answers == 1
    assert service.label_texts()["p-0"] == MARK  # south said so too
    assert service.pseudo_labels.page(OPERATOR, "clinics", 1).items[0].support == 2


@on_each_database
def test_a_text_that_another_federation_holds_keeps_its_vectors(service):
    sites = found(service)
    publish(service, sites)
    service.federations.create(OPERATOR, replace(service.federations.get(OPERATOR, "clinics").terms, name="others"))
    other = service.join("far", federation="others")
    service.open("others")
    service.store_answers(other, {"p-0": MARK})
    service.erasures.erase(OPERATOR, "clinics", "north")
    assert vectors(service, MARK) == 1
    service.erasures.erase(OPERATOR, "others", "far")
    assert vectors(service, MARK) == 0


def test_nobody_erases_anothers_answers_and_erased_ones_stand_for_no_later_round(service):
    sites = north, south = found(service)
    publish(service, sites)
    with pytest.raises(Forbidden):
        service.erasures.erase(south, "clinics", "north")
    sealed = service.seal(north)
    service.erasures.erase(north, "clinics", "north")
    service.open()
    with pytest.raises(SealMismatch, match="0 answers are held"):
        service.submissions.seal(north, "clinics", 2, count=sealed.count, digest=sealed.digest, carried_from=1)
    publish_next = {"p-0": "anew"}
    service.submit(north, publish_next, 2)
    service.submit(south, publish_next, 2)
    assert service.worker.run_once()
    assert service.label_texts(2)["p-0"] == "anew"


def test_answers_go_once_they_were_kept_as_long_as_agreed_and_no_day_earlier(service):
    sites = found(service, answers_kept_days=90)
    publish(service, sites)
    service.clock.advance(89 * 86_400)
    publish(service, sites, 2)
    assert service.erasures.sweep() == 0
    service.clock.advance(86_400)
    assert service.erasures.sweep() == 4
    assert service.erasures.sweep() == 0
    left = [len(service.submissions.held(sites[0], "clinics", number).answers) for number in (1, 2)]
    assert left == [0, 2]
    assert service.label_texts()["p-0"] == MARK  # round 2 still holds the sentence
    service.clock.advance(89 * 86_400)
    assert service.erasures.sweep() == 4
    assert set(service.label_texts().values()) == set(service.label_texts(2).values()) == {None}
    assert all(sound for _, sound in published_rounds(service.store))
    with service.store.reading() as tx:
        assert sum('"answers.expired"' in line for line in tx.audit.lines()) == 4


def test_no_byte_of_it_stays_in_the_files_of_the_database(service, tmp_path):
    """PostgreSQL keeps deleted rows until it is vacuumed; docs/security-and-privacy.md says so."""
    prompts, marker = 24, "marker-0123456789"
    north, south = service.found(prompts=prompts, sites=("north", "south"), quorum=2)
    service.open()
    service.submit(north, {f"p-{i}": f"{i} {marker} " * (1 + i % 9) for i in range(prompts)})
    service.submit(south, {f"p-{i}": f"{i} south " * (1 + i % 9) for i in range(prompts)})
    assert service.worker.run_once()
    service.erasures.erase(north, "clinics", "north")
    files = {file.name: file.read_bytes().count(marker.encode()) for file in tmp_path.glob("consensus.sqlite3*")}
    assert sum(files.values()) == 0, files
    with service.store._engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM answers")) == prompts
