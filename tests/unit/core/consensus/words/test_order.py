"""Shuffled words are told from text by what the round itself knows about order."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import Policy, decide
from consensus_server.core.consensus.round.gates import LEAST_ORDER
from consensus_server.core.consensus.words.order import LEAST_PAIRS, shares_in_order, word_pairs

NOUNS = [f"noun{i}" for i in range(60)]
VERBS = [f"verb{i}" for i in range(20)]


def prose(rng, sentences=12):
    """Sentences of one grammar: the words differ, their order does not."""

    def sentence():
        a, b, c = rng.choice(NOUNS, 3)
        return f"In the {a} of a {b} we can see that it {rng.choice(VERBS)} on the {c} and so does the other one."

    return " ".join(sentence() for _ in range(sentences))


def shuffled(rng, *texts):
    return " ".join(rng.permutation(" ".join(texts).split())[:150])


def a_round(seed, prompts=20, honest=5, salads=0):
    """texts, pool, participant; the last `salads` participants shuffle what the others said."""
    rng = np.random.default_rng(seed)
    texts, pool, participant = [], [], []
    for p in range(prompts):
        said = [prose(rng) for _ in range(honest)]
        texts += said + [shuffled(rng, *said) for _ in range(salads)]
        pool += [p] * (honest + salads)
        participant += range(honest + salads)
    return texts, np.array(pool), np.array(participant)


def shares(texts, pool, participant, prompts=None):
    return shares_in_order(word_pairs(texts, prompts or [""] * (int(pool.max()) + 1), pool), participant, pool)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), salads=st.integers(1, 4))
def test_text_and_shuffled_words_lie_apart(seed, salads):
    texts, pool, participant = a_round(seed, salads=salads)
    found = shares(texts, pool, participant)
    assert found[participant < 5].min() > LEAST_ORDER
    assert np.nanmedian(found[participant >= 5]) < 0.6
    assert (found[participant >= 5] < LEAST_ORDER).mean() > 0.5  # .65 at the least of 900 rounds


def test_in_any_script():
    texts, pool, participant = a_round(1, salads=1)
    letters = {ord(a): chr(0x400 + ord(a)) for a in "abcdefghijklmnopqrstuvwxyz"}
    other = [text.lower().translate(letters) for text in texts]
    np.testing.assert_array_equal(
        shares(other, pool, participant), shares([t.lower() for t in texts], pool, participant)
    )


def test_what_the_round_does_not_know_is_not_judged():
    texts, pool, participant = a_round(2)
    rng = np.random.default_rng(0)
    alone = " ".join(rng.permutation([f"mot{i}" for i in range(300)]))
    found = shares([*texts, alone], np.append(pool, 0), np.append(participant, 9))
    assert np.isnan(found[-1])
    assert np.isfinite(found[:-1]).all()
    assert np.isnan(shares(["so few words"] * 4, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))).all()


def test_neither_copies_nor_the_own_habit_make_an_order():
    texts, pool, participant = a_round(3)
    rng = np.random.default_rng(5)
    salad = shuffled(rng, *texts[:5])
    same = [*texts, salad, salad, salad], np.append(pool, [0, 0, 0]), np.append(participant, [6, 7, 8])
    often = [*texts, *[salad] * 9], np.append(pool, range(9)), np.append(participant, [6] * 9)
    for case in (same, often):
        assert shares(*case)[len(texts) :].max() < 0.65


def test_what_stands_in_the_prompt_is_no_merit():
    texts, pool, participant = a_round(4)
    rng = np.random.default_rng(6)
    asking = "Please write down how many of them were seen by someone who had never before been there on such days"
    texts = [f"{asking} {text}" for text in texts]
    prompt = " ".join([f"{asking}, and then some more about the rest of it, if you would be so kind as to do that"] * 2)
    salad = f"{prompt} {shuffled(rng, *[text.removeprefix(asking) for text in texts[:5]])}"
    added = [*texts, salad], np.append(pool, 0), np.append(participant, 6)
    prompts = [prompt, *[""] * 19]
    assert shares(*added, prompts)[-1] < min(0.65, shares(*added)[-1])


def test_some_texts_are_chosen_as_if_they_were_all():
    texts, pool, participant = a_round(7, salads=1)
    rows = np.flatnonzero(participant % 2 == 0)
    some = word_pairs(texts, [""] * 20, pool).of(rows)
    direct = shares([texts[row] for row in rows], pool[rows], participant[rows])
    np.testing.assert_array_equal(shares_in_order(some, participant[rows], pool[rows]), direct)


def test_no_text_at_all():
    nothing = np.array([], dtype=np.int64)
    assert shares_in_order(word_pairs([], [], nothing), nothing, nothing).shape == (0,)
    assert np.isnan(shares(["", "x"], np.array([0, 0]), np.array([0, 1]))).all()
    assert LEAST_PAIRS == 20


@pytest.mark.parametrize("salads", [2, 4])
def test_the_guard_keeps_shuffled_words_out(make_pool, salads):
    texts, pool, _ = a_round(8, salads=salads)
    rng = np.random.default_rng(9)
    pools = []
    for p in range(20):
        own = [text for text, where in zip(texts, pool, strict=True) if where == p]
        meaning = rng.normal(size=16)
        made = make_pool(meaning + rng.normal(size=(len(own), 16)) / 3, texts=own, prompt_id=f"p{p:02}")
        pools.append(replace(made, prompt="?", prompt_opening=meaning.astype(np.float32), openings=made.vectors))
    for decision in decide(pools, Policy(abstain=False)):
        assert decision.gates == dict.fromkeys(range(5, 5 + salads), "disordered")
        assert decision.pick < 5
