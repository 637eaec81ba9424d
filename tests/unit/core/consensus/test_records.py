"""Records tell what stands in them."""

import numpy as np

from consensus_server.core.consensus.records import Pool, Wording
from tests.support.rounds import question


def test_a_pool_of_one_prompt_has_one_wording(make_pool):
    pool = make_pool(np.eye(2), prompt_id="p")
    assert isinstance(pool, Pool)
    assert pool.wordings == (Wording("p", "", None),)
    assert [pool.wording_of(place) for place in (0, 1)] == [0, 0]


def test_a_question_has_several_and_each_answer_is_to_one(make_pool):
    pool = question(make_pool, [("ann", 1, 0), ("ann", 0, 0)])
    assert [each.prompt_id for each in pool.wordings] == ["q/0", "q/1"]
    assert [pool.wording_of(place) for place in (0, 1)] == [1, 0]
