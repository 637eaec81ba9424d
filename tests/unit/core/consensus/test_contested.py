"""What becomes of a label that some answers contradict."""

from dataclasses import replace

import numpy as np
import pytest

from consensus_server.core.consensus import CONFIDENCES, Calibration, decide
from consensus_server.core.consensus.contested import contests
from consensus_server.core.contradictions.findings import Finding
from tests.support.policies import plain

TEXTS = ("5 mg", "50 mg", "5 mg daily", "50 mg daily", "5 mg a day", "5 mg each day")


def against(first, second, strength=1.0, words=("5 mg", "50 mg")):
    return Finding(first, second, strength, "number:mass", *words)


@pytest.fixture
def make_contested(make_pool):
    """make_contested(sides): answers that all lie close; those of different sides contradict one another."""

    def make(sides, strength=1.0, **pool):
        made = make_pool([[1.0, 0.001 * i] for i in range(len(sides))], texts=TEXTS[: len(sides)], **pool)
        pairs = [(i, j) for i in range(len(sides)) for j in range(i + 1, len(sides)) if sides[i] != sides[j]]
        return replace(made, findings=tuple(against(i, j, strength) for i, j in pairs))

    return make


def decided(pool, **policy):
    return decide([pool], plain(**policy))[0]


def test_two_that_contradict_get_no_label_though_they_lie_close(make_contested):
    assert decided(replace(make_contested("ab"), findings=()), minimum_support=1).confidence == 1
    assert decided(make_contested("ab"), minimum_support=1).abstention == "tie"


@pytest.mark.parametrize("confidence", sorted(CONFIDENCES))
def test_a_majority_of_two_to_one_has_at_most_two_thirds(make_contested, confidence):
    decision = decided(make_contested("aab"), confidence=confidence)
    assert decision.pick in (0, 1)
    assert decision.confidence <= round(2 / 3, 6)


def test_a_calibration_gives_no_more_than_the_votes_leave(make_contested):
    sure = Calibration("dominant_share", scores=(0.0, 1.0), probabilities=(0.99, 0.99))
    assert decided(make_contested("aab"), confidence="dominant_share", calibration=sure).confidence <= round(2 / 3, 6)


def test_as_many_against_the_label_as_for_it_is_contested(make_pool):
    """Linkage may cut one side into pieces: the label's cluster then leads, and still as many are against it."""
    vectors = [[1, 0], [1, 0.01], [0, 1], [-1, 0]]
    pool = make_pool(vectors, texts=TEXTS[:4])
    pool = replace(pool, findings=tuple(against(i, j) for i in (0, 1) for j in (2, 3)))
    assert decided(replace(pool, findings=())).pick is not None
    assert decided(pool).abstention == "contested"
    assert decided(pool, abstain=False).confidence <= 0.5


def test_guesses_that_contradict_one_another_are_no_side_however_many(make_contested):
    """Two who know and three who guess: the label stays, and is no surer than its share."""
    decision = decided(make_contested("aabcd"))
    assert decision.pick in (0, 1)
    assert decision.confidence == pytest.approx(0.4, abs=1e-6)
    assert decided(make_contested("aabbc")).abstention == "tie"
    assert decided(make_contested("aabbc"), minimum_support=1, abstain=False).confidence <= 0.4


def test_an_answer_is_against_a_label_when_it_contradicts_half_of_those_who_carry_it(make_pool):
    pool = make_pool([[1, 0], [1, 0.01], [1, 0.02], [0, 1]], texts=TEXTS[:4])
    one = replace(pool, findings=(against(0, 3),))
    two = replace(pool, findings=(against(0, 3), against(1, 3)))
    full = decided(pool, confidence="mean_similarity").confidence
    assert (
        decided(one, confidence="support_fraction").support == decided(two, confidence="support_fraction").support == 3
    )
    assert decided(two, confidence="mean_similarity").confidence <= full


def test_a_doubt_parts_nobody_and_costs_half_of_its_share(make_contested):
    decision = decided(make_contested("aab", strength=0.5))
    assert len(decision.clusters) == 1
    assert decision.confidence == pytest.approx(1 - 1 / 6, abs=1e-6)


def test_nothing_depends_on_the_order_of_answers(make_contested, make_pool):
    pool = make_contested("aabab")
    decision = decided(pool)
    order = [3, 0, 4, 2, 1]
    place = {old: new for new, old in enumerate(order)}
    turned = replace(
        make_pool(
            pool.vectors[order],
            participants=[pool.participants[i] for i in order],
            texts=[pool.texts[i] for i in order],
        ),
        findings=tuple(replace_places(each, place) for each in reversed(pool.findings)),
    )
    again = decided(turned)
    assert (again.confidence, again.abstention, order[again.pick]) == (
        decision.confidence, decision.abstention, decision.pick,
    )  # fmt: skip
    told = [(each.first, each.second, each.finding.kind) for each in decision.contests]
    assert told == [(each.first, each.second, each.finding.kind) for each in again.contests]


def replace_places(finding, place):
    moved = finding._replace(first=place[finding.first], second=place[finding.second])
    return moved if moved.first < moved.second else moved.turned()


def test_the_strongest_difference_between_two_clusters_is_told_once(make_contested):
    pool = make_contested("aab")
    pool = replace(pool, findings=(against(0, 2, 0.9, ("five", "fifty")), against(1, 2, 1.0)))
    decision = decided(pool)
    (contest,) = decision.contests
    assert (contest.first, contest.second, contest.finding.strength) == (0, 1, 1.0)
    assert (contest.finding.words_first, contest.finding.words_second) == ("5 mg", "50 mg")
    assert contests(replace(pool, findings=()), decision.clusters) == ()


def test_words_stand_with_the_cluster_that_says_them(make_contested):
    pool = make_contested("abb")  # the larger cluster, told first, holds the second answer
    (contest,) = decided(pool).contests
    assert (contest.finding.words_first, contest.finding.words_second) == ("50 mg", "5 mg")


def test_answers_that_contradict_are_no_copies(make_pool):
    """5 mg and 50 mg in the same long sentence share nearly all words."""
    sentence = (
        "The usual dose for an adult of average weight is {} of the drug, taken with water after the evening meal."
    )
    texts = [sentence.format("5 mg"), sentence.format("50 mg"), "Something else is said here, at some length. " * 3]
    vectors = np.array([[1, 0, 0], [1, 0.01, 0], [0, 0, 1]], dtype=np.float32)
    made = make_pool(vectors, texts=texts)
    pool = replace(made, openings=made.vectors, prompt="", prompt_opening=vectors.mean(axis=0))
    policy = {"guards": True, "rule": "hybrid", "abstain": False}
    alike = decide([pool], replace(plain(), **policy))[0]
    apart = decide([replace(pool, findings=(against(0, 1),))], replace(plain(), **policy))[0]
    assert sum(each.votes for each in alike.clusters) < 2.5
    assert sum(each.votes for each in apart.clusters) == pytest.approx(3)
