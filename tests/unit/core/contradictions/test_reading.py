"""What one sentence affirms and denies, on which side it stands, whom it names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus_server.core.contradictions.reading import Reading, read
from consensus_server.core.contradictions.stems import stem


def sentence(text):
    (only,) = read(text).sentences
    return only


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("The drug is safe.", ""),
        ("The drug is not safe.", "safe"),
        ("The drug isn't safe.", "safe"),
        ("The drug is safe but not cheap.", "cheap"),
        ("Without fever, he walks.", "fever"),
        ("In pregnancy, ibuprofen is not given.", "given"),
        ("It is not possible to operate.", "possible operate"),
        ("It is unlikely that the tumour is malignant.", "tumour malignant"),
        ("He was advised against surgery.", "surgery"),
        ("He failed to wake.", "wake"),
        ("The engine failed.", ""),
        ("It is less safe than aspirin.", "safe"),
        ("Not only the drug is safe.", ""),
        ("The scan excludes a stroke.", "stroke"),
        ("Treatment without evidence can harm.", "evidence"),
    ],
)
def test_a_negation_turns_the_words_of_its_clause(text, denied):
    turned = {key for key, sign in sentence(text).polarity.items() if sign < 0}
    assert turned == set(map(stem, denied.split()))


@pytest.mark.parametrize(
    ("text", "axis", "side", "denied"),
    [
        ("The tumour is benign.", "malignancy", 1, False),
        ("The tumour is malignant.", "malignancy", -1, False),
        ("The tumour is not malignant.", "malignancy", 1, True),
        ("It is unlikely that the tumour is malignant.", "malignancy", 1, True),
        ("You may not eat.", "allow", -1, False),
        ("You need not eat.", "necessity", -1, False),
        ("He has hyperkalaemia.", "hyper:kalemia", 1, False),
        ("He has hypokalemia.", "hyper:kalemia", -1, False),
        ("It is less safe than aspirin.", "safety", -1, True),
        ("The pressure rises.", "change", 1, False),
    ],
)
def test_a_word_stands_on_its_side_and_a_denied_one_on_the_other(text, axis, side, denied):
    stands = sentence(text).sides[axis]
    assert {at: stand.denied for at, stand in stands.items()} == {side: denied}


@pytest.mark.parametrize(("text", "on"), [("The visit is in May.", False), ("The visit may end.", True)])
def test_the_month_of_may_permits_nothing(text, on):
    assert ("allow" in sentence(text).sides) is on
    assert bool(sentence(text).modality) is on


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("He takes metformin in Boston.", ["metformin", "Boston"]),
        ("Boston is far.", []),
        ("He took VITAMINS today.", []),
        ("He took vitamin K.", ["K"]),
    ],
)
def test_names_are_written_large_inside_a_sentence_or_end_as_drugs_do(text, names):
    assert list(sentence(text).names.values()) == names


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("All patients died.", 4),
        ("Most patients died.", 3),
        ("Some patients died.", 2),
        ("A few patients died.", 2),
        ("Few patients died.", 1),
        ("Not many patients died.", 1),
        ("At most five died.", 0),
        ("Patients died.", 0),
    ],
)
def test_a_quantifier_has_a_level(text, level):
    assert sentence(text).quantifier == level


@pytest.mark.parametrize(
    ("text", "modality"),
    [
        ("You must fast.", "oblige"),
        ("You have to fast.", "oblige"),
        ("You may eat.", "free"),
        ("You need not fast.", "free"),
        ("You do not have to fast.", "free"),
        ("You must not eat.", "forbid"),
        ("You eat.", ""),
    ],
)
def test_must_and_may_are_noted(text, modality):
    assert sentence(text).modality == modality


def test_roles_leave_their_traces():
    assert sentence("The appendix was removed by the surgeon.").passive
    assert not sentence("The surgeon removed the appendix.").passive
    assert sentence("Change from red to blue.").from_to == ("red", "blue")
    assert sentence("He is older than Anna.").compared == {"old"}
    assert sentence("First wash, then dry.").order == ("first", "wash", stem("before"), "dry")


@pytest.mark.parametrize(
    ("text", "verdict", "short", "sentences"),
    [
        ("Yes, it is safe.", 1, True, 1),
        ("No. It is dangerous.", -1, True, 1),
        ("One word. Two words. Three words.", 0, False, 3),
        ("...", 0, True, 0),
        ("", 0, True, 0),
    ],
)
def test_a_text_has_a_verdict_and_a_length(text, verdict, short, sentences):
    reading = read(text)
    assert (reading.verdict, reading.short, len(reading.sentences)) == (verdict, short, sentences)


def test_all_content_words_of_a_text():
    assert read("The drug is safe. It is not cheap.").stems == {"drug", "saf", "cheap"}


@given(st.text())
def test_any_text_is_read_in_the_same_way_twice(text):
    reading = read(text)
    assert isinstance(reading, Reading)
    assert read(text) == reading
    assert all(each.order.count(key) >= 1 for each in reading.sentences for key in each.polarity)
