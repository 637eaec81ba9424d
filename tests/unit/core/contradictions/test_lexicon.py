"""The files of words: they parse, say each thing once, and their digest is the lexicon's name."""

import re
from collections import Counter

import pytest

from consensus_server.core.contradictions import lexicon
from consensus_server.core.contradictions.classes import CATEGORIES, DECIDING_AXES, OPPOSITES, antonymous, synonymous
from consensus_server.core.contradictions.lexicon import BASE_FORMS, NUMBERS, UNITS, WORDS, lexicon_digest, lines, turns
from consensus_server.core.contradictions.stems import stem
from consensus_server.core.contradictions.words import WordContradictions

AXES = list(lines("opposites.txt"))


@pytest.mark.parametrize(
    "name", ["opposites.txt", "categories.txt", "forms.txt", "numbers.txt", "units.txt", "words.txt"]
)
def test_every_line_of_a_file_has_a_name_of_its_own_and_words(name):
    parsed = list(lines(name))
    assert parsed
    assert max(Counter(head for head, _ in parsed).values()) == 1
    assert all(head == head.strip() and words.split() for head, words in parsed)


@pytest.mark.parametrize(("name", "words"), AXES, ids=[name for name, _ in AXES])
def test_an_axis_has_two_sides_without_a_word_in_common(name, words):
    first, second = (set(map(stem, side.split())) for side in words.split("|"))
    assert first
    assert second
    assert first.isdisjoint(second)


def test_names_of_axes_are_unique_also_without_their_mark():
    names = [name.removesuffix("!") for name, _ in AXES]
    assert len(names) == len(set(names))
    assert set(names) > DECIDING_AXES
    assert {axis for axes in OPPOSITES.values() for axis, _ in axes} == set(names)


def test_a_word_has_one_category_and_one_base():
    written = [stem(word) for _, words in lines("categories.txt") for word in words.split()]
    forms = [form for _, words in lines("forms.txt") for form in words.split()]
    assert sorted(written) == sorted(CATEGORIES)
    assert sorted(forms) == sorted(BASE_FORMS)


def test_units_and_numbers_have_sizes():
    assert all(unit.size > 0 or unit.dimension == "temperature" for unit in UNITS.values())
    assert NUMBERS["period"]["week"] == pytest.approx(1 / 7)
    assert UNITS["mg"].size * 1000 == pytest.approx(UNITS["g"].size)


def test_words_of_the_lexicon_are_in_small_letters():
    assert all(word == word.lower() for words in WORDS.values() for word in words)
    assert all(word == word.lower() for words in (UNITS, BASE_FORMS, OPPOSITES, CATEGORIES) for word in words)


def test_turns_are_expressions_whose_groups_exist():
    for pattern, instead in turns():
        assert re.compile(pattern).groups >= instead.count("\\1")


def test_wordnet_tells_opposites_and_synonyms():
    assert synonymous(stem("doctor"), stem("physician"))
    assert not synonymous(stem("doctor"), stem("patient"))
    assert antonymous(stem("victory"), stem("defeat")) == antonymous(stem("defeat"), stem("victory"))


@pytest.fixture
def copied_lexicon(tmp_path, monkeypatch):
    for file in lexicon._FOLDER.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(lexicon, "_FOLDER", tmp_path)
    lexicon_digest.cache_clear()
    yield tmp_path
    lexicon_digest.cache_clear()


def test_the_identity_holds_the_digest_of_the_lexicon():
    assert WordContradictions().identity.endswith(lexicon_digest()[:12])


@pytest.mark.parametrize("name", sorted(file.name for file in lexicon._FOLDER.iterdir()))
def test_another_word_in_any_file_is_another_identity(copied_lexicon, name):
    before = WordContradictions().identity
    with (copied_lexicon / name).open("ab") as file:
        file.write(b"\nmore: words\n")
    lexicon_digest.cache_clear()
    assert WordContradictions().identity != before


def test_the_same_files_elsewhere_are_the_same_identity(copied_lexicon):
    elsewhere = lexicon_digest()
    (copied_lexicon / "words.txt").write_bytes((copied_lexicon / "words.txt").read_bytes())
    lexicon_digest.cache_clear()
    assert lexicon_digest() == elsewhere
