"""Federations whose contradictions a model tells: what is pinned, what happens where it is gone, and that nothing is asked twice."""

import json
from contextlib import contextmanager
from dataclasses import replace

import pytest

from consensus_server.backends.contradictions import SecondTier
from consensus_server.backends.store.schema import features
from consensus_server.core.consensus.records import Policy
from consensus_server.core.contradictions.doubts import Verdict
from consensus_server.core.contradictions.words import WordContradictions
from consensus_server.core.errors import ComparisonFailed, NotReady, UnknownRule
from consensus_server.core.lifecycle import RoundState
from consensus_server.service.contradictions import Comparisons
from tests.support.databases import open_sqlite
from tests.support.service import OPERATOR, Service

BLUE, GREY = {"p-0": "Take the blue tablet."}, {"p-0": "Take the grey tablet."}
ASKING = Policy(guards=False, reliability=False, distance_short=1.9, contradictions="nli:tiny")


class Model:
    """Says that what it is asked contradicts, where it can be asked."""

    kind = "nli"
    version = "a" * 64

    def __init__(self, store):
        self.asked, self.out, self.store = [], None, store

    def verdicts(self, doubts):
        assert not self.store.under_way, "a model is asked while a transaction is open"
        if self.out:
            raise ComparisonFailed(self.out)
        self.asked += doubts
        return [Verdict.CONTRADICTION for _ in doubts]


class Watched:
    """A store that knows whether a transaction is open."""

    def __init__(self, store):
        self._store, self.under_way = store, 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    @contextmanager
    def _watched(self, transaction):
        with transaction as tx:
            self.under_way += 1
            try:
                yield tx
            finally:
                self.under_way -= 1

    def reading(self):
        return self._watched(self._store.reading())

    def writing(self):
        return self._watched(self._store.writing())


@pytest.fixture
def store(tmp_path):
    opened = open_sqlite(tmp_path)
    yield Watched(opened)
    opened.close()


@pytest.fixture
def model(store):
    return Model(store)


@pytest.fixture
def service(store, model):
    def made():
        if model.out == "missing":
            raise ComparisonFailed("the model folder /srv/secret/tiny does not exist.")
        return SecondTier("nli:tiny", model, store.features)

    return Service(store, comparisons=Comparisons(lambda: {"nli:tiny": made, "judge:wise": made}))


def opened(service, *answers, policy=ASKING, **terms):
    sites = service.found(sites=[f"site-{i}" for i in range(len(answers))], prompts=1, policy=policy, **terms)
    service.open()
    for site, texts in zip(sites, answers, strict=True):
        service.submit(site, texts)
    service.worker.run_once()
    return sites


def failure(service, number=1):
    round_ = service.rounds.get(OPERATOR, "clinics", number)
    assert round_.state is RoundState.FAILED
    return round_.failure


def test_the_policy_holds_the_model_and_the_card_shows_it(service, model):
    opened(service, BLUE, GREY)
    (federation,) = service.federations.all(OPERATOR)
    assert federation.terms.policy.contradictions == f"nli:tiny-1-aaaaaaaaaaaa+{WordContradictions().identity}"
    card = service.pseudo_labels.card(OPERATOR, "clinics", 1)
    assert card.policy.contradictions == federation.terms.policy.contradictions
    assert len(model.asked) == 1


def test_what_only_a_model_tells_is_no_agreement(service):
    opened(service, BLUE, GREY)
    assert "text" not in json.loads(service.labels())
    (told,) = service.pseudo_labels.explain(OPERATOR, "clinics", 1, "p-0").contests
    assert (told.kind, {told.words_first, told.words_second}) == ("nli", {"blue", "grey"})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nli:other", r"there is no 'nli:other'; known are none, words, judge:wise, nli:tiny\."),
        ("nli:tiny", r"'nli:tiny' cannot be used: the model folder .* does not exist\."),
    ],
)
def test_a_model_that_is_not_there_is_refused_when_the_federation_is_made(service, model, name, told):
    model.out = "missing"
    with pytest.raises(UnknownRule, match=told) as refused:
        service.found(policy=replace(ASKING, contradictions=name))
    assert refused.value.faults[0].where == "policy.contradictions"


@pytest.mark.parametrize("gone", [True, False])
def test_a_model_that_is_gone_or_changed_decides_nothing(service, model, gone):
    sites = opened(service, BLUE, GREY)
    service.open()
    for site in sites:
        service.submit(site, BLUE, number=2)
    if gone:
        model.out = "missing"
    else:
        model.version = "b" * 64
    service.worker.run_once()
    told = failure(service, 2)
    assert told.code == "contradictions_changed"
    assert ("nli:tiny-1-bbbbbbbbbbbb" in told.detail, "/srv" in told.detail) == (not gone, False)
    with pytest.raises(UnknownRule, match="the same answers might get other labels"):
        service.rounds.close(OPERATOR, "clinics", 2)


def test_a_judge_that_is_out_fails_the_round_which_is_closed_again(service, model):
    model.out = "http://10.0.0.7/v1 does not answer"
    opened(service, BLUE, GREY)
    told = failure(service)
    assert told.code == "contradictions_unavailable"
    assert "10.0.0.7" not in told.detail
    model.out = None
    service.rounds.close(OPERATOR, "clinics", 1)
    service.worker.run_once()
    assert service.state() is RoundState.PUBLISHED
    assert len(model.asked) == 1


def test_an_answer_of_a_taught_model_departs_where_the_model_says_so(service, model):
    """Asked before and after what is read, never meanwhile: `Model` would fail."""
    sites = opened(service, BLUE, BLUE)
    service.open()
    service.submit(sites[0], GREY, number=2, taught_through=1)
    service.submit(sites[1], BLUE, number=2)
    service.worker.run_once()
    assert service.state(2) is RoundState.PUBLISHED
    assert len(model.asked) == 1
    assert "text" not in json.loads(service.labels(2))


def test_what_if_asks_nobody_but_the_model_that_decided(service, model):
    opened(service, BLUE, GREY)
    asked = len(model.asked)
    found = service.inspection.what_if(OPERATOR, "clinics", 1, replace(ASKING, contradictions="words"))
    assert (found.gained, found.lost) == (1, 0)
    assert service.inspection.what_if(OPERATOR, "clinics", 1, ASKING).changed == 0
    assert len(model.asked) == asked
    with pytest.raises(UnknownRule, match=r"there is no 'judge:wise'; known are none, words\."):
        service.inspection.what_if(OPERATOR, "clinics", 1, replace(ASKING, contradictions="judge:wise"))


def test_what_if_says_that_the_model_cannot_be_asked(service, model, store):
    opened(service, BLUE, GREY)
    model.out = "asleep"
    with store._engine.begin() as connection:  # a database whose verdicts were lost
        connection.execute(features.delete())
    with pytest.raises(NotReady, match="cannot be asked now"):
        service.inspection.what_if(OPERATOR, "clinics", 1, ASKING)


def test_what_if_asks_no_model_that_has_the_name_of_the_one_that_decided(service, model):
    opened(service, BLUE, GREY)
    asked = len(model.asked)
    model.version = "b" * 64  # say, an upstream that now stands elsewhere
    with pytest.raises(UnknownRule, match=r"there is no 'nli:tiny'; known are none, words\."):
        service.inspection.what_if(OPERATOR, "clinics", 1, ASKING)
    assert len(model.asked) == asked


def test_what_if_tells_operators_of_a_federation_no_path_of_a_model(service, model):
    opened(service, BLUE, GREY)
    model.out = "missing"
    with pytest.raises(NotReady) as told:
        service.inspection.what_if(OPERATOR, "clinics", 1, ASKING)
    assert "/srv" not in told.value.detail
    words = replace(ASKING, contradictions="words")
    assert service.inspection.what_if(OPERATOR, "clinics", 1, words).gained == 1
