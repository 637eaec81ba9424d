"""Words first, then a model: what it is asked, what is kept, and what a round that is decided again gets."""

import pytest

from consensus_server.backends.contradictions import SecondTier
from consensus_server.backends.contradictions import second_tier as module
from consensus_server.backends.store import SqlFeatureStore
from consensus_server.core.contradictions.doubts import Verdict
from consensus_server.core.contradictions.words import WordContradictions
from consensus_server.core.errors import ComparisonFailed
from tests.support.databases import sqlite_engine

ONE_WORD = ["Take the blue tablet.", "Take the grey tablet."]
MG = ["Give 5 mg of it.", "Give 50 mg of it."]


class Model:
    """Says what it is told, and counts what it is asked."""

    kind = "nli"

    def __init__(self, verdict=Verdict.CONTRADICTION, version="a" * 64):
        self.verdict, self.version, self.asked = verdict, version, []

    def verdicts(self, doubts):
        self.asked += doubts
        if self.verdict is None:
            raise ComparisonFailed("it is out")
        return [self.verdict for _ in doubts]


@pytest.fixture
def features(tmp_path):
    engine = sqlite_engine(tmp_path)
    yield SqlFeatureStore(engine)
    engine.dispose()


def kinds(tier, texts, prompt=""):
    return [(each.first, each.second, each.kind) for each in tier.between(texts, prompt)]


def test_where_words_are_sure_nobody_is_asked(features):
    model = Model(Verdict.SAME)
    tier = SecondTier("nli:x", model, features)
    assert tier.between(MG, "") == WordContradictions().between(MG, "")
    assert model.asked == []


def test_a_doubt_becomes_hard_or_goes_away(features):
    assert kinds(SecondTier("nli:x", Model(), features), ONE_WORD) == [(0, 1, "nli")]
    assert kinds(SecondTier("nli:x", Model(Verdict.SAME, "b" * 64), features), ONE_WORD) == []
    words = WordContradictions().between(ONE_WORD, "")
    assert SecondTier("nli:x", Model(Verdict.NEITHER, "c" * 64), features).between(ONE_WORD, "") == words


def test_the_first_verdict_stays_and_the_model_is_asked_once(features):
    first, second = Model(), Model(Verdict.SAME)
    found = SecondTier("nli:x", first, features).between([*ONE_WORD, *ONE_WORD], "")
    assert len(first.asked) == 1
    assert SecondTier("nli:x", second, features).between([*ONE_WORD, *ONE_WORD], "") == found
    assert second.asked == []


def test_a_worker_that_was_slower_takes_the_verdict_that_is_kept(features):
    class Slow(Model):
        def verdicts(self, doubts):
            SecondTier("nli:x", Model(), features).between(ONE_WORD, "")
            return super().verdicts(doubts)

    assert kinds(SecondTier("nli:x", Slow(Verdict.SAME), features), ONE_WORD) == [(0, 1, "nli")]


def test_where_nothing_may_be_kept_it_is_asked_again():
    model = Model()
    tier = SecondTier("nli:x", model, None)
    assert tier.between(ONE_WORD, "") == tier.between(ONE_WORD, "")
    assert len(model.asked) == 2


def test_an_outage_costs_only_what_was_not_kept_yet(features, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 1)
    model = Model()
    tier = SecondTier("nli:x", model, features)
    tier.between(ONE_WORD, "")
    model.verdict = None
    with pytest.raises(ComparisonFailed, match="it is out"):
        tier.between([*ONE_WORD, "Take the green tablet."], "")
    assert kinds(tier, ONE_WORD) == [(0, 1, "nli")]


def test_the_identity_names_the_model_and_everything_that_a_finding_depends_on():
    words = WordContradictions().identity
    assert SecondTier("nli:x", Model(), None).identity == f"nli:x-1-aaaaaaaaaaaa+{words}"
    assert SecondTier("nli:x", Model(version="b" * 64), None).identity != SecondTier("nli:x", Model(), None).identity
