"""JSON values: one key for all ways of writing one, none for a text that is no JSON."""

import json
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import Policy, decide
from consensus_server.core.consensus.meaning.json_values import (
    MOST_CHARS,
    MOST_DEPTH,
    MOST_DIGITS,
    Missing,
    NotJson,
    differences,
    json_key,
    parsed,
)

SAME = {
    "names in another order": ['{"a": 1, "b": {"c": [1, 2], "d": null}}', '{"b":{"d":null,"c":[1,2]},"a":1}'],
    "numbers": ["1", "1.0", "1e0", "10E-1", "0.1e+1", "100e-2"],
    "nothing": ["0", "-0", "0.0", "-0e9"],
    "a fraction": ["0.1", "1e-1", "0.10"],
    "a great number": ["123456789012345678901234567890", "1.2345678901234567890123456789e29"],
    "a fence": ["[1]", "```json\n[1]\n```", "```\n[ 1 ]\n```", " \n```JSON\n[1]\n  ``` "],
    "escapes": ['"\u00e9/"', '"e\u0301\\/"', '"\\u00e9/"', '"e\\u0301/"'],
    "names that look alike": ['{"\u00e9": 1}', '{"e\u0301": 1}'],
    "half a pair": ['"\\ud800"', ' "\\uD800" '],
}


@pytest.mark.parametrize("what", SAME)
def test_ways_of_writing_one_value_are_one(what):
    assert len({json_key(text) for text in SAME[what]}) == 1
    assert json_key(SAME[what][0]) is not None


DIFFERENT = [
    "1", "-1", '"1"', "true", '"true"', "null", "[]", "{}", "[1]", "[[1]]", "[1,2]", "[2,1]", "[null]", '{"a":null}', '{"a":1}', '{"A":1}',
    '{"a":[1]}', "0.1", "0.1000000000000000055", "9007199254740993", "9007199254740992", '"a"', '" a"', '"A"', '"\ufb01"', '"fi"', '""', "0",
]  # fmt: skip


def test_values_that_are_not_the_same_have_keys_of_their_own():
    assert len({json_key(text) for text in DIFFERENT}) == len(DIFFERENT)
    assert None not in {json_key(text) for text in DIFFERENT}


NONE = {
    "": "Expecting value",
    "Paris": "Expecting value",
    '{"a": 1}.': "Extra data",
    'Here it is: {"a": 1}': "Expecting value",
    "```json\n[1]\n```\nThat is all.": "Expecting value",
    "```json\n[1]\n```\n```json\n[1]\n```": "Extra data",
    "{'a': 1}": "Expecting property name",
    '{"a": 1,}': "Expecting|Illegal",
    "[NaN]": "NaN is no JSON",
    "-Infinity": "-Infinity is no JSON",
    '{"a": 1, "a": 1}': "the name 'a' stands twice",
    '{"\u00e9": 1, "e\u0301": 1}': "stands twice",
    "01": "Extra data",
    "[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1): "nested more than",
    "[" * 90_000: "nested more than",
    "1" * (MOST_DIGITS + 1): "digits",
    "1e999999999": "digits",
    f'"{"x" * MOST_CHARS}"': "characters",
}


@pytest.mark.parametrize("text", NONE, ids=lambda text: text[:20])
def test_what_is_no_json_has_no_key_and_is_told_why(text):
    assert json_key(text) is None
    with pytest.raises(NotJson, match=NONE[text]):
        parsed(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@st.composite
def spelt(draw, value):
    """One way of writing a value as JSON."""
    white = draw(st.sampled_from(["", " ", "\n\t"]))
    if isinstance(value, dict):
        named = [f"{json.dumps(name)}{white}:{draw(spelt(value[name]))}" for name in draw(st.permutations(list(value)))]
        return f"{{{white}{','.join(named)}{white}}}"
    if isinstance(value, list):
        return f"[{white}{','.join(draw(spelt(each)) for each in value)}{white}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=draw(st.booleans()))
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    zeros = draw(st.integers(0, 3))
    return f"{int(Fraction(value) * 10 ** (3 + zeros))}{draw(st.sampled_from('eE'))}{-3 - zeros}"


@given(data=st.data(), value=VALUES)
@settings(max_examples=40, deadline=None)
def test_no_way_of_writing_changes_a_value(data, value):
    texts = data.draw(st.tuples(spelt(value), spelt(value)))
    assert json_key(texts[0]) == json_key(texts[1])
    if json_key(texts[0]) is not None:  # no names that are one in NFC
        assert list(differences([parsed(text) for text in texts])) == []


@given(one=VALUES, other=VALUES)
@settings(max_examples=40, deadline=None)
def test_values_differ_where_their_keys_do(one, other):
    texts = [json.dumps(each, default=float) for each in (one, other)]
    keys = [json_key(text) for text in texts]
    if None not in keys:
        found = list(differences([parsed(text) for text in texts]))
        assert bool(found) == (keys[0] != keys[1])
        assert len({at for at, _ in found}) == len(found)


@pytest.mark.parametrize("text", ["```" + " " * 99_000 + "x", '"' + '\\"' * 49_000, '["' + '\\"' * 49_000])
def test_no_answer_takes_long_to_be_found_no_json(text):
    began = time.monotonic()
    assert json_key(text) is None
    assert time.monotonic() - began < 1


def test_each_part_that_differs_is_named_with_what_every_value_has_there():
    texts = ('{"a": {"b/c": 1, "d~": [1, 2]}, "e": 1.0, "f": null}', '{"a": {"b/c": 2, "d~": [1, 3]}, "e": 1}', "{}")
    first, second, empty = map(parsed, texts)
    assert list(differences([first, second])) == [
        ("/a/b~1c", [1, 2]), ("/a/d~0/1", [2, 3]), ("/f", [None, Missing.MISSING]),
    ]  # fmt: skip
    assert [at for at, _ in differences([first, second, empty])] == ["/a", "/e", "/f"]
    assert list(differences([[1], [1, 2]])) == [("", [[1], [1, 2]])]


def test_an_answer_that_is_no_json_wins_over_nobody_who_gives_json(make_pool):
    texts = ["I think Paris.", "I think Paris.", "I think Paris.", '{"city": "Paris"}', '{ "city":"Paris" }']
    pool = make_pool([[1.0, 0.1 * i] for i in range(5)], texts=texts, equivalence="json")
    [decision] = decide([pool], Policy(guards=False, contradictions="none"))
    assert decision.pick in {3, 4}
    assert decision.clusters[0].members == (3, 4)
