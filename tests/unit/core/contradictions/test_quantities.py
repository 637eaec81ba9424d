"""Amounts, frequencies, clock times and dates, in digits or words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus_server.core.contradictions.lexicon import UNITS
from consensus_server.core.contradictions.quantities import (
    Quantity,
    close,
    read_quantities,
    same_dimension,
    usual_tolerance,
)
from consensus_server.core.contradictions.sentences import split, tokens_of

DAY = 86_400


def found(text):
    return [
        each
        for sentence in split(text).sentences
        for each in read_quantities([token.lower() for token in tokens_of(sentence)])[0]
    ]


def only(text):
    (quantity,) = found(text)
    return quantity


@pytest.mark.parametrize(
    ("text", "dimension", "low", "high"),
    [
        ("5 mg", "mass", 0.005, 0.005),
        ("5mg", "mass", 0.005, 0.005),
        ("5-10 mg", "mass", 0.005, 0.01),
        ("5 mg to 10 mg", "mass", 0.005, 0.01),
        ("between 5 and 10 mg", "mass", 0.005, 0.01),
        ("1,000 mg", "mass", 1, 1),
        ("20 ml", "volume", 0.02, 0.02),
        ("1/4 cup", "volume", 0.2365882365 / 4, 0.2365882365 / 4),
        ("5 mg per day", "mass", 0.005, 0.005),
        ("20 m per minute", "length/time", 1 / 3, 1 / 3),
        ("5 mmol/l", "amount/volume", 0.005, 0.005),
        ("37 degrees Celsius", "temperature", 37, 37),
        ("98.6 °F", "temperature", 37, 37),
        ("$5", "money", 5, 5),
        ("5 million dollars", "money", 5e6, 5e6),
        ("5 %", "percent", 5, 5),
        ("two thirds of them", "percent", 200 / 3, 200 / 3),
        ("a third of them", "percent", 100 / 3, 100 / 3),
        ("twenty-one days", "time", 21 * DAY, 21 * DAY),
        ("three and a half days", "time", 3.5 * DAY, 3.5 * DAY),
        ("two hundred and five beds", "n:bed", 205, 205),
        ("a dozen beds", "n:bed", 12, 12),
        ("one tablet", "n:tablet", 1, 1),
        ("twice a day", "frequency", 2, 2),
        ("three times daily", "frequency", 3, 3),
        ("every other day", "frequency", 0.5, 0.5),
        ("every 6 to 8 hours", "frequency", 3, 4),
        ("weekly", "frequency", 1 / 7, 1 / 7),
        ("14:30", "clock", 14.5, 14.5),
        ("2:30 pm", "clock", 14.5, 14.5),
        ("8 am", "clock", 8, 8),
        ("7 in the evening", "clock", 19, 19),
        ("noon", "clock", 12, 12),
        ("in 1980", "year", 1980, 1980),
        ("17 May", "date", 517, 517),
        ("May 17", "date", 517, 517),
        ("in the 19th century", "century", 19, 19),
        (".5 mg", "mass", 0.0005, 0.0005),
        ("20 ml per hour", "volume/time", 0.02 / 3600, 0.02 / 3600),
        ("half an hour", "time", 1800, 1800),
        ("1 1/2 tablets", "n:tablet", 1.5, 1.5),
        ("-5 °C", "temperature", -5, -5),
        ("12 am", "clock", 0, 0),
        ("12:30 am", "clock", 0.5, 0.5),
        ("8 p.m.", "clock", 20, 20),
        ("May 17th", "date", 517, 517),
    ],
)
def test_a_quantity_is_read_in_its_base_unit(text, dimension, low, high):
    quantity = only(text)
    assert quantity.dimension == dimension
    assert (quantity.low, quantity.high) == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("5 mg", 0),
        ("at least 5 mg", 1),
        ("at most 5 mg", -1),
        ("no more than 5 mg", -1),
        ("not less than 5 mg", 1),
        ("5 mg or more", 1),
        ("5 mg or less", -1),
        ("up to 5 mg", -1),
        ("below 5 mg", -1),
        ("≥ 5 mg", 1),
        ("<5 mg", -1),
    ],
)
def test_a_limit_has_its_direction(text, bound):
    assert only(text).bound == bound


@pytest.mark.parametrize(
    ("text", "loose"),
    [
        ("about 5 mg", True),
        ("5 mg", False),
        ("8 o'clock", True),
        ("8:30", True),
        ("8:30 am", False),
        ("18:30", False),
    ],
)
def test_what_is_hedged_or_ambiguous_is_loose(text, loose):
    assert only(text).loose is loose


def test_a_leading_zero_says_that_the_clock_has_24_hours():
    assert not only("06:30").loose


@pytest.mark.parametrize("text", ["one of them", "the 2nd visit", "once", "no tablets", "each day", "9" * 400 + " mg"])
def test_what_counts_nothing_is_no_quantity(text):
    assert found(text) == []


@pytest.mark.parametrize("text", ["the 1980s", ("the 1980's")])
def test_a_decade_is_no_span_of_seconds(text):
    assert [each.dimension for each in found(text)] in (["year"], ["decade"])


@pytest.mark.parametrize("text", ["every 0 days", "every zero hours", "0/0 mg", "5/0 tablets", "every 5 to 0 days"])
def test_zero_divides_nothing(text):
    assert all(each.low >= 0 for each in found(text))


def test_the_date_in_digits_is_a_year_and_a_day():
    assert [(each.dimension, each.low) for each in found("2024-05-17")] == [("year", 2024), ("date", 517)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("120/80 mmHg", "180/120 mmHg"),
        ("17/05/2024", "34/10/2024"),
    ],
)
def test_a_blood_pressure_and_a_date_with_strokes_are_no_fraction(first, second):
    assert found(first)[0].low != found(second)[0].low


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("8:30", "20:30", True),
        ("8:30 am", "20:30", False),
        ("5 mg", "4 to 6 mg", True),
        ("7 mg", "4 to 6 mg", False),
        ("4-6 mg", "4-8 mg", False),
        ("a hundred beds", "100 beds", True),
        ("100 beds", "101 beds", False),
        ("about 100 mg", "95 mg", True),
        ("1 lb", "450 g", True),
    ],
)
def test_quantities_are_close_up_to_their_tolerance_in_both_directions(first, second, same):
    one, other = only(first), only(second)
    assert same_dimension(one, other)
    assert close(one, other, usual_tolerance(one, other)) is same
    assert close(other, one, usual_tolerance(other, one)) is same


def test_a_bare_number_compares_with_any_count_and_with_no_measure():
    bare, beds, tablets, mass = map(only, ("17", "17 beds", "17 tablets", "17 mg"))
    assert same_dimension(bare, beds)
    assert same_dimension(tablets, bare)
    assert not same_dimension(beds, tablets)
    assert not same_dimension(bare, mass)


@given(
    st.lists(st.text(max_size=9) | st.from_regex(r"\d{1,9}[.:,/-]?\d*") | st.sampled_from(sorted(UNITS)), max_size=20)
)
def test_quantities_of_any_text_are_read_and_use_its_tokens(parts):
    tokens = [token.lower() for token in tokens_of(" ".join(parts))]
    quantities, used = read_quantities(tokens)
    assert all(isinstance(each, Quantity) and each.low <= each.high for each in quantities)
    assert used <= set(range(len(tokens)))
