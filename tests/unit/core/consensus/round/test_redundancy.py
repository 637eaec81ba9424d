"""Copies under several names, and what they leave of a vote."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import Policy, decide
from consensus_server.core.consensus.answers.pairs import FULL_MATRIX_ANSWERS
from consensus_server.core.consensus.round.measures import GateMeasures
from consensus_server.core.consensus.round.redundancy import (
    group_size_by_pairs,
    redundancy,
    unusual_repeats,
)
from consensus_server.core.consensus.round.redundancy import votes_of as votes
from tests.support.rounds import GUARDED, joined, measures_of, rearranged, text_of, votes_of, with_openings
from tests.support.short_answers import (
    CLOSE,
    a_mixed_pool,
    a_pool_about,
    elaborate,
    near,
    one_meaning,
    picked,
)


def alike(f1, participant=None, openings=None, prompts=1, wording=None):
    """Votes, by prompt, of long answers that are so much alike, on each of the prompts."""
    f1, size = np.asarray(f1, dtype=float), len(f1)
    participant = np.arange(size) if participant is None else participant
    measures = measures_of(np.repeat(np.arange(prompts), size), np.tile(participant, prompts), [100] * size * prompts)
    nothing = np.zeros(size * prompts)
    measures = replace(
        measures,
        f1=np.tile(f1.ravel(), prompts),
        opening_cosine=np.tile((np.eye(size) if openings is None else np.asarray(openings)).ravel(), prompts),
        wording=measures.wording if wording is None else np.tile(wording, prompts),
        for_gates=GateMeasures(nothing, nothing, nothing, nothing),
    )
    everyone = np.ones(size * prompts, dtype=bool)
    group_size = group_size_by_pairs(measures, redundancy(measures, everyone))
    return votes(measures, everyone, group_size).reshape(prompts, size)


def table(size, between, groups=()):
    """A symmetric table: `between` any two, and as much as each group says between its members; 1 on the diagonal."""
    found = np.full((size, size), float(between))
    for members, value in groups:
        found[np.ix_(members, members)] = value
    np.fill_diagonal(found, 1)
    return found


@pytest.mark.parametrize(("between", "counted"), [(0.72, 8), (0.85, 8), (0.99, 8)])
def test_where_all_are_alike_likeness_is_no_copying(between, counted):
    """Eight translations of a sentence: the task leaves little choice of words."""
    assert alike(table(8, between)).sum() == pytest.approx(counted)


@pytest.mark.parametrize("usual_f1", [0.1, 0.4, 0.44])
def test_where_all_choose_their_words_the_limits_are_those_that_hold_everywhere(usual_f1):
    half = alike(table(8, usual_f1, [([0, 1], 0.75)]))[0]
    assert half[:2] == pytest.approx([1 / 1.5] * 2)
    assert alike(table(8, usual_f1, [([0, 1], 0.80)]))[0, :2] == pytest.approx([0.5] * 2)
    assert alike(table(8, usual_f1, [([0, 1], 0.70)])).sum() == pytest.approx(8)


@pytest.mark.parametrize("copies", [2, 4, 7, 9])
def test_copies_among_answers_that_are_alike_have_one_vote(copies):
    """However many: pairs of one text are not what is usual."""
    members = list(range(copies))
    wording = np.maximum(np.arange(10), copies - 1)
    found = alike(table(10, 0.72, [(members, 1.0)]), wording=wording)
    assert found[0, :copies].sum() == pytest.approx(1)
    assert found.sum() == pytest.approx(11 - copies)


@pytest.mark.parametrize("copies", [2, 4, 7, 8])
def test_reworded_copies_do_not_become_usual_by_their_number(copies):
    found = alike(table(10, 0.72, [(list(range(copies)), 0.92)]))
    assert found.sum() == pytest.approx(11 - copies)


def test_samples_of_one_participant_do_not_make_copies_usual():
    """Three sites that choose their words, and two copiers; one of these says it eight times, each time alike."""
    participant = np.array([0, 1, 2, 3, *[4] * 8])
    found = alike(table(12, 0.3, [(list(range(3, 12)), 0.9)]), participant)
    assert found[0, 3:].sum() == pytest.approx(1)
    assert found.sum() == pytest.approx(4)


def test_of_two_answers_nobody_knows_what_is_usual():
    assert alike(table(2, 0.9)).sum() == pytest.approx(1)
    assert alike(table(3, 0.9)).sum() == pytest.approx(3)


def test_of_three_two_copies_stand_out():
    assert alike(table(3, 0.72, [([0, 1], 0.95)])).sum() == pytest.approx(2)


def test_openings_are_copies_where_that_is_unusual():
    words = table(6, 0.2)
    assert alike(words, openings=table(6, 0.5, [([0, 1], 0.986)]))[0, :2] == pytest.approx([0.5] * 2)
    assert alike(words, openings=table(6, 0.986)).sum() == pytest.approx(6)
    assert alike(words, openings=table(6, 0.986, [([0, 1], 0.996)]))[0, :2] == pytest.approx([0.5] * 2)


@pytest.mark.parametrize("prompts", [19, 20])
def test_participants_are_one_where_that_is_unusual_in_the_round(prompts):
    """Openings of a narrow task are all alike; those of two names of one participant more so."""
    words = table(6, 0.2)
    assert alike(words, openings=table(6, 0.94), prompts=prompts).sum() == pytest.approx(6 * prompts)
    twins = alike(words, openings=table(6, 0.94, [([0, 1], 0.984)]), prompts=prompts)
    assert twins.sum() == pytest.approx((6 if prompts < 20 else 5) * prompts)


def test_participants_alike_everywhere_are_no_surprise():
    """What two participants always share costs neither any trust."""
    measures = measures_of(np.repeat(np.arange(30), 4), np.tile(np.arange(4), 30), [100] * 120)
    everyone = np.ones(120, dtype=bool)
    twins = np.where(np.isin(measures.participant, [0, 1]), 1.0, 0.0)
    redundant = np.maximum(twins[measures.pairs.left] * twins[measures.pairs.right], measures.same_participant)
    np.testing.assert_allclose(unusual_repeats(measures, everyone, redundant), 0, atol=1e-9)
    once = np.where(measures.pairs.pool[measures.pairs.left] == 3, redundant, measures.same_participant)
    repeats = unusual_repeats(measures, everyone, once)
    here = (measures.pairs.pool == 3) & (twins == 1)
    np.testing.assert_allclose(repeats[here], 1 - 1 / 30)
    assert not repeats[~here].any()


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


def test_long_answers_that_agree_word_by_word_have_one_vote(make_pool):
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


@settings(max_examples=25, deadline=None)
@given(
    right=st.integers(2, 6),
    wrong=st.integers(0, 5),
    prompts=st.integers(1, 25),
    equivalence=st.sampled_from(["final_answer", "code"]),
)
def test_worked_answers_that_resemble_each_other_keep_their_votes(make_pool, right, wrong, prompts, equivalence):
    """They restate the question and take the same steps: where a key is counted, that is no copying."""
    steps = "# The shop {} sells twelve boxes with one hundred pens in each, so that the number of pens is asked for.\n"
    ends = {"final_answer": "The answer is {}.", "code": "pens = {}\n"}[equivalence]
    values = [1200] * right + [1100 + k for k in range(wrong)]

    def asked(shop):
        said = [(steps.format(f"no{shop}") + ends.format(value), CLOSE) for value in values]
        return replace(a_pool_about(make_pool, f"p{shop}", said), equivalence=equivalence)

    pools = [asked(shop) for shop in range(prompts)]
    for decision in decide(pools, Policy(rule="vote")):
        assert decision.support == right
        assert sum(cluster.votes for cluster in decision.clusters) == right + wrong


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
    assert len(picked([one_meaning(make_pool, texts, vectors, prompt_id="paris")], Policy(abstain=False))[0]) < 80


def test_samples_do_not_make_most_of_a_pool_long(make_pool):
    """One participant that elaborates five times is one."""
    pool = a_mixed_pool(make_pool, 5, 3, prompt_id="paris")
    names = ["talker"] * 5 + ["a", "b", "c"]
    sampled = make_pool(pool.vectors, names, pool.texts, prompt_id="paris")
    sampled = replace(sampled, prompt="Which?", prompt_opening=pool.vectors[0], openings=sampled.vectors)
    assert len(picked([sampled], Policy(abstain=False))[0]) < 80
