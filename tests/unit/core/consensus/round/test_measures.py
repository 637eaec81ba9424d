"""What is measured of answers, where some of the round are unusable."""

import numpy as np

from consensus_server.core.consensus.answers.table import read
from consensus_server.core.consensus.round.judging import _for_gates
from tests.support.rounds import rearranged, with_openings

EMPTY = "\u200b"


def measured(pools):
    """What gates read of the usable answers of a round, and their texts."""
    answers = read(pools)
    usable = np.flatnonzero([text != EMPTY for text in answers.texts])
    return _for_gates(answers, pools, usable), [answers.texts[row] for row in usable]


def test_unusable_answers_say_nothing_of_word_order(make_pool):
    """Texts of forty words of which some are left out; every third is in no order."""
    rng, pools = np.random.default_rng(1), []
    for p in range(6):
        texts = []
        for k in range(6):
            said = np.sort(rng.choice(40, 34, replace=False))
            texts.append(" ".join(f"w{i}" for i in (rng.permutation(said) if k % 3 == p % 3 else said)))
        texts = [EMPTY if p == 2 or rng.random() < 0.3 else text for text in texts]
        pools.append(with_openings(make_pool(np.ones((6, 2)), texts=texts, prompt_id=f"p{p}"), [1, 1]))
    left = [rearranged(pool, [i for i, text in enumerate(pool.texts) if text != EMPTY]) for pool in pools]
    (found, texts), (alone, same) = measured(pools), measured(left)
    assert texts == same
    assert len(set(found.order.tolist())) > 5
    np.testing.assert_array_equal(found.order, alone.order)


def test_an_empty_answer_is_an_answer_to_its_prompt(make_pool):
    """A slogan in three answers of thirty recurs, in three of thirty-one it does not."""
    said = ["This is a slogan of some length."] * 3 + [f"A sentence that stands nowhere else: {i}." for i in range(27)]
    for more, recurs in (([], True), ([EMPTY], False)):
        pools = [
            with_openings(make_pool([[1.0, 1.0]], texts=[text], prompt_id=f"p{i:02}"), [1, 1])
            for i, text in enumerate([*said, *more])
        ]
        assert measured(pools)[0].repetition.any() == recurs
