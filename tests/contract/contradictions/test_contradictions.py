"""What everything that tells contradictions promises (consensus_server.ports.Contradictions), held against what ships."""

from itertools import combinations, permutations

import pytest

from consensus_server.core.contradictions.findings import Finding
from consensus_server.core.contradictions.words import WordContradictions

TEXTS = [
    "The usual dose is 5 mg once daily.",
    "The usual dose is 50 mg once daily.",
    "The drug is not safe in pregnancy.",
    "The drug is safe in pregnancy.",
    "",
    "שלום",
]
PROMPT = "Is the drug safe in pregnancy?"


@pytest.fixture(params=[WordContradictions])
def adapter(request):
    return request.param()


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


def test_equal_identities_give_equal_findings(adapter):
    other = type(adapter)()
    assert other.identity == adapter.identity
    assert adapter.identity.isascii()
    assert adapter.identity
    assert other.between(TEXTS, PROMPT) == adapter.between(TEXTS, PROMPT)
