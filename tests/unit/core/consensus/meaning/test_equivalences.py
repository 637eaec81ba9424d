"""When two answers mean the same, by the name of their pool's equivalence."""

import numpy as np
import pytest

from consensus_server.core.consensus import Policy, UnknownEquivalence, decide
from consensus_server.core.consensus.answers.table import read
from consensus_server.core.consensus.meaning.equivalences import (
    EQUIVALENCES,
    KeyClasses,
    check_equivalence,
    group,
    key_classes,
    least_similarity,
)
from consensus_server.core.consensus.meaning.linkage import BlockedNeighbours
from consensus_server.core.consensus.meaning.tool_calls import calls_text, or_calls
from tests.support.policies import plain

POLICY = Policy(distance_short=0.2, distance_long=0.5)


def grouped(pools, **options):
    """Of each pool: its clusters by places, and which answers may win."""
    answers = read(pools)
    found = group(answers, POLICY, BlockedNeighbours(), **options)
    clusters, winning = [set() for _ in pools], [[False] * len(pool.texts) for pool in pools]
    for cluster in np.unique(found.clusters):
        rows = np.flatnonzero(found.clusters == cluster)
        assert cluster == rows[0], "a cluster is named by its first row"
        [source] = set(answers.sources[answers.pool[rows]].tolist())
        clusters[source].add(tuple(sorted(answers.places[rows].tolist())))
    for row, source in enumerate(answers.sources[answers.pool].tolist()):
        winning[source][answers.places[row]] = bool(found.may_win[row])
    return clusters, winning


def alike(make_pool, *texts, equivalence, prompt_id="p"):
    """Answers of one direction: by meaning they are one."""
    return make_pool(np.ones((len(texts), 2)), texts=texts, equivalence=equivalence, prompt_id=prompt_id)


@pytest.mark.parametrize(
    ("equivalence", "clusters"),
    [
        ("semantic", {(0, 1, 2, 3)}),
        ("exact", {(0, 1), (2,), (3,)}),
        ("final_answer", {(0, 1, 2), (3,)}),
        ("code", {(0, 1), (2,), (3,)}),
        ("json", {(0, 1), (2,), (3,)}),
    ],
)
def test_each_equivalence_compares_what_it_says(make_pool, equivalence, clusters):
    pool = alike(make_pool, "42", " 42\n", "It is 42.", "No idea", equivalence=equivalence)
    assert grouped([pool])[0] == [clusters]


def test_every_pool_of_a_round_has_its_own_equivalence_and_no_cluster_reaches_across(make_pool):
    pools = [
        alike(make_pool, "42", "43", equivalence=each, prompt_id=f"{i}") for i, each in enumerate(EQUIVALENCES * 2)
    ]
    clusters, winning = grouped(pools)
    assert clusters == [{(0, 1)} if pool.equivalence == "semantic" else {(0,), (1,)} for pool in pools]
    assert winning == [[True, True]] * len(pools)


def test_only_a_pool_that_is_compared_by_meaning_takes_what_a_rule_takes_instead(make_pool):
    texts = ("42", "It is 42.")
    pools = [alike(make_pool, *texts, equivalence=each, prompt_id=each) for each in ("semantic", "final_answer")]
    assert grouped(pools, instead="exact")[0] == [{(0,), (1,)}, {(0, 1)}]


def test_an_answer_without_a_key_is_alone_and_may_not_win(make_pool):
    clusters, winning = grouped([alike(make_pool, "Who knows?", "Who knows?", "42", equivalence="final_answer")])
    assert clusters == [{(0,), (1,), (2,)}]
    assert winning == [[False, False, True]]


def test_equal_keys_in_two_pools_are_two_classes(make_pool):
    answers = read([alike(make_pool, "42", "42.0", equivalence="final_answer", prompt_id=each) for each in "pq"])
    found = key_classes(answers, "final_answer")
    assert found.classes.tolist() == [0, 0, 1, 1]
    assert found.has_key.all()


@pytest.mark.parametrize(
    ("texts", "classes"),
    [
        (("5 km", "5 m", "5000 m"), {("5 km", "5000 m"), ("5 m",)}),
        (("5", "5 km"), {("5", "5 km")}),
        (("5", "5 km", "5000 m", "5 m"), {("5",), ("5 km", "5000 m"), ("5 m",)}),
        (("5", "5 km", "five km", "5 m"), {("5", "5 km", "five km"), ("5 m",)}),
        (("5", "5 apples", "6 km"), {("5", "5 apples"), ("6 km",)}),
    ],
)
def test_a_bare_number_is_the_amount_that_most_give_with_it(make_pool, texts, classes):
    for turned in (texts, texts[::-1]):
        [found], _ = grouped([alike(make_pool, *turned, equivalence="final_answer")])
        assert {tuple(sorted(turned[i] for i in each)) for each in found} == classes


def test_many_samples_of_one_participant_do_not_say_what_a_bare_number_means(make_pool):
    vectors = np.ones((4, 2))
    pool = make_pool(
        vectors, texts=("5", "5 m", "5 m!", "5 km"), equivalence="final_answer", participants=("a", "b", "b", "c"),
        samples=(0, 0, 1, 0),
    )  # fmt: skip
    assert grouped([pool])[0] == [{(0,), (1, 2), (3,)}]


def test_what_a_bench_has_at_hand_is_not_read_again(make_pool):
    pools = [alike(make_pool, "42", "43", equivalence=each, prompt_id=each) for each in ("semantic", "exact")]

    def apart(answers, least, neighbours):
        return np.arange(len(answers.pool))

    def together(answers, rows, name):
        return KeyClasses(np.zeros(len(rows), dtype=np.int64), np.ones(len(rows), dtype=bool))

    assert grouped(pools, meanings=apart, keys=together)[0] == [{(0,), (1,)}, {(0, 1)}]


def test_only_long_pools_that_are_compared_by_meaning_count_as_long(make_pool):
    pools = [
        alike(make_pool, *(letter * size for letter in "ab"), equivalence=each, prompt_id=f"{each} {size}")
        for each in ("exact", "semantic")
        for size in (79, 80)
    ]
    answers = read(pools)
    assert dict(zip(answers.prompt_ids, group(answers, POLICY, BlockedNeighbours()).long.tolist(), strict=True)) == {
        "exact 79": False, "exact 80": False, "semantic 79": False, "semantic 80": True,
    }  # fmt: skip
    assert least_similarity(answers, POLICY).tolist() == [0.8, 0.5, 0.8, 0.5]


@pytest.mark.parametrize(
    ("texts_by", "instead", "clusters"),
    [
        ("semantic", None, {(0, 2), (1,), (3, 4, 5)}),
        ("semantic", "exact", {(0, 2), (1,), (3, 4), (5,)}),
        ("final_answer", None, {(0, 2), (1,), (3, 4), (5,)}),
    ],
)
def test_calls_of_tools_are_compared_by_name_and_arguments_and_never_with_texts(make_pool, texts_by, instead, clusters):
    one, other = calls_text([("f", {"a": 1}), ("g", {})]), calls_text([("f", {"a": 2}), ("g", {})])
    texts = (one, other, calls_text([("g", {}), ("f", {"a": 1})]), "42", " 42", "Paris")
    found, winning = grouped([alike(make_pool, *texts, equivalence=or_calls(texts_by))], instead=instead)
    assert found == [clusters]
    assert winning == [[True] * 6]
    assert grouped([alike(make_pool, one, one, equivalence=or_calls(texts_by))])[0] == [{(0, 1)}]


def test_an_unknown_equivalence_is_told_with_the_known_ones(make_pool):
    for name in EQUIVALENCES:
        check_equivalence(name)
    with pytest.raises(UnknownEquivalence, match=r"'vibes'.*code, exact, final_answer, json, semantic"):
        check_equivalence("vibes")
    with pytest.raises(UnknownEquivalence):
        grouped([alike(make_pool, "42", equivalence="vibes")])


# Through whole decisions


def test_exact_pools_compare_texts_not_vectors(make_pool):
    texts = ["Paris", " paris\n", "PARIS", "Paris, France", "x²", "x2"]
    [decision] = decide([make_pool(np.eye(3)[[0, 1, 2, 0, 0, 0]], texts=texts, equivalence="exact")], plain())
    assert decision.clusters[0].members == (0, 1, 2)
    assert len(decision.clusters) == 4
    assert decision.pick in {0, 1, 2}


def test_code_that_does_not_parse_is_compared_as_text(make_pool):
    texts = ["y = 1  # one", "x = = 1", "y = (1)", "x  = = 1", "y = = 1"]
    pool = make_pool([[1.0, i] for i in range(5)], texts=texts, equivalence="code")
    [decision] = decide([pool], Policy(rule="vote", abstain=False, guards=False))
    assert {cluster.members for cluster in decision.clusters} == {(0, 2), (1, 3), (4,)}


def decided(make_pool, texts, rule="vote", **policy):
    vectors = [[1.0, 0.1 * i] for i in range(len(texts))]
    [decision] = decide(
        [make_pool(vectors, texts=texts, equivalence="final_answer")], Policy(rule=rule, guards=False, **policy)
    )
    return decision


@pytest.mark.parametrize("rule", ["vote", "hybrid", "cluster_medoid"])
def test_most_votes_win_and_the_share_of_the_vote_is_the_confidence(make_pool, rule):
    decision = decided(make_pool, ["41", "The answer is 42.", "I don't know.", r"\boxed{42}", "41 apples", "$42"], rule)
    assert decision.pick in {1, 3, 5}
    assert decision.confidence == decision.share == 0.5
    assert {cluster.members for cluster in decision.clusters} == {(1, 3, 5), (0, 4), (2,)}


def test_an_answer_that_states_none_wins_over_nobody_who_does(make_pool):
    nothing = "I do not know what to say to this."
    decision = decided(make_pool, [nothing, nothing, nothing, "42", "the answer is 42"])
    assert decision.pick in {3, 4}
    alone = decided(make_pool, [nothing, nothing, "42"], abstain=False)
    assert alone.pick == 2
    assert decided(make_pool, [nothing, nothing]).abstention == "tie"
    assert decided(make_pool, [nothing, nothing], abstain=False).pick is not None


def test_ties_and_the_text_of_a_class_go_by_the_fused_score(make_pool):
    texts = ["the answer is 7", "the sum of all the apples is 42", "all the apples: the answer is 7", "42, that is 42"]
    tied = decided(make_pool, texts, abstain=False)
    fused = decided(make_pool, texts, rule="hybrid", abstain=False)
    assert tied.pick == fused.pick
    assert decided(make_pool, texts).abstention == "tie"
