"""Short answers in the same words: agreement where half of a pool give them, no support where most have more to say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import Policy, decide
from consensus_server.core.consensus.round import standing
from tests.support.judged import judged

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


def scores(pools, policy):
    """Of every answer, by pool and place."""
    return [each.standing.score for each in judged(pools, policy)]


@pytest.fixture
def without_wording(monkeypatch):
    """without_wording(function, ...): what it gives where one wording adds nothing."""

    def call(function, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(standing, "SCALE_WORDING", 0.0)
            return function(*arguments)

    return call


@pytest.fixture
def other_prompts(make_pool):
    """They tell which words are common: without them the odd sentence of the yuan would not cover the other one."""
    pairs = [("franc", "France"), ("krona", "Sweden"), ("peso", "Chile"), ("rupee", "India")]
    return [pool_of(make_pool, [f"The {money} is the money of {land}."] * 3, prompt_id=land) for money, land in pairs]


@pytest.mark.parametrize("rule", ["fused", "hybrid"])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_two_who_choose_the_same_words_outdo_a_third_that_covers_them(
    make_pool, other_prompts, without_wording, rule, order
):
    """Its words say nearly all that theirs say, and not the other way round: it would be the better witness of both."""
    texts = [[TERSE, TERSE, WORDY][i] for i in order]
    vectors = [[near(1, 1.0), near(1, 1.0), near(1, 0.9)][i] for i in order]
    pools = [pool_of(make_pool, texts, vectors, prompt_id="yuan"), *other_prompts]
    for policy in (replace(PLAIN, rule=rule), Policy(rule=rule, abstain=False)):
        assert picked(pools, policy)[0] == TERSE
        assert without_wording(picked, pools, policy)[0] == WORDY


def test_case_and_white_space_make_no_other_wording(make_pool, other_prompts):
    texts = [TERSE, TERSE.upper().replace(" ", "  "), WORDY]
    pools = [pool_of(make_pool, texts, [near(1, 1.0), near(2, 0.9999), near(1, 0.9)], prompt_id="yuan")]
    assert picked([*pools, *other_prompts], PLAIN)[0] != WORDY


WORDS = ("yuan", "china", "money", "uses", "as", "the", "of", "its", "currency", "is")
words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8)


@settings(max_examples=60)
@given(agreed=words, other=words, cosine=st.floats(0.85, 0.999), longer=st.booleans())
def test_two_of_three_always_win_by_the_same_words(make_pool, agreed, other, cosine, longer):
    """Whatever the third covers, before the price of length and trust: the weight of the same wording ensures it."""
    agreed, other = " ".join(agreed), " ".join([*agreed, *other] if longer else other)
    if agreed.split() == other.split():
        return
    pool = pool_of(make_pool, [agreed, agreed, other], [near(1, 1.0), near(1, 1.0), near(1, cosine)])
    assert picked([pool], PLAIN) == [agreed]


def test_a_smaller_weight_would_not_ensure_it(make_pool, monkeypatch):
    texts = ["a", "a", " ".join("abcdefghijklmnopqrstuvwxyz")]
    pools = [pool_of(make_pool, texts, [near(1, 1.0), near(1, 1.0), near(1, 0.9999)])]
    assert picked(pools, PLAIN) == ["a"]
    monkeypatch.setattr(standing, "SCALE_WORDING", 11.7)
    assert picked(pools, PLAIN) == texts[2:]


@pytest.mark.parametrize(("givers", "others", "gains"), [(2, 2, True), (2, 3, False), (3, 3, True), (3, 4, False)])
def test_fewer_than_half_gain_nothing_by_it(make_pool, without_wording, givers, others, gains):
    """Two or three that agree on a sentence beforehand are no more than two or three."""
    texts = [TERSE] * givers + [f"{WORDY} Number {i}." for i in range(others)]
    vectors = [near(1, 1.0)] * givers + [near(2 + i, 0.95) for i in range(others)]
    pools = [pool_of(make_pool, texts, vectors)]
    same = np.array_equal(scores(pools, PLAIN)[0], without_wording(scores, pools, PLAIN)[0])
    assert same is not gains


def test_long_answers_gain_nothing_by_it(make_pool, without_wording):
    texts = [TERSE.ljust(80, "!"), TERSE.ljust(80, "!"), WORDY]
    pools = [pool_of(make_pool, texts, [near(1, 1.0), near(1, 1.0), near(1, 0.9)])]
    assert np.array_equal(scores(pools, PLAIN)[0], without_wording(scores, pools, PLAIN)[0])


def test_samples_of_one_participant_agree_with_nobody(make_pool, without_wording):
    vectors = [near(1, 1.0), near(1, 1.0), near(1, 0.95)]
    pools = [make_pool(vectors, ["a", "a", "b"], [TERSE, TERSE, WORDY], prompt_id="yuan")]
    assert np.array_equal(scores(pools, PLAIN)[0], without_wording(scores, pools, PLAIN)[0])


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
    policy = Policy(abstain=False)
    assert all(len(text) > 80 for text in picked(pools, policy))
    unguarded = picked(pools, replace(policy, guards=False))
    assert all(len(text) < 80 for text in unguarded), "without gates nobody asks who repeats whom"


def test_its_givers_keep_their_votes(make_pool):
    """Facts agree word for word, also beside those who elaborate: one participant, one vote."""
    (decision,) = decide([a_mixed_pool(make_pool, 6, 4)], Policy(abstain=False))
    assert decision.support == pytest.approx(10)


def test_where_half_are_short_they_agree(make_pool):
    pools = [a_mixed_pool(make_pool, 4, 4, prompt_id=name) for name in ("a", "b", "c")]
    assert all(len(text) < 80 for text in picked(pools, Policy(abstain=False)))


def test_copies_do_not_make_most_of_a_pool_long(make_pool):
    """Four copies of a long answer have one vote: five that say a fact in the same short words still agree."""
    pool = a_mixed_pool(make_pool, 2, 5, prompt_id="paris")
    lie = elaborate(np.random.default_rng(9), "It is paris and nothing else, but")
    texts = [*pool.texts, *[lie] * 4]
    vectors = [*pool.vectors, *[near(9, 0.95)] * 4]
    assert len(picked([pool_of(make_pool, texts, vectors, prompt_id="paris")], Policy(abstain=False))[0]) < 80


def test_samples_do_not_make_most_of_a_pool_long(make_pool):
    """One participant that elaborates five times is one."""
    pool = a_mixed_pool(make_pool, 5, 3, prompt_id="paris")
    names = ["talker"] * 5 + ["a", "b", "c"]
    sampled = make_pool(pool.vectors, names, pool.texts, prompt_id="paris")
    sampled = replace(sampled, prompt="Which?", prompt_opening=pool.vectors[0], openings=sampled.vectors)
    assert len(picked([sampled], Policy(abstain=False))[0]) < 80


def test_a_good_reputation_does_not_reach_a_short_sentence_repeated_among_longer_ones(make_pool):
    """Four that earned trust on thirty prompts say one short sentence on another, which the pool does not stand behind."""
    rng = np.random.default_rng(3)
    pools = [_where_the_last_four_stand_out(make_pool, rng, f"p{i:02}") for i in range(30)]
    pools.append(a_mixed_pool(make_pool, 6, 4, prompt_id="p99"))
    trust = [each.standing.reliability[-4:] for each in judged(pools, Policy(abstain=False))]
    assert trust[0].min() > 0.1
    assert trust[-1].max() <= 0


def _where_the_last_four_stand_out(make_pool, rng, prompt_id):
    vectors = [near(1 + i, 0.7) for i in range(6)] + [near(7 + i, 0.9) for i in range(4)]
    return pool_of(make_pool, [elaborate(rng, prompt_id) for _ in vectors], vectors, prompt_id=prompt_id)
