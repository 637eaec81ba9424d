"""What is measured of a round's answers and of every two answers of a pool."""

from dataclasses import replace

import numpy as np
import pytest

from consensus_server.core.consensus import Policy
from consensus_server.core.consensus.answers.pairs import Pairs
from consensus_server.core.consensus.answers.table import codes, read
from consensus_server.core.consensus.round.measures import (
    GateMeasures,
    by_key,
    measure,
    measure_for_gates,
    measure_unpaired,
    other_scripts,
    relevance,
)
from consensus_server.core.consensus.words.lexical import distinct_words
from consensus_server.core.consensus.words.order import word_pairs
from consensus_server.core.consensus.words.repetition import read_units

EMPTY = "\u200b"


def for_gates(pools):
    """What gates read of the usable answers of a round, and their texts; all that show something are usable."""
    answers = read(pools)
    rows = np.flatnonzero([text != EMPTY for text in answers.texts])
    usable, everything = answers.at(rows), np.ones(len(rows))
    measures = measure_for_gates(
        answers,
        rows,
        printable=everything,
        relevance=everything,
        neighbours=word_pairs(usable.texts, usable.prompts, usable.pool),
        units=read_units(answers.texts, answers.prompts, answers.pool),
    )
    return measures, usable.texts


def measured(pools):
    answers = read(pools)
    pairs = Pairs(answers.pool)
    return measure(
        answers,
        pairs,
        Policy(),
        for_gates=None,
        words=distinct_words(answers.texts, answers.prompts, answers.pool),
        wording=codes(answers.texts),
        stated=np.full(len(answers.texts), -1),
        cosine=pairs.cosines(answers.unit),
    )


def test_words_of_the_prompt_count_where_answers_are_short(make_pool):
    """Which of two it is is said in the prompt's words; who says much only to repeat it says nothing."""
    prompt = "Which is the capital of Italy, Rome or Paris?"

    def coverage(rest):
        texts = [f"It is Rome{rest}", f"It is Paris{rest}"]
        pool = replace(make_pool(np.eye(2), texts=texts), prompt=prompt)
        return measured([pool]).coverage[1]

    assert coverage(".") == pytest.approx(2 / 3, abs=1e-6)
    assert coverage(", and so says everybody whom I have asked for it, whenever I have been there.") == 1


def test_unusable_answers_say_nothing_of_word_order(make_pool):
    """Texts of forty words of which some are left out; every third is in no order."""
    rng, pools, left = np.random.default_rng(1), [], []
    for p in range(6):
        texts = []
        for k in range(6):
            said = np.sort(rng.choice(40, 34, replace=False))
            texts.append(" ".join(f"w{i}" for i in (rng.permutation(said) if k % 3 == p % 3 else said)))
        texts = [EMPTY if p == 2 or rng.random() < 0.3 else text for text in texts]
        names = [f"site-{k}" for k in range(6)]
        shown = [k for k in range(6) if texts[k] != EMPTY]
        for found, own in ((pools, range(6)), (left, shown)):
            said, who = ([column[k] for k in own] for column in (texts, names))
            found.append(make_pool(np.ones((len(said), 2)), who, said, prompt_id=f"p{p}"))
    (found, texts), (alone, same) = for_gates(pools), for_gates(left)
    assert texts == same
    assert len(set(found.order.tolist())) > 5
    np.testing.assert_array_equal(found.order, alone.order)


def test_an_empty_answer_is_an_answer_to_its_prompt(make_pool):
    """A slogan in three answers of thirty recurs, in three of thirty-one it does not."""
    said = ["This is a slogan of some length."] * 3 + [f"A sentence that stands nowhere else: {i}." for i in range(27)]
    for more, recurs in (([], True), ([EMPTY], False)):
        pools = [make_pool([[1.0, 1.0]], texts=[text], prompt_id=f"p{i:02}") for i, text in enumerate([*said, *more])]
        assert for_gates(pools)[0].repetition.any() == recurs


def test_relevance_is_the_cosine_of_two_openings_and_unknown_without_a_prompt():
    openings = np.array([[1.0, 0], [0.6, 0.8], [0, 0], [1, 0]])
    prompts = np.array([[0.6, 0.8], [0.6, 0.8], [0.6, 0.8], [0, 0]])
    other = np.zeros(4, dtype=bool)
    np.testing.assert_allclose(relevance(openings, prompts, other), [0.6, 1, 0, np.nan], atol=1e-6)
    other[0] = True
    np.testing.assert_allclose(relevance(openings, prompts, other), [np.nan, 1, 0, np.nan], atol=1e-6)


def test_letters_of_another_kind_than_the_prompt_s_are_told():
    prompts = ["日本の首都はどこですか。", "What is the capital of Japan?"]
    texts = ["It is Tokyo.", "東京です。", "Это Токио.", "42"]
    place = np.repeat([0, 1], len(texts))
    found = other_scripts(texts * 2, prompts, place).tolist()
    assert found == [True, False, False, False, False, True, True, False]


def test_an_answer_says_all_that_it_says_itself_and_a_shorter_one_covers_it_in_part(make_pool):
    pool = make_pool(np.eye(3)[[0, 1, 2]], texts=["red green blue", "red green blue black", "white"])
    found = measured([pool])
    places = {text: row for row, text in enumerate(read([pool]).texts)}
    short, long, other = (places[text] for text in pool.texts)

    def of(values, left, right):
        return values[found.pairs.pair_of(np.array([left]), np.array([right]))[0]]

    assert [of(found.coverage, row, row) for row in (short, long, other)] == [1, 1, 1]
    assert (of(found.coverage, long, short), of(found.coverage, short, long)) == (1, 0.75)
    assert of(found.f1, long, short) == of(found.f1, short, long) == pytest.approx(6 / 7, abs=1e-6)
    assert of(found.f1, short, other) == of(found.coverage, short, other) == 0


def test_who_gave_an_answer_is_one_number_in_all_pools_and_another_in_each_pool(make_pool):
    pools = [make_pool(np.eye(3), ["a", "b", "b"], prompt_id=name) for name in "pq"]
    found = measured(pools)
    assert sorted(found.participant.tolist()) == [0, 0, 1, 1, 1, 1]
    assert len(set(found.contributor.tolist())) == 4
    assert len(set(zip(found.pairs.pool.tolist(), found.contributor.tolist(), strict=True))) == 4
    same = found.participant[found.pairs.left] == found.participant[found.pairs.right]
    np.testing.assert_array_equal(found.same_participant, same)
    assert len(set(found.couple.tolist())) == 4


def test_one_wording_has_one_number_in_its_pool_and_another_elsewhere(make_pool):
    found = measured([make_pool(np.eye(3), texts=["one", "one", "two"], prompt_id=name) for name in "pq"])
    assert sorted(np.bincount(found.text).tolist()) == [1, 1, 2, 2]


def test_a_pool_too_large_for_pairs_has_figures_of_each_answer_and_none_of_pairs(make_pool):
    answers = read([make_pool(np.eye(3), texts=["one", "one", "x" * 80], equivalence="exact")])
    gates = GateMeasures(*np.arange(12.0).reshape(4, 3))
    found = measure_unpaired(answers, Policy(), gates)
    assert sorted(found.lengths.long.tolist()) == [False, False, True]
    assert found.by_key.all()
    assert len(set(found.wording.tolist())) == 3, "who writes the same is not asked there"
    assert [len(each) for each in (found.cosine, found.f1, found.coverage, found.opening_cosine)] == [0] * 4
    some = gates.at(np.array([2, 0]))
    assert [some.printable.tolist(), some.order.tolist()] == [[2, 0], [11, 9]]


def test_a_pool_is_compared_by_keys_unless_it_asks_for_meaning(make_pool):
    names = ["semantic", "exact", "final_answer", "code"]
    pools = [make_pool(np.eye(2), prompt_id=str(i), equivalence=name) for i, name in enumerate(names)]
    assert by_key(read(pools)).tolist() == [False, False, *[True] * 6]
