"""When an adaptive panel goes on asking."""

from itertools import product

import pytest

from consensus_server.core.asking import Adaptive, still_needed

PLAN = Adaptive(first=4, lead=3.0)


@pytest.mark.parametrize(
    ("votes", "abstention", "unheard", "needed"),
    [
        ((4,), None, 4, 0),
        ((3, 1), None, 4, 1),
        ((2, 2), "tie", 4, 3),
        ((2, 1), None, 1, 1),  # a tie is within reach
        ((3, 1), None, 1, 0),  # it is not
        ((1, 1, 1, 1), "tie", 2, 2),
        ((4,), "low_confidence", 4, 1),
        ((), "no_answers", 4, 3),
        ((2, 2), "tie", 0, 0),
    ],
)
def test_it_goes_on_until_the_lead_is_there_or_cannot_be_lost(votes, abstention, unheard, needed):
    assert still_needed(abstention, [float(each) for each in votes], unheard, PLAN) == needed


def test_a_lead_by_more_than_are_left_is_lost_to_no_answer():
    for first, second, unheard in product(range(1, 6), range(6), range(1, 6)):
        votes = sorted((float(each) for each in (first, second) if each), reverse=True)
        stands = still_needed(None, votes, unheard, Adaptive(first=1, lead=99.0)) == 0
        assert stands == (abs(first - second) > unheard)
