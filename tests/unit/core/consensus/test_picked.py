"""What the votes say of a pick: of its own cluster, also where that is not the dominant one."""

import numpy as np

from consensus_server.core.consensus.answers.table import read
from consensus_server.core.consensus.answers.tally import whole_votes
from consensus_server.core.consensus.decide import pick
from consensus_server.core.consensus.meaning.equivalences import group
from consensus_server.core.consensus.meaning.linkage import BlockedNeighbours
from consensus_server.core.consensus.picked import Picked
from consensus_server.core.consensus.round.standing import standing_alone
from tests.support.policies import plain


def picked_by(rule, pool):
    answers, policy = read([pool]), plain(rule=rule)
    grouping = group(answers, policy, BlockedNeighbours())
    return pick(answers, grouping, whole_votes(answers), standing_alone(answers), policy)


def test_share_and_support_are_those_of_the_cluster_in_which_the_pick_lies(make_pool):
    pool = make_pool([[1, 0], [1, 0.01], [0, 1]], participants=["a", "b", "c"], texts=["x", "y", "the longest"])
    dominant, outside = picked_by("cluster_medoid", pool), picked_by("longest", pool)
    np.testing.assert_allclose([dominant.shares[0], outside.shares[0]], [2 / 3, 1 / 3], atol=1e-6)
    assert (dominant.support[0], outside.support[0]) == (2, 1)
    assert isinstance(dominant, Picked)
    assert dominant.labels[0] != outside.labels[0]
