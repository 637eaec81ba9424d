"""What earlier rounds left of a participant, and what a round makes of it."""

import numpy as np

from consensus_server.core.consensus.round.earlier import Reputation
from consensus_server.core.consensus.round.trust import shrunk
from consensus_server.core.reliability import Reliability


def row(mean, count, participant="a"):
    return Reliability(
        participant=participant, mean=mean, prompts=count, prior_mean=0, prior_prompts=0, reliability=0, weight=1,
        newcomer=True, drifted=False,
    )  # fmt: skip


def reliability(mean, count, reputation=None, told=1.0):
    prior = reputation or Reputation(0.0, 0.0)
    columns = ([float(x)] for x in (mean, count, prior.mean, prior.prompts, told))
    return float(shrunk(*map(np.array, columns))[0])
