"""Support: what one wording of short answers adds to it, and what length does."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import Policy, decide
from consensus_server.core.consensus.round import standing
from consensus_server.core.consensus.round.standing import SHRINK_LENGTH, price_of_length
from tests.support.judged import judged
from tests.support.rounds import GUARDED, measures_of, with_openings
from tests.support.short_answers import near, one_meaning, picked

PLAIN = Policy(rule="hybrid", guards=False, reliability=False, length_penalty=0.0, abstain=False)
TERSE, WORDY = "The yuan is the money of China.", "China uses the yuan as its currency."


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
    return [
        one_meaning(make_pool, [f"The {money} is the money of {land}."] * 3, prompt_id=land) for money, land in pairs
    ]


@pytest.mark.parametrize("rule", ["fused", "hybrid"])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_two_who_choose_the_same_words_outdo_a_third_that_covers_them(
    make_pool, other_prompts, without_wording, rule, order
):
    """Its words say nearly all that theirs say, and not the other way round: it would be the better witness of both."""
    texts = [[TERSE, TERSE, WORDY][i] for i in order]
    vectors = [[near(1, 1.0), near(1, 1.0), near(1, 0.9)][i] for i in order]
    pools = [one_meaning(make_pool, texts, vectors, prompt_id="yuan"), *other_prompts]
    for policy in (replace(PLAIN, rule=rule), Policy(rule=rule, abstain=False)):
        assert picked(pools, policy)[0] == TERSE
        assert without_wording(picked, pools, policy)[0] == WORDY


def test_case_and_white_space_make_no_other_wording(make_pool, other_prompts):
    texts = [TERSE, TERSE.upper().replace(" ", "  "), WORDY]
    pools = [one_meaning(make_pool, texts, [near(1, 1.0), near(2, 0.9999), near(1, 0.9)], prompt_id="yuan")]
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
    pool = one_meaning(make_pool, [agreed, agreed, other], [near(1, 1.0), near(1, 1.0), near(1, cosine)])
    assert picked([pool], PLAIN) == [agreed]


def test_a_smaller_weight_would_not_ensure_it(make_pool, monkeypatch):
    texts = ["a", "a", " ".join("abcdefghijklmnopqrstuvwxyz")]
    pools = [one_meaning(make_pool, texts, [near(1, 1.0), near(1, 1.0), near(1, 0.9999)])]
    assert picked(pools, PLAIN) == ["a"]
    monkeypatch.setattr(standing, "SCALE_WORDING", 11.7)
    assert picked(pools, PLAIN) == texts[2:]


@pytest.mark.parametrize(("givers", "others", "gains"), [(2, 2, True), (2, 3, False), (3, 3, True), (3, 4, False)])
def test_fewer_than_half_gain_nothing_by_it(make_pool, without_wording, givers, others, gains):
    """Two or three that agree on a sentence beforehand are no more than two or three."""
    texts = [TERSE] * givers + [f"{WORDY} Number {i}." for i in range(others)]
    vectors = [near(1, 1.0)] * givers + [near(2 + i, 0.95) for i in range(others)]
    pools = [one_meaning(make_pool, texts, vectors)]
    same = np.array_equal(scores(pools, PLAIN)[0], without_wording(scores, pools, PLAIN)[0])
    assert same is not gains


def test_long_answers_gain_nothing_by_it(make_pool, without_wording):
    texts = [TERSE.ljust(80, "!"), TERSE.ljust(80, "!"), WORDY]
    pools = [one_meaning(make_pool, texts, [near(1, 1.0), near(1, 1.0), near(1, 0.9)])]
    assert np.array_equal(scores(pools, PLAIN)[0], without_wording(scores, pools, PLAIN)[0])


def test_samples_of_one_participant_agree_with_nobody(make_pool, without_wording):
    vectors = [near(1, 1.0), near(1, 1.0), near(1, 0.95)]
    pools = [make_pool(vectors, ["a", "a", "b"], [TERSE, TERSE, WORDY], prompt_id="yuan")]
    assert np.array_equal(scores(pools, PLAIN)[0], without_wording(scores, pools, PLAIN)[0])


def test_what_length_adds_to_support_can_be_taken_from_the_long(make_pool):
    """Three answers of one meaning; the longer ones lie nearer the middle for it."""
    rng = np.random.default_rng(12)
    pools = []
    for p in range(60):
        meaning = rng.normal(size=8)
        core = [f"p{p}core{i}" for i in range(30)]
        extra = [[f"p{p}more{k}x{i}" for i in range(60 * k)] for k in range(3)]
        near = meaning + np.array([[0.3], [0.2], [0.1]]) * rng.normal(size=(3, 8))
        texts = [" ".join([*core, *more]) for more in extra]
        pools.append(with_openings(make_pool(near, texts=texts, prompt_id=f"p{p:02}"), meaning))

    def picks(penalty):
        return [d.pick for d in decide(pools, replace(GUARDED, length_penalty=penalty, guards=False))]

    assert 0 not in picks(0.0)
    means = [np.mean(picks(penalty)) for penalty in (0.0, 1.0, 2.0)]
    assert means[0] >= means[1] >= means[2]
    assert means[0] > means[2]
    measures_of_equals = [d.pick for d in decide(make_round_of_equals(make_pool), replace(GUARDED, length_penalty=1.0))]
    assert measures_of_equals == [
        d.pick for d in decide(make_round_of_equals(make_pool), replace(GUARDED, length_penalty=0.0))
    ]


def reasoned(number, style):
    """A worked answer: the style is all of its meaning that an encoder sees."""
    steps = ["add the first to the second and carry the one", "draw a line and count along it to the end"][style]
    return f"Let us {steps}, with all due care, as it was taught to us at school. Answer: {number}"


def test_where_a_key_is_counted_trust_is_made_of_keys(make_pool):
    """Three work alike and state numbers of their own; two work otherwise, and state one."""
    right = ("d", "e")

    def pool(prompt_id, numbers):
        styles = [int(name in right) for name in numbers]
        texts = [reasoned(number, style) for number, style in zip(numbers.values(), styles, strict=True)]
        return make_pool(
            np.eye(2)[styles], tuple(numbers), texts, prompt_id=prompt_id, equivalence="final_answer"
        )  # fmt: skip

    elsewhere = [pool(f"p{i}", {"a": 10 + i, "b": 40 + i, "c": 70 + i, "d": i, "e": i}) for i in range(9)]
    pools = [*elsewhere, pool("q", {"a": 7, "c": 7, "d": 8, "e": 8})]
    policy = Policy(guards=False, abstain=False)
    trust = {name: judged(pools, policy)[-1].standing.reliability[i] for i, name in enumerate("acde")}
    assert min(trust[name] for name in right) > 0 > trust["a"] == trust["c"]
    assert picked(pools, policy)[-1] == reasoned(8, 1), "two against two: who states what others state is believed"


@pytest.mark.parametrize(("who", "earns"), [("ab", False), ("abc", True)])
def test_two_of_eight_who_agree_with_nobody_else_earn_nothing_by_it(make_pool, who, earns):
    pools = [
        make_pool(
            np.ones((8, 2)), "abcdefgh",
            [reasoned(7 if name in who else 10 * i + at, 0) for at, name in enumerate("abcdefgh")],
            prompt_id=f"p{i}", equivalence="final_answer",
        )
        for i in range(1, 9)
    ]  # fmt: skip
    trust = judged(pools, Policy(guards=False, abstain=False))[0].standing.reliability
    assert (trust[0] > trust[7]) == earns


def make_round_of_equals(make_pool):
    """Answers of one length: a penalty on length has nothing to say."""
    rng = np.random.default_rng(13)
    pools = []
    for p in range(8):
        meaning = rng.normal(size=8)
        texts = [" ".join(f"w{i:03}" for i in rng.integers(0, 200, 30)) for _ in range(4)]
        vectors = meaning + 0.5 * rng.normal(size=(4, 8))
        pools.append(with_openings(make_pool(vectors, texts=texts, prompt_id=f"e{p}"), meaning))
    return pools


def test_brevity_earns_nothing_and_a_falling_effect_costs_nothing(make_pool):
    length = np.tile([10, 100, 1000], 20)
    everyone, vote = np.ones(60, dtype=bool), np.ones(60)
    measures = measures_of(np.repeat(np.arange(20), 3), np.tile(np.arange(3), 20), length)
    rising = np.log(length + 20.0)
    price = price_of_length(measures, rising, everyone, vote, 1.0).reshape(20, 3)
    excess = rising[2] - rising[:3].mean()
    assert price[0] == pytest.approx([0, 0, excess * 60 / (60 + SHRINK_LENGTH)])
    assert not price_of_length(measures, -rising, everyone, vote, 1.0).any()
    assert not price_of_length(measures, rising, everyone, vote, 0.0).any()
