"""Claims, leases, crashes, and what is published."""

import hashlib
import itertools
import threading

import numpy as np
import pytest

from client_kit.vocabulary import AggregationStep
from client_kit.wire import PseudoLabel, pseudo_labels_digest
from consensus_server.backends.encoders.hashing import HashingEncoder
from consensus_server.core.consensus.records import Policy
from consensus_server.core.errors import RoundFailed, RoundNotPublished, StoreUnavailable
from consensus_server.service import aggregation as aggregation_module
from consensus_server.service import progress
from consensus_server.service.aggregation import Aggregation, Result
from tests.support.databases import open_sqlite
from tests.support.service import OPERATOR, Service

LONDON = "The capital is London."
PARIS = "It is Paris, surely, on the Seine."


class CountingEncoder(HashingEncoder):
    def __init__(self):
        self.texts = []

    def encode_with_openings(self, texts):
        self.texts += texts
        return super().encode_with_openings(texts)


class BrokenEncoder(HashingEncoder):
    def encode_with_openings(self, texts):
        raise RuntimeError("the password is hunter2")


class OtherEncoder(HashingEncoder):
    @property
    def identity(self):
        from dataclasses import replace

        return replace(super().identity, weights="another")


def closed_round(service, texts=(LONDON, LONDON, PARIS), **terms):
    """Round 1 with one site for each text to `p-0`, all sealed."""
    sites = service.found(sites=[f"site-{i}" for i in range(len(texts))], **terms)
    service.open()
    for site, text in zip(sites, texts, strict=True):
        service.submit(site, {"p-0": text})
    assert service.state() == "closed"
    return sites


def labels_by_prompt(service):
    return {each.prompt_id: each for each in service.pseudo_labels.page(OPERATOR, "clinics", 1).items}


def test_how_far_it_is_is_told_in_the_round_and_its_events(service, monkeypatch):
    monkeypatch.setattr(progress, "TOLD_SECONDS", 0.0)
    monkeypatch.setattr(progress, "EVENT_SECONDS", 0.0)
    closed_round(service)
    assert service.worker.run_once()
    told = [event.round.progress for event in service.rounds.events_after(OPERATOR, "clinics", 1, 0)]
    steps = [each.step for each in told if each is not None]
    assert list(dict.fromkeys(steps)) == list(AggregationStep)
    assert all(0 <= each.done <= each.total for each in told if each is not None)
    assert service.rounds.get(OPERATOR, "clinics", 1).progress is None, "it is over"
    assert service.events()[-1] == "round.published"


def test_a_worker_that_lost_its_lease_finds_out_when_it_tells(service, monkeypatch):
    monkeypatch.setattr(progress, "TOLD_SECONDS", 0.0)
    closed_round(service)
    first = service.aggregation.claim()
    service.clock.advance(120)
    assert service.aggregation.claim() is not None
    assert service.aggregation.aggregate(first).result is Result.LOST


def test_a_closed_round_becomes_published(service):
    closed_round(service)
    service.clock.advance(3)
    assert service.worker.run_once()
    assert not service.worker.run_once()
    published = service.rounds.get(OPERATOR, "clinics", 1)
    assert (published.state, published.published_at) == ("published", service.clock.now())
    assert service.events()[-2:] == ["round.aggregating", "round.published"]


def test_the_label_is_what_most_mean_and_prompts_without_answers_abstain(service):
    closed_round(service)
    service.worker.run_once()
    labels = labels_by_prompt(service)
    assert list(labels) == ["p-0", "p-1", "p-2"]
    assert (labels["p-0"].text, labels["p-0"].support, labels["p-0"].abstention) == (LONDON, 2.0, None)
    assert labels["p-0"].digest == hashlib.sha256(LONDON.encode()).hexdigest()
    assert [cluster.answers for cluster in labels["p-0"].clusters] == [2, 1]
    assert (labels["p-1"].text, labels["p-1"].abstention, labels["p-1"].confidence) == (None, "no_answers", 0.0)


def test_the_bytes_that_are_streamed_have_the_digest_that_clients_compute(service):
    closed_round(service)
    service.worker.run_once()
    stream = service.labels()
    etag = service.rounds.get(OPERATOR, "clinics", 1).labels
    assert hashlib.sha256(stream).hexdigest() == etag
    assert pseudo_labels_digest([PseudoLabel.model_validate_json(line) for line in stream.splitlines()][::-1]) == etag


def test_neither_order_of_arrival_nor_of_prompts_nor_names_change_a_byte(tmp_path):
    texts = [
        {"p-0": LONDON, "p-2": "Two."},
        {"p-2": "Two, I think.", "p-0": PARIS},
        {"p-1": "Alone.", "p-0": LONDON},
        {"p-0": "The capital is: London.", "p-2": "Three."},
    ]
    streams = set()
    for run, order in enumerate(itertools.islice(itertools.permutations(range(4)), 0, 24, 5)):
        folder = tmp_path / str(run)
        folder.mkdir()
        service = Service(open_sqlite(folder))
        names = sorted({f"site-{hashlib.md5(bytes([run, i])).hexdigest()}" for i in range(4)})
        sites = service.found(sites=names)
        service.open()
        for place in order:
            for prompt_id, text in sorted(texts[place].items(), reverse=bool(run % 2)):
                service.store_answers(sites[place], {prompt_id: text})
        for place in order[::-1]:
            service.seal(sites[place])
        assert service.worker.run_once()
        streams.add(service.labels())
        service.store.close()
    assert len(streams) == 1


def test_answers_that_were_not_sealed_enter_no_pool(service):
    north, south, east = service.found(sites=["north", "south", "east"])
    service.open()
    for site in (north, south):
        service.submit(site, {"p-0": LONDON})
    service.store_answers(east, {"p-0": PARIS, "p-1": "Yes."})
    service.rounds.close(OPERATOR, "clinics", 1)
    service.worker.run_once()
    counts = service.pseudo_labels.card(OPERATOR, "clinics", 1).counts
    assert (counts.submissions, counts.answers) == (2, 2)
    assert labels_by_prompt(service)["p-1"].abstention == "no_answers"


def test_two_samples_of_one_participant_are_one_vote(service):
    north, south, east = service.found(sites=["north", "south", "east"], samples_per_prompt=2)
    service.open()
    service.submit(north, {("p-0", 0): PARIS, ("p-0", 1): PARIS + " Yes."})
    for site in (south, east):
        service.submit(site, {"p-0": LONDON})
    service.worker.run_once()
    label = labels_by_prompt(service)["p-0"]
    assert (label.text, label.support) == (LONDON, 2.0)
    assert sum(cluster.votes for cluster in label.clusters) == pytest.approx(3)
    fates = service.pseudo_labels.explain(north, "clinics", 1, "p-0").answers
    assert [(fate.participant, fate.sample, fate.chosen) for fate in sorted(fates, key=lambda fate: fate.sample)] == [
        ("north", 0, False),
        ("north", 1, False),
    ]


def test_each_text_is_encoded_once_and_never_again(tmp_path):
    encoder = CountingEncoder()
    service = Service(open_sqlite(tmp_path), encoder=encoder)
    closed_round(service)
    service.worker.run_once()
    asked = {f"Question {number}?" for number in range(3)}  # guards compare answers with their prompts
    assert sorted(encoder.texts) == sorted({LONDON, PARIS} | asked)
    service.found("banks", sites=["a", "b"])
    service.open("banks")
    for site in (service.join("c", federation="banks"), service.join("d", federation="banks")):
        service.submit(site, {"p-1": PARIS})
    service.rounds.close(OPERATOR, "banks", 1)
    service.worker.run_once()
    counts = service.pseudo_labels.card(OPERATOR, "banks", 1).counts
    assert (counts.encoded, counts.reused, len(encoder.texts)) == (0, 1, 2 + len(asked))


def test_two_workers_and_one_round_make_one_claim(service):
    closed_round(service)
    assert service.aggregation.claim() is not None
    assert service.aggregation.claim() is None


def test_rounds_are_claimed_in_the_order_in_which_they_closed(service):
    (bank,) = service.found("banks", sites=["bank"], quorum=1)
    service.open("banks")
    closed_round(service)
    service.clock.advance(1)
    service.submit(bank, {"p-0": "Yes."})
    assert [service.aggregation.claim().federation.name for _ in range(2)] == ["clinics", "banks"]


def test_a_worker_that_dies_leaves_its_round_to_the_next(service):
    closed_round(service)
    service.aggregation.claim()
    service.clock.advance(59)
    assert service.aggregation.claim() is None
    service.clock.advance(1)
    assert service.worker.run_once()
    assert service.state() == "published"
    assert service.events()[-3:] == ["round.aggregating", "round.aggregating", "round.published"]


def test_a_round_that_loses_every_worker_fails_and_an_operator_can_retry(service):
    closed_round(service)
    for _ in range(3):
        assert service.aggregation.claim() is not None
        service.clock.advance(60)
    assert not service.worker.run_once()
    failed = service.rounds.get(OPERATOR, "clinics", 1)
    assert (failed.state, failed.failure.code) == ("failed", "aggregation_failed")
    assert "3 workers in a row were lost" in failed.failure.detail
    assert service.events()[-1] == "round.failed"
    service.rounds.close(OPERATOR, "clinics", 1)
    assert service.worker.run_once()
    assert service.state() == "published"


def test_rounds_given_back_in_order_are_not_counted_as_lost(service):
    closed_round(service)
    stop = threading.Event()
    stop.set()
    for _ in range(5):
        assert service.aggregation.aggregate(service.aggregation.claim(), stop).result is Result.STOPPED
    assert service.worker.run_once()
    assert service.state() == "published"


def test_a_worker_whose_lease_was_taken_publishes_nothing(service):
    closed_round(service)
    slow = service.aggregation.claim()
    service.clock.advance(60)
    fast = service.aggregation.claim()
    assert service.aggregation.aggregate(slow).result is Result.LOST
    assert service.state() == "aggregating"
    assert service.aggregation.aggregate(fast).result is Result.PUBLISHED
    before = service.labels()
    assert service.aggregation.aggregate(slow).result is Result.LOST
    assert service.labels() == before
    assert service.events().count("round.published") == 1


def test_a_late_worker_still_publishes_when_nobody_took_its_round(service):
    closed_round(service)
    claim = service.aggregation.claim()
    service.clock.advance(600)
    assert service.aggregation.aggregate(claim).result is Result.PUBLISHED


def test_the_heartbeat_keeps_a_lease_through_long_work(tmp_path, monkeypatch):
    class SlowEncoder(HashingEncoder):
        """Lets the clock run far beyond the lease, but never further than the next beat."""

        def encode_with_openings(self, texts):
            for _ in range(5):
                service.clock.advance(0.1)
                assert all(beats.acquire(timeout=20) for _ in range(2))  # the first may have begun before
                assert other.claim() is None
            return super().encode_with_openings(texts)

    beats = threading.Semaphore(0)
    service = Service(open_sqlite(tmp_path), encoder=SlowEncoder(), lease_seconds=0.15)
    other = Aggregation(service.store, service.store.embeddings, service.encoder, service.clock)
    closed_round(service)
    renew = service.aggregation._renew
    monkeypatch.setattr(service.aggregation, "_renew", lambda claim: (renew(claim), beats.release())[0])
    assert service.aggregation.aggregate(service.aggregation.claim()).result is Result.PUBLISHED


def test_a_crash_in_the_middle_of_publishing_leaves_nothing_behind(service, monkeypatch):
    closed_round(service)
    claim = service.aggregation.claim()

    def crash(tx, round_, now):
        raise KeyboardInterrupt

    monkeypatch.setattr(aggregation_module, "record", crash)
    with pytest.raises(KeyboardInterrupt):
        service.aggregation.aggregate(claim)
    monkeypatch.undo()
    assert service.state() == "aggregating"
    with service.store.reading() as tx:
        assert tx.labels.lines(claim.round, after="", limit=10) == ()
        assert tx.labels.card(claim.round) is None
    service.clock.advance(60)
    assert service.worker.run_once()
    assert service.state() == "published"


def test_a_failing_encoder_fails_the_round_without_telling_its_secrets(tmp_path):
    service = Service(open_sqlite(tmp_path), encoder=BrokenEncoder())
    (north, *_) = closed_round(service)
    assert service.worker.run_once()
    failed = service.rounds.get(OPERATOR, "clinics", 1)
    assert (failed.state, failed.failure.code) == ("failed", "aggregation_failed")
    assert "RuntimeError" in failed.failure.detail
    assert "hunter2" not in failed.failure.detail
    with pytest.raises(RoundFailed):
        service.pseudo_labels.published(north, "clinics", 1)
    repaired = Service(service.store, service.clock)
    repaired.rounds.close(OPERATOR, "clinics", 1)
    assert repaired.worker.run_once()
    assert repaired.state() == "published"


def test_another_encoder_than_the_pinned_one_is_refused_with_the_remedy(service):
    closed_round(service)
    other = Service(service.store, service.clock, OtherEncoder())
    assert other.worker.run_once()
    failure = other.rounds.get(OPERATOR, "clinics", 1).failure
    assert "pinned to the encoder" in failure.detail
    assert "closes the round again" in failure.detail


def test_a_worker_that_is_asked_to_stop_gives_its_round_back_at_once(service):
    closed_round(service)
    stop = threading.Event()
    stop.set()
    assert service.aggregation.aggregate(service.aggregation.claim(), stop).result is Result.STOPPED
    assert service.worker.run_once()
    assert service.state() == "published"


def test_the_loop_works_until_it_is_stopped_and_survives_errors(service, monkeypatch):
    closed_round(service)
    settle_all, failures = service.rounds.settle_all, [OSError("the disk is away")]

    def flaky():
        if failures:
            raise failures.pop()
        settle_all()

    monkeypatch.setattr(service.rounds, "settle_all", flaky)
    stop, aggregated = threading.Event(), threading.Event()
    monkeypatch.setattr(service.worker, "_on_aggregated", lambda _: aggregated.set())
    thread = threading.Thread(target=service.worker.run, args=(stop,))
    thread.start()
    try:
        assert aggregated.wait(10)
    finally:
        stop.set()
        thread.join(10)
    assert service.rounds.get(OPERATOR, "clinics", 1).state == "published"
    assert not thread.is_alive()


def test_the_worker_tells_what_became_of_each_round(service):
    from consensus_server.service.worker import AggregationWorker

    closed_round(service)
    told = []
    AggregationWorker(service.aggregation, service.rounds, on_aggregated=told.append).run_once()
    assert [(each.federation, each.number, each.result) for each in told] == [("clinics", 1, "published")]
    assert told[0].seconds > 0


def test_equal_vectors_decide_alike_whatever_else_is_in_the_store(service):
    closed_round(service)
    vector = HashingEncoder().encode_with_openings([LONDON])[0][0]
    service.store.embeddings.put("another encoder", {hashlib.sha256(PARIS.encode()).hexdigest(): vector})
    service.worker.run_once()
    assert labels_by_prompt(service)["p-0"].support == 2.0


def test_before_publication_there_is_nothing_to_fetch(service):
    (north, *_) = closed_round(service)
    for attempt in (
        lambda: service.pseudo_labels.published(north, "clinics", 1),
        lambda: service.pseudo_labels.page(north, "clinics", 1),
        lambda: service.pseudo_labels.stream(north, "clinics", 1),
        lambda: service.pseudo_labels.explain(north, "clinics", 1, "p-0"),
        lambda: service.pseudo_labels.card(north, "clinics", 1),
    ):
        with pytest.raises(RoundNotPublished, match="closed"):
            attempt()


def test_the_policy_of_the_federation_decides(service):
    closed_round(service, (LONDON, PARIS, "Berlin."), policy=Policy(abstain=False, confidence="mean_similarity"))
    service.worker.run_once()
    label = labels_by_prompt(service)["p-0"]
    assert label.text in {LONDON, PARIS, "Berlin."}
    assert label.confidence_method == "mean_similarity"


def test_a_text_without_content_is_kept_out_and_its_author_told(service):
    north, *_ = closed_round(service, (" \n", LONDON, LONDON))
    service.worker.run_once()
    (fate,) = service.pseudo_labels.explain(north, "clinics", 1, "p-0").answers
    assert (fate.admitted, fate.gate, fate.cluster, fate.similarity) == (False, "empty", None, None)
    counts = service.pseudo_labels.card(OPERATOR, "clinics", 1).counts
    assert (counts.answers, counts.admitted) == (3, 2)


def test_vectors_are_kept_under_the_encoder_s_digest(service):
    closed_round(service)
    service.worker.run_once()
    digest = hashlib.sha256(LONDON.encode()).hexdigest()
    kept = service.store.embeddings.get(service.encoder.identity.digest, [digest])
    np.testing.assert_array_equal(kept[digest], service.encoder.encode_with_openings([LONDON])[0][0])


class Away:
    """A store whose database is away for some transactions."""

    def __init__(self, store, failures):
        self._store, self.failures = store, failures

    def __getattr__(self, name):
        return getattr(self._store, name)

    def reading(self):
        self._fail()
        return self._store.reading()

    def writing(self):
        self._fail()
        return self._store.writing()

    def _fail(self):
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("connection refused")


@pytest.mark.parametrize("failures", [1, 3])
def test_a_database_that_is_away_for_a_while_costs_the_round_nothing(service, monkeypatch, failures):
    monkeypatch.setattr(aggregation_module, "AWAY_SECONDS", 0.0)
    sites = service.found(sites=("ann", "bob"), quorum=2)
    service.open()
    for site in sites:
        service.submit(site, {"p-0": "yes"})
    claim = service.aggregation.claim()
    service.aggregation._store = away = Away(service.store, failures)
    assert service.aggregation.aggregate(claim).result == "stopped"
    assert (service.rounds.get(OPERATOR, "clinics", 1).claims, away.failures) == (0, 0)
    assert service.worker.run_once()
    assert service.state() == "published"
