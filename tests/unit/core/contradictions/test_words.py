"""What must never matter, on judged pairs, on made sentences, and on any text at all."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consensus_server.core.contradictions.lexicon import UNITS, WORDS
from consensus_server.core.contradictions.words import WordContradictions

FOLDER = Path(__file__).parents[3] / "data" / "polarity"
PAIRS = [
    (pair["a"], pair["b"], pair.get("prompt", ""))
    for name in ("short", "long", "unseen")
    for pair in map(json.loads, (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())
]
BETWEEN = WordContradictions().between
PROMPTS = st.sampled_from(
    ["", "Is it safe?", "What is the dose?", "Left or right?", "Is it left or right?", "How many?", "Who?", "Write!"]
)

words = st.sampled_from(
    sorted({word for first, second, _ in PAIRS[:310] for word in (first + " " + second).split()})
    + sorted(set().union(*WORDS.values()))
    + ["5", "mg", "1000", ",", ".", ";", "No.", "Yes,", "n't", "|", "```", "1.", "-", "to", "\n"]
)
made = st.lists(words, max_size=30).map(" ".join)
judged = st.sampled_from([text for pair in PAIRS for text in pair[:2]])


@st.composite
def changed(draw):
    """A judged text, some of its words replaced."""
    text = draw(judged).split()
    for _ in range(draw(st.integers(1, 3))):
        text[draw(st.integers(0, len(text) - 1))] = draw(words)
    return " ".join(text)


texts = made | judged | changed() | st.text(max_size=80)
pools = st.lists(texts, min_size=2, max_size=5)
quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def between(texts, prompt=""):
    """{(text, text): (strength, kind, words of each)} of what is found in a pool, in both directions."""
    found = {}
    for each in BETWEEN(texts, prompt):
        for one in (each, each.turned()):
            found[texts[one.first], texts[one.second]] = one[2:]
    return found


@quick
@given(text=texts, prompt=PROMPTS, copies=st.integers(2, 4))
def test_a_text_never_contradicts_itself(text, prompt, copies):
    assert BETWEEN([text] * copies, prompt) == []


@quick
@given(pool=pools, prompt=PROMPTS)
def test_copies_in_a_pool_are_found_as_often_as_they_are_there(pool, prompt):
    assert between([*pool, pool[0], pool[-1]], prompt) == between(pool, prompt)


@quick
@given(first=texts, second=texts, prompt=PROMPTS)
def test_findings_are_turned_with_the_order(first, second, prompt):
    turned = [each.turned()._replace(first=0, second=1) for each in BETWEEN([second, first], prompt)]
    assert BETWEEN([first, second], prompt) == turned


@quick
@given(pool=pools, prompt=PROMPTS, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_the_pool_does_not_matter(pool, prompt, shuffle):
    shuffled = list(pool)
    shuffle.shuffle(shuffled)
    assert between(shuffled, prompt) == between(pool, prompt)


@quick
@given(pair=st.sampled_from(PAIRS), others=st.lists(texts, max_size=3))
def test_the_others_change_nothing_between_two(pair, others):
    first, second, prompt = pair
    alone = between([first, second], prompt).get((first, second))
    assert between([*others, first, *others[:1], second], prompt).get((first, second)) == alone


REMARKS = ["The ward is quiet today.", "Please call us with any questions.", "The family was informed."]


def hard(first, second, prompt):
    return sorted(each.kind for each in BETWEEN([first, second], prompt) if each.hard)


@pytest.mark.parametrize("remark", REMARKS)
def test_a_remark_that_both_make_changes_no_hard_finding(remark):
    """As long as short answers stay short: a third sentence makes long ones of them, which are compared more strictly."""
    changed = [pair for pair in PAIRS if hard(f"{pair[0]} {remark}", f"{pair[1]} {remark}", pair[2]) != hard(*pair)]
    assert changed == []


def test_two_more_remarks_make_short_answers_long_and_these_are_compared_more_strictly():
    first, second, remarks = "The fracture needs surgery.", "The fracture does not need surgery.", " ".join(REMARKS[:2])
    assert hard(first, second, "")
    assert not hard(f"{first} {remarks}", f"{second} {remarks}", "")
    assert hard(f"{first} {remarks}", f"{second} {remarks}", "Does the fracture need surgery?")


DIMENSIONS = ("mass", "volume", "time", "length", "bytes", "amount")


@st.composite
def equal_amounts(draw):
    """One amount in two units, in plain digits."""
    dimension = draw(st.sampled_from(DIMENSIONS))
    units = sorted(word for word, unit in UNITS.items() if unit.dimension == dimension)
    one, other = draw(st.sampled_from(units)), draw(st.sampled_from(units))
    value = draw(st.integers(1, 99_999)) / draw(st.sampled_from([1, 10, 100]))
    converted = value * UNITS[one].size / UNITS[other].size
    return [
        f"{number:.12f}".rstrip("0").rstrip(".") + f" {unit}" for number, unit in ((value, one), (converted, other))
    ]


@settings(max_examples=300, deadline=None)
@given(
    amounts=equal_amounts().filter(lambda pair: all(0.0001 < float(each.split()[0]) < 1e12 for each in pair)),
    prompt=PROMPTS,
)
def test_equal_amounts_in_other_units_say_the_same(amounts, prompt):
    first, second = (f"The amount is {amount}." for amount in amounts)
    assert BETWEEN([first, second], prompt) == []


@settings(max_examples=100, deadline=None)
@given(value=st.integers(1, 500), factor=st.integers(2, 50), unit=st.sampled_from(["mg", "ml", "cm", "hours", "%"]))
def test_other_amounts_in_one_unit_contradict(value, factor, unit):
    (finding,) = BETWEEN([f"The amount is {value} {unit}.", f"The amount is {value * factor} {unit}."], "")
    assert finding.hard
    assert finding.kind.startswith("number:")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1" * 400 + " mg of it", "2" * 400 + " mg of it"),
        ("1" * 400, "Take 5 mg."),
        ("every 0 days", "every 0 hours"),
        ("Take 1/0 of it.", "Take one of it."),
        ("```\nx = 5 mg\n```", "```\nx = 50 mg\n```"),
        ("| dose | 5 mg |\n|---|---|", "| dose | 50 mg |\n|---|---|"),
        ("```" * 9, "`" * 100),
        ("", "\0"),
        ("٣ مجم", "٣ جم"),
        ("5\u00a0mg", "5 mg"),
        ("\ud83d\ude00" * 9, "½ ⅓ ² ₂"),
        ("\u017fafe \u017ft. \u212a", "\u0130stanbul \u0131"),
    ],
)
@pytest.mark.parametrize("prompt", ["", "?", "Is it 5 mg?", "What is " + "9" * 400 + "?"])
def test_odd_texts_are_compared_and_differ_in_nothing(first, second, prompt):
    assert not any(each.hard for each in BETWEEN([first, second, first], prompt))


@settings(max_examples=200, deadline=None)
@given(pool=st.lists(st.text(max_size=200), max_size=4), prompt=st.text(max_size=100))
def test_any_text_is_compared(pool, prompt):
    found = BETWEEN(pool, prompt)
    assert [each[:2] for each in found] == sorted({each[:2] for each in found})
    assert all(0 < each.strength <= 1 for each in found)


@pytest.mark.parametrize(
    "unit",
    [
        "9",
        " ",
        "\n",
        "|",
        "a,",
        "no ",
        "not ",
        "un",
        "two hundred and ",
        "```",
        "`",
        "- ",
        "5 mg ",
        "yes, ",
        "(",
        "every ",
    ],
)
def test_long_texts_come_to_an_end(unit):
    long = (unit * 100_000)[:100_000]
    assert BETWEEN([long, long], "Is it safe?") == []
    assert len(BETWEEN([long, "Take 5 mg.", long[:-1]], "Is it safe?")) <= 3


@pytest.mark.parametrize(
    ("first", "second", "prompt"),
    [
        ("It was made in the 1980s.", "It was made in 1980.", ""),
        ("Add 1/4 cup of sugar.", "Add 0.25 cups of sugar.", ""),
        ("He saw Dr. Smith.", "He saw Dr Smith.", ""),
        ("The nurse called him.", "He was called by the nurse.", ""),
        ("The visit is in May.", "The visit may be in May.", ""),
        ("It is an advancement of the old way.", "It came after the old way.", ""),
        ("- The dose is 5 mg.", "The dose is 5 mg.", ""),
        ("The left lung is collapsed; the right lung is clear.", "The right lung is clear.", ""),
        ("Babies should not be given honey.", "Honey should not be given to babies.", ""),
        ("Sure, here is a list of drugs.", "No list is needed here.", "Can you list drugs?"),
        ("The ring is valuable.", "The ring is invaluable.", ""),
        pytest.param(
            *("She has two older sisters.", "She is the youngest of three sisters.", ""),
            marks=pytest.mark.xfail(reason="known limit (SPEC 4): superlatives stand on the axis of their adjective"),
        ),
        ("It is a good old red-brick house.", "", ""),
    ],
)
def test_pitfalls_that_were_met_before(first, second, prompt):
    assert not any(each.hard for each in BETWEEN([first, second], prompt))


def test_a_quarter_of_a_cup_is_not_four_cups():
    assert BETWEEN(["Add 1/4 cup of sugar.", "Add 4 cups of sugar."], "")[0].hard


def test_findings_name_their_places_and_words_in_order():
    (finding,) = BETWEEN(["", "Take 50 mg.", "Hello.", "Take 5 mg."], "")
    assert finding[:2] == (1, 3)
    assert (finding.words_first, finding.words_second) == ("50 mg", "5 mg")
    assert finding.turned().turned() == finding
