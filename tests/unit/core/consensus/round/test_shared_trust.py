"""Trust in an answer that several share."""

import numpy as np

from consensus_server.core.consensus.round.trust import shared_trust
from tests.support.rounds import measures_of


def one_pool(answers):
    return measures_of([0] * answers, np.arange(answers), [100] * answers)


def test_what_several_suddenly_say_alike_has_no_more_trust_than_the_baseline():
    """Unless the pool stands behind it; and who is trusted less than the pool gains nothing by sharing."""
    reliability, z, own_part, votes = (
        np.array(each)
        for each in (
            [0.4, 0.4, -0.1, -0.6, -0.2, -0.4],
            [0.9, 1.0, 0.9, 0.0, 0.0, 0.0],
            [0.25, 0.0, 0.0, 0.0, 1.0, 1.0],
            [0.0, 0.5, 0.5, 0.5, 1.0, 1.0],
        )
    )
    baseline = (-0.2 - 0.4) / 2  # of those that answer for themselves
    wanted = [0.25 * 0.4 + 0.75 * baseline, 0.4, baseline, -0.6, -0.2, -0.4]
    np.testing.assert_allclose(shared_trust(one_pool(6), reliability, z, votes, own_part), wanted)


def test_where_the_pool_is_trusted_what_is_shared_has_no_trust():
    trusted, nobody = np.array([0.5, 0.5, 0.3, 0.3]), np.zeros(4)
    own_part = np.array([0.0, 0.0, 1.0, 1.0])
    np.testing.assert_allclose(shared_trust(one_pool(4), trusted, nobody, np.ones(4), own_part), [0, 0, 0.3, 0.3])
    np.testing.assert_allclose(shared_trust(one_pool(4), trusted, nobody, nobody, nobody), 0)
