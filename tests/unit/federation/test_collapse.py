"""Signs of collapse, on answers whose figures can be counted by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_kit.federation.collapse import (
    Diversity,
    Precision,
    agreement,
    alarms,
    diversity,
    precision_by_support,
)
from client_kit.settings import CollapseSettings
from client_kit.wire import PseudoLabel

LIMITS = CollapseSettings()


def test_diversity_by_hand():
    found = diversity({"a": "The red fox.", "b": "the RED fox", "c": "a blue bird"})
    # Pairs: the-red red-fox the-red red-fox a-blue blue-bird: 4 distinct of 6.
    assert found.distinct == pytest.approx(4 / 6)
    # a and b hold the same three words, c none of them: pairs (a,b) 1, (a,c) 0, (b,c) 0.
    assert found.overlap == pytest.approx(1 / 3)
    assert found.identical == pytest.approx(2 / 3)


def test_too_little_to_compare_is_as_diverse_as_can_be():
    assert diversity({}) == diversity({"a": "one"}) == Diversity(1.0, 0.0, 0.0)


@given(st.dictionaries(st.text("ab", min_size=1), st.text("xy z", max_size=20), max_size=12))
def test_figures_are_shares_and_the_order_of_prompts_does_not_matter(answers):
    found = diversity(answers)
    assert all(0 <= value <= 1 for value in (found.distinct, found.overlap, found.identical))
    turned = diversity(dict(reversed(list(answers.items()))))
    assert (turned.distinct, turned.identical) == (found.distinct, found.identical)
    assert turned.overlap == pytest.approx(found.overlap)


def test_the_same_answer_to_everything_is_an_alarm_three_times_over():
    first = diversity({"a": "Paris is in France.", "b": "Rome lies in Italy.", "c": "Cats hunt mice."})
    now = diversity(dict.fromkeys("abc", "I do not know that one."))
    assert [alarm.split()[0] for alarm in alarms(now, first, LIMITS)] == ["distinct", "overlap", "identical"]
    assert alarms(first, first, LIMITS) == []


def test_a_model_that_was_always_terse_is_none():
    terse = diversity({"a": "yes", "b": "yes", "c": "no"})
    assert alarms(diversity({"a": "no", "b": "yes", "c": "no"}), terse, LIMITS) == []


def test_agreement_with_the_answers_before():
    assert agreement({"a": "Rome!", "b": "no", "x": "?"}, {"a": "rome", "b": "yes", "y": "?"}) == 0.5
    assert agreement({"a": "Rome"}, {}) is None


def label(prompt_id, text, support):
    return PseudoLabel(
        prompt_id=prompt_id, text=text, confidence=0.5, confidence_method="dominant_share", support=support, share=0.5,
        clusters=[],
    )  # fmt: skip


def test_precision_by_support_counts_labels_with_a_known_answer_only():
    labels = [
        label("a", "It is Rome, of course.", 3.04), label("b", "Milan", 2.96), label("c", "Paris", 2.0),
        label("d", "Oslo", 2.0), label("e", None, 0.0),
    ]  # fmt: skip
    gold = {"a": "Rome", "b": "Rome", "c": "paris", "e": "Bern"}
    assert precision_by_support(labels, gold) == [Precision(3.0, 2, 1), Precision(2.0, 1, 1)]


def test_a_known_answer_is_found_as_words_not_as_letters():
    assert precision_by_support([label("a", "Romeo and Juliet", 2)], {"a": "Rome"})[0].right == 0
    assert precision_by_support([label("a", "in New York City", 2)], {"a": "new york"})[0].right == 1
