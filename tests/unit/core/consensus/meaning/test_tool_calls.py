"""Calls of tools stand in a pool as one text for all ways of writing them, which no words of a model can be."""

import pytest

from consensus_server.core.consensus.meaning.tool_calls import calls_text, is_calls, of_texts, or_calls


def test_neither_the_order_of_calls_nor_of_names_counts_and_values_do():
    first, second = ("look", {"city": "Paris", "year": 1.0}), ("stop", {})
    assert calls_text([first, second]) == calls_text([second, ("look", {"year": 1.0, "city": "Paris"})])
    assert calls_text([first]) != calls_text([("look", {"city": "Lyon", "year": 1.0})])
    assert calls_text([first]) != calls_text([first, first])


def test_no_text_of_an_upstream_is_taken_for_calls():
    text = calls_text([("look", {})])
    assert is_calls(text)
    assert not is_calls(text.strip())  # as all that upstreams say is


@pytest.mark.parametrize("equivalence", ["semantic", "json", "exact"])
def test_texts_beside_calls_are_compared_as_without_them(equivalence):
    assert of_texts(or_calls(equivalence)) == of_texts(equivalence) == equivalence
