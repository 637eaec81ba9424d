"""Reputations carried from round to round: they fade, and are never the end of an honest minority."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus_server.core.consensus import Policy
from consensus_server.core.consensus.round.trust import ParticipantStanding
from consensus_server.core.reliability import reputation_of, row_of, spread_of
from tests.support.reputations import reliability, row

HALF_LIFE = Policy().half_life_rounds
RECOVERY_ROUNDS = 3
"""Rounds of agreement after which whatever was before is no more than a third of the reputation."""


def test_a_newcomer_has_no_reputation_and_begins_in_the_middle():
    assert reputation_of([], 1, HALF_LIFE) is None
    assert reputation_of([(1, row(2.0, 0))], 2, HALF_LIFE) is None
    assert reputation_of([(1, row(2.0, 30))], 2, 0.0) is None
    assert reliability(0.0, 50) == 0


def test_a_reputation_is_the_mean_of_rounds_of_which_older_ones_count_less():
    past = [(1, row(1.0, 40)), (3, row(-1.0, 10))]
    reputation = reputation_of(past, 5, 2.0)
    assert reputation.prompts == pytest.approx(40 / 4 + 10 / 2)
    assert reputation.mean == pytest.approx((40 / 4 - 10 / 2) / 15, abs=1e-6)
    assert reputation_of([*past, (5, row(9.0, 999))], 5, 2.0) == reputation


@given(
    bad=st.floats(-3, -0.1),
    rounds=st.integers(1, 200),
    count=st.integers(5, 400),
    good=st.floats(0.1, 3),
)
def test_a_minority_that_begins_to_agree_recovers_within_three_rounds(bad, rounds, count, good):
    """However long it stood apart: after three rounds its reputation is better than the mean of both ways."""
    past = [(at, row(bad, count)) for at in range(1, rounds + 1)]
    past += [(at, row(good, count)) for at in range(rounds + 1, rounds + 1 + RECOVERY_ROUNDS)]
    reputation = reputation_of(past, rounds + 1 + RECOVERY_ROUNDS, HALF_LIFE)
    assert reputation.mean > (bad + good) / 2
    if good >= -bad:
        assert reliability(good, count, reputation) > reliability(bad, count)
        assert reliability(good, count, reputation) > 0


@given(st.permutations([(1, row(0.3, 7)), (2, row(-0.7, 31)), (4, row(1.1, 13))]))
def test_a_reputation_is_made_of_rounds_whatever_their_order(past):
    assert reputation_of(past, 6, HALF_LIFE) == reputation_of(sorted(past, key=lambda each: each[0]), 6, HALF_LIFE)


def standing(mean, count, prior_mean, prior_prompts):
    return ParticipantStanding(
        participant="a",
        mean=mean,
        prompts=count,
        prior_mean=prior_mean,
        prior_prompts=float(prior_prompts),
        reliability=0.1,
    )


@pytest.mark.parametrize(
    ("shown", "drifted"),
    [
        ((0.9, 10, 0.0, 10), True),
        ((-0.9, 10, 0.0, 10), True),
        ((0.7, 99, 0.0, 99), False),
        ((3.0, 9, 0.0, 99), False),
        ((3.0, 99, 0.0, 9), False),
    ],
)
def test_drift_is_a_large_change_over_enough_prompts(shown, drifted):
    assert row_of(standing(*shown), weight=1.0).drifted is drifted


def test_newcomers_are_called_so():
    assert row_of(standing(1.0, 9, 0.0, 0.0), weight=1.0).newcomer
    assert not row_of(standing(1.0, 9, 0.0, 0.5), weight=1.0).newcomer


@pytest.mark.parametrize(
    ("means_of_all", "warned"),
    [
        ([0.1, 0.0, -0.1, 0.2, 0.1, -0.3, 0.0, 0.0], False),
        ([1.6, 0.0, -0.1, -0.2, -0.3, -0.3, -0.4, -0.3], True),
        ([1.6, 1.4, -0.1, -0.4, -0.5, -0.5, -0.7, -0.8], True),
        ([1.6, 1.5, 1.4, -0.6, -0.9, -1.0, -1.0, -1.0], False),
        ([0.5, -0.5], False),
    ],
)
def test_a_few_far_above_the_rest_are_told(means_of_all, warned):
    spread = spread_of([row(mean, 30, f"s{i}") for i, mean in enumerate(means_of_all)])
    assert spread.few_far_above is warned
    assert (spread.highest, spread.lowest) == (max(means_of_all), min(means_of_all))


def test_where_nobody_was_measured_there_is_no_spread():
    assert spread_of([]) is None
    assert spread_of([row(0.0, 0)]) is None
