"""Short answers in the same words: agreement where most answers are short, no support where most have more to say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import Policy, decide

PLAIN = Policy(rule="hybrid", guards=False, reliability=False, length_penalty=0.0, abstain=False)
TERSE, WORDY = "The yuan is the money of China.", "China uses the yuan as its currency."


def pool_of(make_pool, texts, vectors=None, prompt_id="p"):
    """One meaning, unless vectors say otherwise; guards find nothing wrong with the prompt."""
    vectors = np.tile(near(1, 1.0), (len(texts), 1)) if vectors is None else np.asarray(vectors)
    pool = make_pool(vectors, texts=texts, prompt_id=prompt_id)
    return replace(pool, prompt="Which?", prompt_opening=pool.vectors[0], openings=pool.vectors)


def near(axis, cosine):
    """A unit vector at that cosine from the first axis, in the plane of it and another one."""
    vector = np.zeros(12)
    vector[[0, axis]] = cosine, np.sqrt(1 - cosine**2)
    return vector


def picked(pools, policy):
    return [pool.texts[decision.pick] for pool, decision in zip(pools, decide(pools, policy), strict=True)]


@pytest.mark.parametrize("rule", ["fused", "hybrid", "vote"])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_two_who_choose_the_same_words_outdo_a_third_that_covers_them(make_pool, rule, order):
    """Its words say nearly all that theirs say, and not the other way round: it would be the better witness of both."""
    texts = [[TERSE, TERSE, WORDY][i] for i in order]
    vectors = [[near(1, 1.0), near(1, 1.0), near(1, 0.9)][i] for i in order]
    others = [
        pool_of(make_pool, [f"The {a} is the money of {b}."] * 3, prompt_id=f"{a}")
        for a, b in zip("xyz", "abc", strict=True)
    ]
    for policy in (replace(PLAIN, rule=rule), Policy(rule=rule, abstain=False)):
        assert picked([pool_of(make_pool, texts, vectors, prompt_id="yuan"), *others], policy)[0] == TERSE


WORDS = ("yuan", "china", "money", "uses", "as", "the", "of", "its", "currency", "is")
words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8)


@settings(max_examples=60)
@given(agreed=words, other=words, cosine=st.floats(0.85, 0.999), longer=st.booleans())
def test_two_of_three_always_win_by_the_same_words(make_pool, agreed, other, cosine, longer):
    """Whatever the third covers: this is what the weight of the same wording is set to ensure."""
    agreed, other = " ".join(agreed), " ".join([*agreed, *other] if longer else other)
    if agreed.split() == other.split():
        return
    pool = pool_of(make_pool, [agreed, agreed, other], [near(1, 1.0), near(1, 1.0), near(1, cosine)])
    assert picked([pool], PLAIN) == [agreed]


def test_case_and_white_space_make_no_other_wording(make_pool):
    texts = [TERSE, TERSE.upper().replace(" ", "  "), WORDY]
    vectors = [near(1, 1.0), near(2, 0.9999), near(1, 0.9)]
    assert picked([pool_of(make_pool, texts, vectors)], PLAIN)[0] != WORDY


def test_samples_of_one_participant_agree_with_nobody(make_pool):
    pool = make_pool(
        [near(1, 1.0), near(1, 1.0), near(1, 0.95)], ["a", "a", "b"], [TERSE, TERSE, WORDY], prompt_id="yuan"
    )
    alone = make_pool([near(1, 1.0), near(1, 0.95)], ["a", "b"], [TERSE, WORDY], prompt_id="yuan")
    assert picked([pool], PLAIN) == picked([alone], PLAIN)


def elaborate(rng, subject):
    return f"{subject} " + " ".join(rng.choice([f"word{i}" for i in range(400)], 25))


def a_mixed_pool(make_pool, long, short, prompt_id="p"):
    """`long` participants with much to say, `short` that give one short sentence, all of one meaning."""
    rng = np.random.default_rng(len(prompt_id) + long)
    texts = [elaborate(rng, prompt_id) for _ in range(long)] + [f"It is {prompt_id} and nothing else."] * short
    vectors = [near(1 + i, 0.93) for i in range(long)] + [near(1, 1.0)] * short
    return pool_of(make_pool, texts, vectors, prompt_id=prompt_id)


def test_where_most_have_more_to_say_a_repeated_short_sentence_supports_itself_no_more(make_pool):
    pools = [a_mixed_pool(make_pool, 6, 4, prompt_id=name) for name in ("a", "b", "c")]
    assert all(len(text) > 80 for text in picked(pools, Policy(abstain=False)))
    unguarded = picked(pools, replace(PLAIN, guards=False))
    assert all(len(text) < 80 for text in unguarded), "without guards nobody asks who repeats whom"


def test_its_givers_keep_their_votes(make_pool):
    """Facts agree word for word, also beside those who elaborate: one participant, one vote."""
    (decision,) = decide([a_mixed_pool(make_pool, 6, 4)], Policy(abstain=False))
    assert decision.support == pytest.approx(10)


def test_where_half_are_short_they_agree(make_pool):
    pools = [a_mixed_pool(make_pool, 4, 4, prompt_id=name) for name in ("a", "b", "c")]
    assert all(len(text) < 80 for text in picked(pools, Policy(abstain=False)))
