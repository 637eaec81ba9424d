"""What stands behind a label, in participants: shares of their own samples, summed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import decide
from consensus_server.core.consensus.answers.table import read
from consensus_server.core.consensus.answers.tally import whole_votes
from consensus_server.core.consensus.decide import pick
from consensus_server.core.consensus.evidence import evidence_of, heard, in_conflict, speaks_for
from consensus_server.core.consensus.meaning.equivalences import group
from consensus_server.core.consensus.meaning.linkage import BlockedNeighbours
from consensus_server.core.consensus.round.standing import standing_alone
from tests.support.policies import plain

POLICY = plain(decide_by="evidence", minimum_margin=0.25)


def says(**samples):
    """A pool in which each participant gives samples: letters are meanings, in `says(ann="xxxy")` three of one."""
    letters = sorted(set("".join(samples.values())))
    rows = [(name, letters.index(letter)) for name, given in samples.items() for letter in given]
    return np.eye(len(letters))[[at for _, at in rows]], [name for name, _ in rows]


def picked(make_pool, texts=None, **samples):
    vectors, names = says(**samples)
    answers = read([make_pool(vectors, names, texts)])
    grouping = group(answers, POLICY, BlockedNeighbours())
    return pick(answers, grouping, whole_votes(answers), standing_alone(answers), POLICY)


@pytest.mark.parametrize(
    ("samples", "evidence", "margin", "witnesses"),
    [
        ({"ann": "xxxx", "bob": "abcd", "cy": "efgh"}, 1.0, 0.75, 1),
        ({"ann": "xxxx", "bob": "xxab", "cy": "cdef"}, 1.5, 1.25, 2),
        ({"ann": "xxxx", "bob": "yyyy", "cy": "xabc"}, 1.25, 0.25, 1),
        ({"ann": "x", "bob": "x", "cy": "y"}, 2.0, 1.0, 2),
        ({"ann": "xa", "bob": "xb"}, 1.0, 0.5, 2),
    ],
)
def test_a_meaning_has_the_shares_of_their_own_samples_that_say_it(make_pool, samples, evidence, margin, witnesses):
    found = picked(make_pool, **samples)
    read_off = evidence_of(found)
    assert found.tally.cluster_votes[found.labels][0] == evidence
    assert (read_off.margin[0], read_off.witnesses[0]) == (margin, witnesses)


def test_grades_go_by_the_margin(make_pool):
    assert evidence_of(picked(make_pool, ann="xxxx", bob="xxab", cy="cdef")).grades() == ["corroborated"]
    assert evidence_of(picked(make_pool, ann="xxxx", bob="abcd", cy="efgh")).grades() == ["single_witness"]


def test_two_that_are_sure_of_different_things_are_in_conflict_and_guessers_are_not(make_pool):
    assert in_conflict(evidence_of(picked(make_pool, ann="xxxx", bob="yyya", cy="bcde")))[0]
    assert not in_conflict(evidence_of(picked(make_pool, ann="xxxx", bob="yabc", cy="defg")))[0]
    assert not in_conflict(evidence_of(picked(make_pool, ann="xabc", bob="xdef", cy="ghij")))[0]


def test_everybody_with_an_answer_is_heard(make_pool):
    assert heard(picked(make_pool, ann="xy", bob="x")).tolist() == [2]


def test_one_that_knows_wins_against_any_number_that_guess(make_pool):
    guessers = {f"g{i}": "".join(chr(ord("a") + (3 * i + j) % 20) for j in range(4)) for i in range(6)}
    vectors, names = says(knows="zzzz", **guessers)
    decision = decide([make_pool(vectors, names)], plain(decide_by="evidence"))[0]
    assert decision.abstention is None or decision.abstention == "low_evidence"
    assert names[decision.clusters[0].members[0]] == "knows" or decision.clusters[0].votes > 1
    sparse = {f"g{i}": chr(97 + 4 * i) + chr(98 + 4 * i) + chr(99 + 4 * i) + chr(100 + 4 * i) for i in range(5)}
    vectors, names = says(knows="zzzz", **sparse)
    decision = decide([make_pool(vectors, names)], plain(decide_by="evidence"))[0]
    assert (names[decision.pick], decision.stands_on.grade) == ("knows", "single_witness")


@settings(max_examples=40, deadline=None)
@given(samples=st.integers(1, 16), minimum=st.sampled_from([0.5, 1.0]))
def test_more_samples_of_the_same_never_lower_the_bar(make_pool, samples, minimum):
    """Sixteen samples put everybody into every cluster; to be there in one of them is no support."""
    vectors, names = says(ann="x" * samples, bob="y" * samples, cy="z" * samples)
    for decide_by in ("evidence", "support"):
        policy = plain(decide_by=decide_by, minimum_margin=minimum)
        assert decide([make_pool(vectors, names)], policy)[0].pick is None
    scattered = {name: "".join(chr(97 + i) for i in range(samples)) for name in ("ann", "bob", "cy")}
    vectors, names = says(**scattered)
    decision = decide([make_pool(vectors, names)], plain(decide_by="support"))[0]
    assert samples < 3 or decision.pick is None


def test_of_samples_the_odd_one_is_not_taken(make_pool):
    """The pick is what a participant that is sure says most often; of one sample each it is the rule's as ever."""
    vectors, names = says(ann="xxxx", bob="xabc")
    texts = ["right", "right", "right", "right but", "odd", "1", "2", "3"]
    found = picked(make_pool, texts, ann="xxxx", bob="xabc")
    allowed = {found.ballot.answers.texts[row] for row in np.flatnonzero(speaks_for(found.ballot))}
    assert allowed & {"right", "right but", "odd"} == {"right"}
    decision = decide([make_pool(vectors, names, texts)], plain(decide_by="evidence", minimum_margin=0.25))[0]
    assert texts[decision.pick] == "right"
    single = picked(make_pool, ["one", "two", "three"], ann="x", bob="x", cy="y")
    assert speaks_for(single.ballot).all()


def test_where_nobody_is_sure_anybody_speaks(make_pool):
    found = picked(make_pool, ann="xab", bob="xcd", cy="xef")
    own = found.ballot.clusters == found.labels[0]
    assert speaks_for(found.ballot)[own].all()
