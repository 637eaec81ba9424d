"""One key for all ways of writing a number, a choice or a truth value."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus.meaning.final_answers import final_answer
from consensus_server.core.consensus.meaning.units import agree
from consensus_server.core.consensus.meaning.values import MOST_DIGITS, MOST_EXPONENT, plain, value_key, written_key

WRITTEN = {
    "number 1234567": ["1,234,567", "1234567", "1'234'567", "1.234.567", "1 234 567", "1\u202f234\u202f567", "12,34,567",
                       "1.234567e6", "1.234567 million", "$1,234,567.00"],
    "number 1200": ["1.2e3", "1.2E+3", "1.2 x 10^3", "1.2 \u00d7 10³", r"$1.2 \times 10^{3}$", "1.2*10^3", "1.2 thousand", "1,200", "1.2e0000003"],
    "number 3/4": ["3/4", "0.75", "0,75", ".75", "¾", r"\frac{3}{4}", "6/8", "7.5e-1"],
    "number 5/2": ["2½", "2 1/2", "2.5", "5/2"],
    "number -5": ["-5", "\u22125 °C", "-$5", "$-5$"],
    "number 75": ["75 %", "75%", r"75\%", "75"],
    "choice B": ["B", "(B)", "[B]", "b)", "B.", "B: Paris", "option b", "the letter B", "the answer B"],
    "choice A C": ["A and C", "(A), (C)", "A & C", "C, and A"],
    "truth yes": ["Yes", "true.", "Correct, since it is so", "yes it is"],
    "truth no": ["No", "FALSE", "incorrect!", "no because it is not"],
}  # fmt: skip


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, texts in WRITTEN.items() for text in texts])
def test_ways_of_writing_one_value(key, text):
    assert agree(value_key(text), key)


@pytest.mark.parametrize("text", ["", "Paris", "(3, 4)", "3:30", "10-12", "1/0", "1,23,45", "1.2,3.4", "5x", "3^2"])
def test_what_is_no_single_value_has_no_key(text):
    assert value_key(text) is None


@settings(deadline=None)
@given(st.fractions(max_denominator=10**6))
def test_a_fraction_has_the_key_of_its_lowest_terms(value):
    assert value_key(f"{value.numerator * 6}/{value.denominator * 6}") == f"number {value}"


@settings(deadline=None)
@given(st.integers(-(10**12), 10**12), st.integers(0, 6))
def test_a_decimal_number_is_compared_exactly(digits, decimals):
    whole, part = divmod(abs(digits), 10**decimals)
    written = f"{'-' * (digits < 0)}{whole}.{part:0{decimals or 1}}"
    assert value_key(written) == f"number {Fraction(digits, 10**decimals)}"


def test_a_number_beyond_the_limits_has_no_value():
    assert value_key("9" * MOST_DIGITS) == "number " + "9" * MOST_DIGITS
    assert value_key("9" * (MOST_DIGITS + 1)) is None
    assert value_key(f"1e{MOST_EXPONENT}") == f"number {10**MOST_EXPONENT}"
    assert value_key(f"1e{MOST_EXPONENT + 1}") is None


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("\u201c\uff13\u201d", "3"),
        ("x\u00b2 \u2212 \u00bd", "x^2 - 1/2"),
        (r"$\frac{1}{2}\text{ km}$", "1/2 km"),
        ("**Bold**  and\n`code`", "Bold and code"),
        ("1 000 000", "1'000'000"),
    ],
)
def test_marks_and_forms_are_written_out_plainly(text, written):
    assert plain(text) == written


@pytest.mark.parametrize(
    ("text", "key"),
    [("(3, 4)", "written (3,4)"), ("( 3,4 ).", "written (3,4)"), ("3:30 PM", "written 3:30pm"), ("Paris", None)],
)
def test_what_has_digits_and_is_no_single_number_is_compared_as_written(text, key):
    assert written_key(text) == key


WORDS = {
    "0": ["zero"], "5": ["five", "five apples"], "-5": ["minus five", "Negative five.", "minus 5", "-five"],
    "2/3": ["two thirds", "Two-thirds of them"], "3/4": ["three quarters", "three fourths"],
    "1/2": ["half", "a half", "one half", "Half of it", "one-half", "half an hour", "five tenths"], "1/3": ["a third", "one third cup"],
    "-1/2": ["minus a half"], "5/2": ["two and a half", "Two and a half cups", "five halves"],
    "-5/2": ["minus two and a half"], "11/4": ["two and three quarters"], "301/3": ["one hundred and one third"],
    "105": ["one hundred and five", "One hundred five km", "a hundred and five"], "200": ["two hundred", "2 hundred"],
    "3000": ["three thousand", "3 thousand"], "25000": ["twenty-five thousand"],
    "1200": ["twelve hundred", "one thousand two hundred", "a thousand and two hundred"], "1000000": ["one million", "a million"],
    "205017": ["two hundred and five thousand and seventeen"], "7/3": ["2 and a third cups"], "1/20": ["five hundredths"],
    "3": ["3 quarters", "3 third graders", "three of them"],
}  # fmt: skip


@pytest.mark.parametrize(("number", "text"), [(number, text) for number, texts in WORDS.items() for text in texts])
def test_numbers_in_words(number, text):
    assert agree(value_key(text), f"number {number}")


NO_WORDS = [
    "two and five", "three to five", "two or three", "two point five", "a third way", "twenty-third", "twenty third", "half past three",
    "third", "two million thousand", "one thousand one thousand", "hundreds", "five minus three", "two hundred hundred", "a one",
    "one, two, three", "a half-brother", "forty-eleven", "one thousand, two hundred", "minus", "five-sided", "two over three", "2 thirds",
    "two hundred third", "ten two", "twenty ten", "one in five",
    "5 hundred thousand",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_WORDS)
def test_words_that_are_no_one_number(text):
    assert value_key(text) is None


SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_every_number_in_words_is_that_number(number):
    """Alone, and where a sentence calls it the answer."""
    words = in_words(number)
    assert value_key(words) == final_answer(f"The answer is {words}.") == f"number {number}"


def in_words(number):
    for unit, name in ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if number >= unit:
            rest = number % unit
            return f"{in_words(number // unit)} {name}" + (f"{' and' * (rest < 100)} {in_words(rest)}" if rest else "")
    if number >= 20 and number % 10:
        return f"{in_words(number // 10 * 10)}-{in_words(number % 10)}"
    return SMALL[number] if number < 20 else TENS[number // 10]
