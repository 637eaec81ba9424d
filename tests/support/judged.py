"""What the round says of the answers of each pool, by their places in it."""

from types import SimpleNamespace

import numpy as np

from consensus_server.core.consensus.answers.table import read
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.consensus.round.judging import judge_round


def judged(pools, policy, earlier=None):
    """For each pool its votes and standing, 0 for answers that are not admitted."""
    answers = read(pools)
    verdict, _ = judge_round(answers, pools, policy, earlier or EarlierRounds(), round_wide=True)
    rows = [np.flatnonzero(answers.sources[answers.pool] == i) for i in range(len(pools))]
    rows = [own[np.argsort(answers.places[own])] for own in rows]
    votes = np.where(verdict.admitted, verdict.votes, 0)
    return [SimpleNamespace(votes=votes[own], standing=verdict.standing.at(own)) for own in rows]
