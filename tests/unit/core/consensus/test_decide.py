"""What becomes of a pool, case by case. Vectors are in the plane, at angles in degrees."""

from dataclasses import replace

import numpy as np
import pytest

from consensus_server.core.consensus import UnknownConfidence, UnknownEquivalence, UnknownRule, decide
from tests.support.policies import plain
from tests.support.rounds import question, rearranged

ALL_LABELLED = plain(abstain=False)


def at(*degrees):
    return np.stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], axis=1)


def one(pool, policy=None):
    return decide([pool], policy or plain())[0]


def test_the_medoid_of_the_dominant_cluster_is_picked(make_pool):
    decision = one(make_pool(at(0, 10, 30, 120, 125)), plain(confidence="dominant_share"))
    assert (decision.pick, decision.abstention) == (1, None)
    assert [c.members for c in decision.clusters] == [(0, 1, 2), (3, 4)]
    assert [c.votes for c in decision.clusters] == [3, 2]
    assert (decision.support, decision.share, decision.confidence) == (3, 0.6, 0.6)
    np.testing.assert_allclose(decision.similarity, np.cos(np.deg2rad([10, 0, 20, 110, 115])), atol=1e-6)


def test_results_are_in_the_order_of_the_pools_and_of_the_answers(make_pool):
    pools = [make_pool(at(*angles), prompt_id=f"p{i}") for i, angles in enumerate([(0, 90), (0, 10, 30), (5, 6)])]
    decisions = decide(pools, plain())
    assert [d.prompt_id for d in decisions] == ["p0", "p1", "p2"]
    assert [d.abstention for d in decisions] == ["tie", None, None]
    backwards = make_pool(at(125, 120, 30, 10, 0), texts=[f"{i} ".ljust(100, "x") for i in (4, 3, 2, 1, 0)])
    assert one(backwards).pick == 3


def test_a_participant_has_one_vote_however_many_samples(make_pool):
    loud = make_pool(at(0, 1, 2, 3, 100, 101), participants=["loud"] * 4 + ["a", "b"])
    decision = one(loud)
    assert [c.votes for c in decision.clusters] == [2, 1]
    assert decision.clusters[0].members == (4, 5)
    assert decision.support == 2


def test_support_counts_the_whole_vote_of_everybody_present(make_pool):
    # Two of a's three samples, and one of b's two, lie with c.
    pool = make_pool(at(0, 5, 100, 3, 180, 2), participants=["a", "a", "a", "b", "b", "c"])
    decision = one(pool)
    assert decision.clusters[0].members == (0, 1, 3, 5)
    assert decision.clusters[0].votes == pytest.approx(2 / 3 + 1 / 2 + 1, abs=1e-6)
    assert decision.support == 3
    assert decision.share == pytest.approx((2 / 3 + 1 / 2 + 1) / 3, abs=1e-6)


def test_an_answer_that_is_not_admitted_gives_its_vote_to_the_other_samples(make_pool):
    texts = ["x" * 100, " \u200b", "y" * 100, "z" * 100]
    pool = make_pool([*at(0, 0), [np.nan, 0], *at(90)], participants=["a", "a", "b", "c"], texts=texts)
    decision = one(pool, ALL_LABELLED)
    assert decision.gates == {1: "empty", 2: "not_embeddable"}
    assert [c.votes for c in decision.clusters] == [1, 1]
    assert decision.similarity[1] == decision.similarity[2] == 0
    assert 1.0 in decision.similarity


def test_a_tie_is_an_abstention(make_pool):
    decision = one(make_pool(at(0, 5, 100, 105)))
    assert (decision.pick, decision.abstention, decision.confidence) == (None, "tie", 0)
    assert decision.support == 2
    assert decision.similarity == ()


def test_thirds_tie_with_wholes(make_pool):
    # a's three samples lie in one cluster, b's only one in the other: 1/3 + 1/3 + 1/3 against 1.
    assert one(make_pool(at(0, 1, 2, 100), participants=["a", "a", "a", "b"])).abstention == "tie"


def test_without_abstention_a_tie_goes_to_the_cluster_of_the_most_central_answer(make_pool):
    # Pairs around 5 and 80, and a stranger at 150: nearer the second pair.
    decision = one(make_pool(at(0, 10, 75, 85, 150)), ALL_LABELLED)
    assert {c.votes for c in decision.clusters[:2]} == {2}
    assert decision.pick in {2, 3}
    assert decision.abstention is None


def test_without_abstention_strangers_give_the_most_central_answer(make_pool):
    decision = one(make_pool(at(0, 65, 135)), ALL_LABELLED)
    assert decision.pick == 1
    assert decision.support == 1


def test_copies_do_not_support_each_other_in_a_tie(make_pool):
    # Two copies against two answers at cosine .64 that lie at right angles to them: counting copies, 1 beats .64.
    vectors = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0.643, 0.766]]
    texts = ["copy".ljust(100, "x")] * 2 + ["b" * 100, "c" * 100]
    assert one(make_pool(vectors, texts=texts), ALL_LABELLED).pick in {2, 3}


@pytest.mark.parametrize(("minimum", "labelled"), [(1, True), (2, True), (3, True), (4, False)])
def test_support_below_the_minimum_is_an_abstention(make_pool, minimum, labelled):
    decision = one(make_pool(at(0, 5, 10, 100)), plain(minimum_support=minimum))
    assert (decision.abstention is None) is labelled
    assert decision.abstention in {None, "low_support"}
    assert decision.support == 3


def test_one_participant_does_not_support_itself(make_pool):
    pool = make_pool(at(0, 5), participants=["a", "a"])
    assert one(pool).abstention == "low_support"
    assert one(pool, plain(minimum_support=1)).pick in {0, 1}


def test_a_single_answer_is_a_label_only_with_abstention_off(make_pool):
    pool = make_pool(at(0))
    assert one(pool, plain(minimum_support=1)).abstention == "single_answer"
    assert one(pool, ALL_LABELLED).pick == 0
    assert one(pool, ALL_LABELLED).confidence == 0


@pytest.mark.parametrize(("characters", "clusters"), [(79, 2), (80, 1), (81, 1)])
def test_short_answers_are_cut_at_the_smaller_distance(make_pool, characters, clusters):
    # Cosine distance .30 lies between .20 and .50.
    pool = make_pool(at(0, 45.573), texts=["a" * characters, "b" * characters])
    assert len(one(pool).clusters) == clusters


def test_the_median_counts_admitted_answers_only(make_pool):
    texts = ["a" * 70, "b" * 90, " " * 500, " " * 600]
    assert len(one(make_pool(at(0, 45.573, 0, 0), texts=texts)).clusters) == 1
    shorter = ["a" * 69, "b" * 90, " " * 500, " " * 600]
    assert len(one(make_pool(at(0, 45.573, 0, 0), texts=shorter)).clusters) == 2


def test_a_large_pool_is_clustered_by_the_callers_index(make_pool, monkeypatch):
    monkeypatch.setattr("consensus_server.core.consensus.meaning.linkage.FULL_MATRIX_ANSWERS", 3)

    class Joined:
        def pairs_within(self, vectors, similarity):
            assert similarity == pytest.approx(1 - ALL_LABELLED.distance_long)
            return np.array([[0, len(vectors) - 1]])

    pool = make_pool(at(0, 90, 180, 270))
    assert [len(c.members) for c in decide([pool], ALL_LABELLED, Joined())[0].clusters] == [2, 1, 1]
    assert [len(c.members) for c in decide([pool], ALL_LABELLED)[0].clusters] == [1, 1, 1, 1]


def test_unknown_names_list_the_known_ones(make_pool):
    with pytest.raises(UnknownRule, match=r"'best'.*cluster_medoid") as caught:
        decide([], plain(rule="best"))
    assert (caught.value.name, "random" in caught.value.known) == ("best", True)
    with pytest.raises(UnknownConfidence, match=r"'gut'.*dominant_share"):
        decide([], plain(confidence="gut"))
    with pytest.raises(UnknownEquivalence, match=r"'vibes'.*exact"):
        decide([make_pool(at(0, 1), equivalence="vibes")], plain())


def test_columns_of_unequal_length_are_refused_by_name(make_pool):
    with pytest.raises(ValueError, match="columns of pool 'p'"):
        decide([replace(make_pool(at(0, 1)), samples=(0,))], plain())


def test_wordings_of_one_question_are_one_pool_with_a_text_for_each(make_pool):
    texts = ["Paris.", "It is Paris.", "Paris.", "It is Paris.", "Rome.", "Oslo."]
    said = [("ann", 0, 0), ("ann", 1, 0), ("bob", 0, 0), ("bob", 1, 0), ("cy", 0, 1), ("cy", 1, 2)]
    pool = question(make_pool, said, texts=texts)
    first, second = decide([pool], plain(decide_by="evidence"))
    assert [first.prompt_id, second.prompt_id] == ["q/0", "q/1"]
    assert [texts[first.pick], texts[second.pick]] == ["Paris.", "It is Paris."]
    assert first.clusters == second.clusters
    assert first.stands_on == second.stands_on
    assert (first.stands_on.evidence, first.stands_on.margin) == (2.0, 1.5)


def test_who_says_the_same_to_both_wordings_counts_as_one_that_knows(make_pool):
    said = [("ann", 0, 0), ("ann", 1, 0), ("bob", 0, 1), ("bob", 1, 2), ("cy", 0, 3), ("cy", 1, 4)]
    first, second = decide([question(make_pool, said)], plain(decide_by="evidence"))
    assert (first.pick, second.pick) == (0, 1)
    assert first.stands_on.grade == "single_witness"


def test_a_wording_that_nobody_answers_rightly_gets_the_text_of_another(make_pool):
    said = [("ann", 0, 0), ("bob", 0, 0), ("ann", 1, 1), ("cy", 1, 2), ("bob", 1, 0), ("cy", 0, 3)]
    only = [*said[:2], ("ann", 0, 0), ("cy", 1, 2)]
    first, second = decide([question(make_pool, only)], plain(decide_by="evidence"))
    assert first.pick == second.pick
    assert only[second.pick][1] == 0


def test_a_question_without_answers_gives_a_reason_for_each_wording(make_pool):
    pool = question(make_pool, [("ann", 0, 0), ("bob", 1, 0)], texts=[" ", ""])
    assert [each.abstention for each in decide([pool], plain(decide_by="evidence"))] == ["no_answers"] * 2


def test_the_order_of_answers_of_a_question_does_not_matter(make_pool):
    rng = np.random.default_rng(0)
    said = [(name, int(rng.integers(2)), int(rng.integers(4))) for name in "aaaabbbbccccdddd"]
    before = decide([question(make_pool, said)], plain(decide_by="evidence", abstain=False))
    texts = question(make_pool, said).texts
    order = rng.permutation(len(said)).tolist()
    pool = question(make_pool, said)
    shuffled = replace(rearranged(pool, order), asked=tuple(pool.asked[i] for i in order))
    after = decide([shuffled], plain(decide_by="evidence", abstain=False))
    assert [shuffled.texts[each.pick] for each in after] == [texts[each.pick] for each in before]
    assert [each.stands_on for each in after] == [each.stands_on for each in before]
