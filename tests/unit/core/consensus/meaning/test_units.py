"""Numbers with their units: which amounts are one, and what a bare number may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus_server.core.consensus.meaning.final_answers import final_answer
from consensus_server.core.consensus.meaning.units import Measured, agree
from consensus_server.core.consensus.meaning.values import value_key

AMOUNTS = {
    "length 5000": ["5 km", "5km", "5,000 m", "5 kilometres", "5000 meters.", r"5\text{ km}", "five km"],
    "length 5": ["5 m", "500 cm", "5 metres"],
    "mass 1/200": ["5 mg", "0.005 g", "5000 \u00b5g", "5000 mcg"],
    "time 1800": ["30 minutes", "0.5 hours", "1800 s"],
    "temperature 5": ["5 °C", "41 °F", "5 degrees Celsius", "41 degrees Fahrenheit"],
    "volume 5000": ["5000 L", "5 cubic metres", "5 m³", "5 m^3"],
    "square length 25": ["25 m²", "25 m^2", "25 square metres", "250000 cm^2"],
    "length per time 1": ["1 m/s", "3.6 km/h", "60 metres per minute"],
    "money 5": ["5 dollars", "5 USD"],
    "time 5400": ["1 hour 30 minutes", "1 hour and 30 minutes", "90 minutes", "1 h 30 min"],
    "length 4699/2500": ["6 feet 2 inches", "74 inches", "6 ft, 2 inches"],
    "length 201168/125": ["1 mile", "5280 feet", "1760 yards"],
}


@pytest.mark.parametrize(("amount", "text"), [(amount, text) for amount, texts in AMOUNTS.items() for text in texts])
def test_ways_of_writing_one_amount(amount, text):
    assert value_key(text).amount == amount


@pytest.mark.parametrize(
    "text",
    [
        "5 apples",
        "5 M",
        "5 units",
        "5 %",
        "$5",
        "5 second-hand cars",
        "5 N",
        "5 in all",
        "5 Mg",
        "5 pounds",
        "5 °F per hour",
        "f\u0131ve",
        "F\u0130VE",
    ],
)
def test_what_is_counted_or_unknown_is_no_unit(text):
    """Nor is a dotless i another letter: a pattern takes it for one, and a dictionary that does not would end a round."""
    assert value_key(text) == "number 5"


@pytest.mark.parametrize(
    "text", ["So she walks 42 km.", "She has 42 km left.", "Answer: 42 km", "It is 42 km because it is far.", "42 km"]
)
def test_a_final_answer_keeps_its_unit(text):
    assert final_answer(text) == Measured("number 42", "length 42000")


@pytest.mark.parametrize(
    "text", ["It takes 1 hour 30 minutes.", "The answer is 1 hour 30 minutes.", "Answer: 90 minutes"]
)
def test_amounts_that_are_told_in_parts_are_their_sum(text):
    assert agree(final_answer(text), Measured("number 90", "time 5400"))


KEYS = st.sampled_from([None, "number 5", "number 6", "choice B", *map(value_key, ["5 km", "5 m", "5000 m", "6 km"])])


@given(KEYS, KEYS)
def test_agreement_has_no_order(one, other):
    assert agree(one, other) == agree(other, one)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("5", "5 km", True), ("5", "5 m", True), ("5 km", "5 m", False), ("5 km", "5000 m", True), ("5", "5000 m", False),
        ("5", "5", True), ("5", "6", False), ("5 euros", "5 dollars", False), ("who knows", "who knows", False),
    ],
)  # fmt: skip
def test_what_agrees(one, other, same):
    assert agree(value_key(one), value_key(other)) == same
