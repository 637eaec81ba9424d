"""Rounds decided as a whole: guards, redundancy, reliability."""

import hashlib
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import RULES, MissingOpenings, Policy, Pool, decide
from consensus_server.core.consensus.clustering import FULL_MATRIX_ANSWERS
from consensus_server.core.consensus.crowds import copy_groups
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.guards import printable_share
from consensus_server.core.consensus.layout import Layout
from consensus_server.core.consensus.measures import Measures
from consensus_server.core.consensus.redundancy import unusual_company
from consensus_server.core.consensus.repetition import repetition
from consensus_server.core.consensus.similarity import unit_vectors
from consensus_server.core.consensus.support import SHRINK_LENGTH, length_price, lent

GUARDED = Policy(rule="hybrid", guards=True, reliability=True, abstain=False)
WORDS = [f"word{i}" for i in range(400)]


def text_of(rng, count, vocabulary=WORDS):
    return " ".join(rng.choice(vocabulary, count))


@pytest.fixture(scope="module")
def make_round(make_pool):
    """A round of `prompts` pools; participant number k answers k times as close to the common meaning as the first."""

    def make(seed=0, prompts=30, participants=5, dimension=24, words=30):
        rng = np.random.default_rng(seed)
        pools = []
        for p in range(prompts):
            meaning = rng.normal(size=dimension)
            noise = rng.normal(size=(participants, dimension)) / (1 + np.arange(participants))[:, None]
            vectors = meaning + noise
            common = rng.choice(WORDS, 25)
            texts = [text_of(rng, words, np.concatenate([common, rng.choice(WORDS, 40)])) for _ in range(participants)]
            pool = make_pool(vectors, [f"site-{k}" for k in range(participants)], texts, prompt_id=f"p{p:03}")
            pools.append(with_openings(pool, meaning))
        return pools

    return make


def with_openings(pool, prompt_opening):
    return replace(
        pool, prompt="Which words?", prompt_opening=np.asarray(prompt_opening, np.float32), openings=pool.vectors
    )


def joined(pool, names, texts, vectors):
    """The pool with more answers."""
    digests = tuple(hashlib.sha256(text.encode()).hexdigest() for text in texts)
    vectors = np.concatenate([pool.vectors, np.asarray(vectors, np.float32)])
    return Pool(
        pool.prompt_id,
        (*pool.participants, *names),
        (*pool.samples, *[0] * len(names)),
        (*pool.texts, *texts),
        (*pool.digests, *digests),
        vectors,
        prompt=pool.prompt,
        prompt_opening=pool.prompt_opening,
        openings=vectors,
    )


def rearranged(pool, order):
    columns = ("participants", "samples", "texts", "digests")
    return replace(
        pool,
        vectors=pool.vectors[order],
        openings=pool.openings[order],
        **{name: tuple(getattr(pool, name)[i] for i in order) for name in columns},
    )


def votes_of(pool, decision):
    return sum(cluster.votes for cluster in decision.clusters)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shuffle=st.randoms(use_true_random=False))
def test_neither_the_order_of_pools_nor_of_answers_matters(make_round, seed, shuffle):
    pools = make_round(seed % 5, prompts=25)
    before = {d.prompt_id: d for d in decide(pools, GUARDED)}
    others = []
    for pool in pools:
        order = list(range(len(pool.texts)))
        shuffle.shuffle(order)
        others.append(rearranged(pool, order))
    shuffle.shuffle(others)
    for pool, decision in zip(others, decide(others, GUARDED), strict=True):
        old = before[pool.prompt_id]
        old_pool = next(p for p in pools if p.prompt_id == pool.prompt_id)
        assert pool.digests[decision.pick] == old_pool.digests[old.pick]
        assert (decision.confidence, decision.support, decision.share) == (old.confidence, old.support, old.share)


def test_reliability_follows_who_agrees_elsewhere(make_round):
    pools = make_round(prompts=40)
    trusting, plain = (decide_round(pools, replace(GUARDED, reliability=each)) for each in (True, False))
    best = max(trusting.participants, key=lambda each: each.mean).participant

    def picks(outcome):
        return [pool.participants[d.pick] for pool, d in zip(pools, outcome.decisions, strict=True)]

    assert picks(trusting).count(best) > picks(plain).count(best)
    assert picks(trusting).count("site-0") == 0


def one_pool(answers):
    layout = Layout(np.zeros(answers, dtype=np.int64))
    pairs = np.zeros(layout.pairs)
    return Measures(
        layout,
        np.arange(answers),
        np.full(answers, 100),
        np.arange(answers),
        np.zeros(answers, bool),
        pairs,
        pairs,
        pairs,
        None,
    )


def test_what_several_suddenly_say_alike_is_lent_no_more_than_anybodys():
    """Unless the pool stands behind it; and who is trusted less than the pool gains nothing by company."""
    reliability, z, kept, votes = (
        np.array(each)
        for each in (
            [0.4, 0.4, -0.1, -0.6, -0.2, -0.4],
            [0.9, 1.0, 0.9, 0.0, 0.0, 0.0],
            [0.25, 0.0, 0.0, 0.0, 1.0, 1.0],
            [0.0, 0.5, 0.5, 0.5, 1.0, 1.0],
        )
    )
    anybodys = (-0.2 - 0.4) / 2  # of those that answer for themselves
    wanted = [0.25 * 0.4 + 0.75 * anybodys, 0.4, anybodys, -0.6, -0.2, -0.4]
    np.testing.assert_allclose(lent(one_pool(6), reliability, z, votes, kept), wanted)


def test_where_the_pool_is_trusted_what_is_shared_out_is_lent_nothing():
    trusted, nobody = np.array([0.5, 0.5, 0.3, 0.3]), np.zeros(4)
    kept = np.array([0.0, 0.0, 1.0, 1.0])
    np.testing.assert_allclose(lent(one_pool(4), trusted, nobody, np.ones(4), kept), [0, 0, 0.3, 0.3])
    np.testing.assert_allclose(lent(one_pool(4), trusted, nobody, nobody, nobody), 0)


def test_participants_alike_everywhere_are_no_surprise():
    """What two participants always share costs neither any trust."""
    layout = Layout(np.repeat(np.arange(30), 4))
    pairs = np.zeros(layout.pairs)
    measures = Measures(
        layout,
        np.tile(np.arange(4), 30),
        np.full(120, 100),
        np.arange(120),
        np.zeros(120, bool),
        pairs,
        pairs,
        pairs,
        None,
    )
    everyone = np.ones(120, dtype=bool)
    twins = np.where(np.isin(measures.participant, [0, 1]), 1.0, 0.0)
    redundant = np.maximum(twins[measures.layout.left] * twins[measures.layout.right], measures.same_participant)
    np.testing.assert_allclose(unusual_company(measures, everyone, redundant), 0, atol=1e-9)
    once = np.where(measures.layout.pool[measures.layout.left] == 3, redundant, measures.same_participant)
    company = unusual_company(measures, everyone, once)
    here = (measures.layout.pool == 3) & (twins == 1)
    np.testing.assert_allclose(company[here], 1 - 1 / 30)
    assert not company[~here].any()


def test_an_answer_far_from_the_prompt_but_near_the_topical_ones_is_on_topic(make_pool):
    """Four answers of one meaning, one of them worded far from the prompt; a fifth about something else."""
    prompt = np.array([1.0, 0, 0, 0])
    vectors = np.array([[1, 2, 0, 0], [1, 2, 0.3, 0], [1, 2, 0, 0.3], [0.1, 2, 0, 0], [0.1, 0.1, 0.2, 2]])
    texts = [f"answer {i} ".ljust(120, "x") for i in range(5)]
    pool = with_openings(make_pool(vectors, texts=texts), prompt)
    assert decide([pool], GUARDED)[0].gates == {4: "off_topic"}


def test_copies_weigh_as_one_vote_and_do_not_win(make_round):
    pools, rng = make_round(participants=5), np.random.default_rng(3)
    attacked = []
    for pool in pools:
        text, vector = text_of(rng, 40), pool.prompt_opening * 0.3 + rng.normal(size=24) * 0.4
        attacked.append(joined(pool, ["x", "y", "z", "zz", "zzz"], [text] * 5, [vector] * 5))
    for policy in (GUARDED, replace(GUARDED, reliability=False)):
        for pool, decision in zip(attacked, decide(attacked, policy), strict=True):
            own = [c for c in decision.clusters if any(pool.participants[m] == "x" for m in c.members)]
            assert not own or len(own[0].members) > 5 or own[0].votes == pytest.approx(1, abs=1e-5)
            assert pool.participants[decision.pick].startswith("site-")
    unguarded = decide(attacked, replace(GUARDED, guards=False, rule="medoid"))
    assert sum(p.participants[d.pick] in "xyzzz" for p, d in zip(attacked, unguarded, strict=True)) > 15


def test_short_answers_that_agree_word_by_word_keep_their_votes(make_pool):
    pools = [
        with_openings(
            make_pool([[1, 0], [1, 0], [1, 0], [0, 1]], texts=["Paris."] * 3 + [f"It is Rome {p}"], prompt_id=f"{p}"),
            [1, 1],
        )
        for p in range(30)
    ]
    for decision in decide(pools, GUARDED):
        assert [c.votes for c in decision.clusters] == [3, 1]
        assert decision.gates == {}


def test_long_answers_that_agree_word_by_word_are_one_voice(make_pool):
    pools = [
        with_openings(
            make_pool([[1, 0]] * 3, texts=[f"word{p} " * 5 + "and the rest of it " * 5] * 3, prompt_id=f"{p}"), [1, 1]
        )
        for p in range(2)
    ]
    for decision in decide(pools, GUARDED):
        assert [c.votes for c in decision.clusters] == [1]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), copies=st.integers(1, 5))
def test_more_samples_give_a_participant_no_more_votes(make_round, seed, copies):
    pool = make_round(seed, prompts=1)[0]
    more = rearranged(pool, [*range(5), *[2] * copies])
    more = replace(more, samples=(0, 0, 0, 0, 0, *range(1, copies + 1)))
    before, after = (decide([each], GUARDED)[0] for each in (pool, more))
    assert votes_of(more, after) == pytest.approx(votes_of(pool, before), abs=1e-5)
    assert more.texts[after.pick] == pool.texts[before.pick]


def test_each_guard_refuses_by_its_name(make_round):
    rng = np.random.default_rng(4)
    pools = []
    for pool in make_round(participants=4):
        near = pool.vectors[:1] + 0.1 * rng.normal(size=(1, 24)).astype(np.float32)
        texts = [
            "\x00\x01\ufffd\x1b" * 40 + text_of(rng, 3),
            text_of(rng, 30),
            "Buy the finest carpets at the bazaar of our town. " + text_of(rng, 2),
            text_of(rng, 3000, [f"{pool.prompt_id}word{i}" for i in range(900)]),
        ]
        pools.append(
            joined(
                pool, ["bytes", "stray", "seller", "talker"], texts, [near[0], -pool.prompt_opening, near[0], near[0]]
            )
        )
    expected = {4: "garbage", 5: "off_topic", 6: "repetitive", 7: "over_long"}
    for decision in decide(pools, GUARDED):
        assert decision.gates == expected
        assert decision.pick < 4


@pytest.mark.parametrize("more", [0, FULL_MATRIX_ANSWERS])
def test_who_repeats_an_answer_at_too_much_length_takes_none_of_its_vote(make_pool, more):
    """In small pools and in those too large for pairs."""
    rng = np.random.default_rng(8)
    directions = np.array([[1, 0, 0], [np.cos(0.26), np.sin(0.26), 0]])
    others = np.array([0, 0, 1]) + 0.5 * rng.random(size=(more, 3))
    texts = [text_of(rng, 20) for _ in range(2 + more)]
    pool = with_openings(make_pool(np.concatenate([directions, others]), texts=texts), np.ones(3))
    talk = [f"{text} {text_of(rng, 1200)}" for text in texts[:2]]
    talked = joined(pool, ["talker-0", "talker-1"], talk, directions)
    before, after = (decide([each], GUARDED)[0] for each in (pool, talked))
    assert after.gates == {2 + more: "over_long", 3 + more: "over_long"}
    assert votes_of(talked, after) == pytest.approx(votes_of(pool, before))
    assert (after.pick, after.support) == (before.pick, before.support)


def test_answers_that_show_nothing_make_no_pool_too_large_for_pairs(make_round):
    pools = make_round(participants=4)
    nobody = [f"nobody-{i}" for i in range(FULL_MATRIX_ANSWERS)]
    vectors = np.ones((len(nobody), pools[0].vectors.shape[1]))
    stuffed = [joined(pools[0], nobody, ["\u200b"] * len(nobody), vectors), *pools[1:]]
    before, after = (decide_round(each, GUARDED) for each in (pools, stuffed))
    assert after.decisions[0].gates == dict.fromkeys(range(4, 4 + len(nobody)), "empty")
    for name in ("pick", "support", "share", "confidence", "clusters"):
        assert getattr(after.decisions[0], name) == getattr(before.decisions[0], name)
    assert [each for each in after.participants if each.prompts] == list(before.participants)


def test_a_pool_without_what_guards_read_is_named(make_round, make_pool):
    with pytest.raises(MissingOpenings, match=r"pool 'bare' lacks.*encode_with_openings"):
        decide([*make_round(prompts=2), make_pool(np.eye(3), prompt_id="bare")], GUARDED)


def small_pools(make_pool):
    eye, nothing = np.eye(4), np.zeros(4)
    named = {
        "nobody": (make_pool(np.zeros((0, 4)), texts=[]), eye[0]),
        "empty": (make_pool(eye[:3], texts=["", " \n", "\u200b"]), eye[0]),
        "nan": (make_pool(np.full((3, 4), np.nan)), eye[0]),
        "nan prompt": (make_pool(eye[:3]), np.full(4, np.nan)),
        "zero prompt": (make_pool(eye[:3]), nothing),
        "one": (make_pool(eye[:1]), eye[0]),
        "two": (make_pool(eye[:2]), eye[0]),
        "identical": (make_pool(np.ones((5, 4)), texts=["the same words " * 20] * 5), np.ones(4)),
        "orthogonal": (make_pool(eye), np.ones(4)),
        "opposed": (make_pool([eye[0], -eye[0]]), eye[0]),
        "huge": (make_pool([eye[0] * 1e38, eye[1] * 1e-42]), eye[0]),
        "scripts": (make_pool(eye, texts=["巴黎", "פריז", "\u202e\u0628\u0627", "Pa\u200bris"]), eye[0]),
        "private use": (make_pool(eye[:2], texts=["a useful\ue000b", "c"]), eye[0]),
        "one with many": (make_pool(eye, participants=["a"] * 4), eye[0]),
        "garbage only": (make_pool(eye[:3], texts=["\x00" * 9 + "a", "\x01" * 9 + "b", "\x02" * 9 + "c"]), eye[0]),
    }
    return [with_openings(replace(pool, prompt_id=name), prompt) for name, (pool, prompt) in named.items()]


def a_megabyte(make_pool):
    pool = make_pool(
        np.eye(4)[[0, 0, 1]], texts=["word " * 200_000, " " * 999_999 + "x", "short"], prompt_id="a megabyte"
    )
    return with_openings(pool, np.eye(4)[0])


def bears(pools, policy):
    for decision in decide(pools, policy):
        assert (decision.pick is None) is (decision.abstention is not None)
        json.dumps(asdict(decision), allow_nan=False)


@pytest.mark.parametrize("rule", RULES)
def test_whatever_comes_in_there_is_a_decision_or_a_reason(make_pool, rule):
    small = small_pools(make_pool)
    bears(small, replace(GUARDED, rule=rule))
    for pools in ([*small, a_megabyte(make_pool)], *([pool] for pool in small)):
        bears(pools, replace(GUARDED, rule=rule, abstain=False))


@pytest.mark.parametrize("abstain", [True, False])
def test_whatever_comes_alone(make_pool, abstain):
    for pool in (*small_pools(make_pool), a_megabyte(make_pool)):
        bears([pool], replace(GUARDED, abstain=abstain))


def test_only_a_pool_without_answers_has_no_label(make_pool):
    pools = [*small_pools(make_pool), a_megabyte(make_pool)]
    without = {d.prompt_id for d in decide(pools, GUARDED) if d.pick is None}
    assert without == {"nobody", "empty", "nan", "garbage only"}


def a_crowd(make_pool, honest=1300, copies=400, dimension=32):
    """One pool too large for pairs: honest answers of four meanings, and many names that say the same."""
    rng = np.random.default_rng(5)
    vectors = np.eye(dimension)[rng.choice(4, honest, p=[0.4, 0.3, 0.2, 0.1])] + 0.05 * rng.normal(
        size=(honest, dimension)
    )
    texts = [text_of(rng, 25, [f"site{i}word{w}" for w in range(40)]) for i in range(honest)]
    spam = np.tile(np.eye(dimension)[4], (copies, 1)) + 0.005 * rng.normal(size=(copies, dimension))
    texts += [
        f"This is what all of us say, again and again, and number {i} says it as well as the others."
        for i in range(copies)
    ]
    pool = make_pool(np.concatenate([vectors, spam]), texts=texts, prompt_id="large")
    return with_openings(pool, np.eye(dimension)[:5].sum(axis=0))


def test_in_a_pool_too_large_for_pairs_copies_weigh_as_one(make_pool):
    pool = a_crowd(make_pool)
    decision = decide([pool], GUARDED)[0]
    assert decision.pick < 1300
    own = next(c for c in decision.clusters if 1300 in c.members)
    assert own.votes < 2
    assert votes_of(pool, decision) == pytest.approx(1301, abs=15)
    bare = decide([pool], replace(GUARDED, guards=False))[0]
    assert votes_of(pool, bare) == pytest.approx(1700)


def test_guards_read_pools_too_large_for_pairs(make_pool):
    pool = a_crowd(make_pool, copies=0)
    rng, about = np.random.default_rng(6), pool.prompt_opening
    texts = ["\x00\x01\ufffd\x1b" * 40, text_of(rng, 30), "word " * 5000]
    more = joined(pool, ["bytes", "stray", "talker"], texts, [about, -about, about])
    for pools in ([more], [more, *with_small_ones(make_pool)]):
        decision = decide(pools, GUARDED)[0]
        assert decision.gates == {1300: "garbage", 1301: "off_topic", 1302: "over_long"}
        assert decision.pick < 1300


def with_small_ones(make_pool):
    return [
        with_openings(
            make_pool(np.eye(3), texts=[f"small {i} {k} ".ljust(100, "y") for k in range(3)], prompt_id=f"small{i}"),
            np.ones(3),
        )
        for i in range(3)
    ]


def test_copies_are_found_in_blocks_and_lead_to_their_first():
    rng = np.random.default_rng(7)
    unit = unit_vectors(rng.normal(size=(40, 16)).astype(np.float32))[rng.integers(0, 40, 9000)]
    comparable = rng.random(9000) < 0.9
    groups = copy_groups(unit, comparable)
    _, first, which = np.unique(unit[comparable], axis=0, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(groups[comparable], np.flatnonzero(comparable)[first[which.ravel()]])
    np.testing.assert_array_equal(groups[~comparable], np.flatnonzero(~comparable))


@pytest.mark.parametrize(
    ("text", "share"),
    [("plain", 1), ("", 0), (" \n", 0), ("שלום\u200f 今日 🙂", 1), ("ab\x00\x01", 0.5), ("\ufffd\ufffda ", 1 / 3)],
)
def test_printable_share(text, share):
    assert printable_share(text) == pytest.approx(share)


def test_repetition_counts_prompts_not_samples_and_leaves_out_quotes_and_short_units():
    slogan, own = "This sentence comes again and again.", "Number {} is a sentence of its own kind."
    prompt = "Please repeat the following sentence."

    def share(texts, pools=None, prompts=None):
        count = len(texts)
        return repetition(["a"] * count, prompts or [""] * count, texts, pools or list(range(count)))["a"]

    assert share([f"{slogan} {own.format(i)}" for i in range(4)]) == pytest.approx(
        len(slogan) / (len(slogan) + len(own) - 1)
    )
    assert share([slogan] * 2) == 0
    assert share([slogan] * 5, pools=[0] * 5) == 0
    assert share([f"Sure, here it is: {i}" + "!" for i in range(9)] + ["Yes."] * 9) == 0
    assert share([prompt] * 9, prompts=[prompt] * 9) == 0
    assert share([slogan] * 3 + [own.format(i) for i in range(57)]) == 0  # in 3, and in less than 10 %
    assert share([slogan] * 9) == 1


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
    layout = Layout(np.repeat(np.arange(20), 3))
    length = np.tile([10, 100, 1000], 20)
    everyone, vote = np.ones(60, dtype=bool), np.ones(60)
    pairs = np.zeros(layout.pairs)
    measures = Measures(
        layout, np.tile(np.arange(3), 20), length, np.arange(60), np.zeros(60, bool), pairs, pairs, pairs, None
    )
    rising = np.log(length + 20.0)
    price = length_price(measures, rising, everyone, vote, 1.0).reshape(20, 3)
    excess = rising[2] - rising[:3].mean()
    assert price[0] == pytest.approx([0, 0, excess * 60 / (60 + SHRINK_LENGTH)])
    assert not length_price(measures, -rising, everyone, vote, 1.0).any()
    assert not length_price(measures, rising, everyone, vote, 0.0).any()
