"""Answers that say what another question asks."""

from dataclasses import replace

import numpy as np
import pytest

from consensus_server.core.consensus import Policy, decide
from consensus_server.core.consensus.answers.table import read
from consensus_server.core.consensus.meaning.linkage import BlockedNeighbours
from consensus_server.core.consensus.records import Wording
from consensus_server.core.consensus.round import other_questions
from consensus_server.core.consensus.round.other_questions import to_other_questions
from tests.support.rounds import question

CAPITAL, MONEY = 0, 1
"""Directions of the two prompts; answers lie between them and meanings of their own."""


def near(prompt, meaning, weight=0.8):
    vector = np.zeros(8)
    vector[prompt], vector[meaning] = weight, np.sqrt(1 - weight**2)
    return vector


def about(pool, prompt, *answers):
    """The pool with these vectors as answers, and prompts in that direction."""
    opening = np.eye(8, dtype=np.float32)[prompt]
    vectors = np.array(answers, dtype=np.float32)
    _, *others = pool.wordings
    return replace(
        pool, vectors=vectors, openings=vectors, prompt_opening=opening, prompt="Which?",
        rewordings=tuple(Wording(each.prompt_id, "What?", opening) for each in others),
    )  # fmt: skip


STOCKHOLM, KRONA = near(CAPITAL, 2), near(MONEY, 3)
"""In Stockholm's country one pays with the krona: it is what one site says to both questions."""


@pytest.fixture
def two_questions(make_pool):
    """ann knows the capital, bob says the money there, cy guesses; of the money bob knows."""
    texts = ["Stockholm.", "Stockholm.", "The krona.", "The krona.", "Lemons.", "Sugar."]
    who = [("ann", 0, 0), ("ann", 1, 0), ("bob", 0, 1), ("bob", 1, 1), ("cy", 0, 2), ("cy", 1, 3)]
    capital = about(
        question(make_pool, who, "capital", texts),
        CAPITAL,
        STOCKHOLM,
        STOCKHOLM,
        KRONA,
        KRONA,
        near(CAPITAL, 5),
        near(CAPITAL, 6),
    )
    texts = ["The krona.", "The krona.", "Salt.", "Iron.", "Water.", "Snow."]
    who = [("bob", 0, 0), ("bob", 1, 0), ("ann", 0, 1), ("ann", 1, 2), ("cy", 0, 3), ("cy", 1, 4)]
    money = about(
        question(make_pool, who, "money", texts), MONEY, KRONA, KRONA, *(near(MONEY, i) for i in (4, 5, 6, 7))
    )
    return [capital, money]


def found(pools):
    answers = read(pools)
    silent = to_other_questions(answers, pools, BlockedNeighbours())
    return {(answers.prompt_ids[answers.pool[row]], answers.texts[row]) for row in np.flatnonzero(silent)}


def test_a_text_that_is_surely_given_to_a_nearer_question_is_found(two_questions):
    assert found(two_questions) == {("capital/0", "The krona.")}


def test_it_is_no_evidence_for_its_own_question_and_its_giver_is_heard(two_questions):
    policy = Policy(rule="cluster_medoid", reliability=False)
    first, second, third, fourth = decide(two_questions, policy)
    assert [two_questions[0].texts[each.pick] for each in (first, second)] == ["Stockholm.", "Stockholm."]
    assert first.stands_on.margin == 0.5
    assert [two_questions[1].texts[each.pick] for each in (third, fourth)] == ["The krona.", "The krona."]
    assert not first.gates
    assert decide(two_questions, replace(policy, guards=False))[0].abstention == "tie"


def test_nothing_is_found_where_each_question_has_one_wording(two_questions):
    single = [replace(pool, rewordings=(), asked=(), texts=pool.texts) for pool in two_questions]
    assert found(single) == set()


def test_a_text_that_is_as_near_to_its_own_question_stays(two_questions):
    """A class label is given to many prompts, and near to none."""
    capital, money = two_questions
    label = np.eye(8)[4]
    capital, money = (replace(pool, vectors=np.array([label] * 6, np.float32)) for pool in (capital, money))
    texts = ("positive",) * 6
    capital, money = (replace(pool, texts=texts, digests=("d",) * 6) for pool in (capital, money))
    assert found([capital, money]) == set()


def test_prompts_that_declare_nothing_are_left_alone(two_questions):
    """Else one question with two wordings would silence answers to prompts that ask the same and do not say so."""
    capital, money = two_questions
    alone = replace(capital, rewordings=(), asked=())
    assert found([alone, money]) == set()
    assert found([capital, replace(money, rewordings=(), asked=())]) == set()


def test_beyond_some_thousand_texts_only_equal_ones_count_as_one(two_questions, monkeypatch):
    monkeypatch.setattr(other_questions, "COMPARED", 2)
    assert found(two_questions) == {("capital/0", "The krona.")}


def test_what_says_nothing_never_becomes_a_label(two_questions):
    """Not where it has most votes either, and nobody is in conflict with it."""
    capital, money = two_questions
    only = [2, 4, 5]
    columns = {
        name: tuple(getattr(capital, name)[i] for i in only) for name in ("texts", "digests", "samples", "asked")
    }
    vectors = capital.vectors[[2, 2, 2]]
    lone = replace(
        capital, **columns, participants=("bob", "cy", "cy"), vectors=vectors, openings=vectors,
    )  # fmt: skip
    lone = replace(lone, texts=("The krona.",) * 3, digests=(capital.digests[2],) * 3)
    decisions = decide([lone, money], Policy(rule="cluster_medoid", reliability=False, contradictions="none"))
    assert decisions[0].pick is None
    assert decisions[0].abstention in {"low_evidence", "tie"}


def test_the_order_of_pools_does_not_matter(two_questions):
    assert found(two_questions[::-1]) == found(two_questions)
