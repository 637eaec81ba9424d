"""What everything that tells contradictions promises (consensus_server.ports.Contradictions), held against what ships."""

from itertools import combinations, permutations

import pytest

from consensus_server.backends.contradictions import Judge, NliModel, SecondTier
from consensus_server.backends.store import SqlFeatureStore
from consensus_server.core.contradictions.findings import Finding
from consensus_server.core.contradictions.words import WordContradictions
from consensus_server.panel_settings import UpstreamSettings
from consensus_server.panel_wiring import build_upstream
from tests.support.databases import sqlite_engine
from tests.support.upstreams import upstream_server

TEXTS = [
    "The usual dose is 5 mg once daily.",
    "The usual dose is 50 mg once daily.",
    "The drug is not safe in pregnancy.",
    "The drug is safe in pregnancy.",
    "",
    "שלום",
]
PROMPT = "Is the drug safe in pregnancy?"


@pytest.fixture
def features(tmp_path):
    engine = sqlite_engine(tmp_path)
    yield SqlFeatureStore(engine)
    engine.dispose()


@pytest.fixture(scope="module")
def judging():
    with upstream_server("NEITHER") as server:
        yield UpstreamSettings(base_url=server.url, model="told")


@pytest.fixture(params=["words", "nli", "judge"])
def make(request, features):
    """make(): another one of the same."""
    if request.param == "words":
        return WordContradictions
    if request.param == "nli":
        folder = request.getfixturevalue("tiny_nli")
        return lambda: SecondTier("nli:tiny", NliModel(str(folder)), features)
    settings = request.getfixturevalue("judging")
    return lambda: SecondTier(
        "judge:told", Judge("told", {"model": "told"}, lambda: build_upstream("told", settings)), features
    )


@pytest.fixture
def adapter(make):
    return make()


def as_texts(texts, found):
    return {
        frozenset({(texts[each.first], each.words_first), (texts[each.second], each.words_second)}) for each in found
    }


def test_it_finds_what_plainly_contradicts_and_leaves_the_rest(adapter):
    found = adapter.between(TEXTS, PROMPT)
    assert [(each.first, each.second) for each in found if each.hard] == [(0, 1), (2, 3)]
    assert all(isinstance(each, Finding) and 0 < each.strength <= 1 and each.kind for each in found)


def test_there_is_one_finding_a_pair_by_places_in_order(adapter):
    places = [(each.first, each.second) for each in adapter.between(TEXTS * 2, PROMPT)]
    assert places == sorted(set(places))
    assert set(places) <= set(combinations(range(2 * len(TEXTS)), 2))


def test_copies_never_differ(adapter):
    for text in TEXTS:
        assert adapter.between([text] * 3, PROMPT) == []


def test_neither_order_nor_company_changes_a_finding(adapter):
    alone = as_texts(TEXTS[:2], adapter.between(TEXTS[:2], PROMPT))
    for order in permutations(TEXTS[:4]):
        found = adapter.between(order, PROMPT)
        assert as_texts(order, found) == as_texts(TEXTS[:4], adapter.between(TEXTS[:4], PROMPT))
        assert alone <= as_texts(order, found)


@pytest.mark.parametrize("pool", [[], [""], ["", ""], ["one"]])
@pytest.mark.parametrize("prompt", ["", PROMPT])
def test_small_pools_hold_nothing(adapter, pool, prompt):
    assert adapter.between(pool, prompt) == []


def test_equal_identities_give_equal_findings(adapter, make):
    other = make()
    assert other.identity == adapter.identity
    assert adapter.identity.isascii()
    assert adapter.identity
    assert other.between(TEXTS, PROMPT) == adapter.between(TEXTS, PROMPT)
