"""Support, and what length adds to it."""

from dataclasses import replace

import numpy as np
import pytest

from consensus_server.core.consensus import decide
from consensus_server.core.consensus.round.standing import SHRINK_LENGTH, price_of_length
from tests.support.rounds import GUARDED, measures_of, with_openings


def test_what_length_adds_to_support_can_be_taken_from_the_long(make_pool):
    """Three answers of one meaning; the longer ones lie nearer the middle for it."""
    rng = np.random.default_rng(12)
    pools = []
    for p in range(60):
        meaning = rng.normal(size=8)
        core = [f"p{p}core{i}" for i in range(30)]
        extra = [[f"p{p}more{k}x{i}" for i in range(60 * k)] for k in range(3)]
        near = meaning + np.array([[0.3], [0.2], [0.1]]) * rng.normal(size=(3, 8))
        texts = [" ".join([*core, *more]) for more in extra]
        pools.append(with_openings(make_pool(near, texts=texts, prompt_id=f"p{p:02}"), meaning))

    def picks(penalty):
        return [d.pick for d in decide(pools, replace(GUARDED, length_penalty=penalty, guards=False))]

    assert 0 not in picks(0.0)
    means = [np.mean(picks(penalty)) for penalty in (0.0, 1.0, 2.0)]
    assert means[0] >= means[1] >= means[2]
    assert means[0] > means[2]
    measures_of_equals = [d.pick for d in decide(make_round_of_equals(make_pool), replace(GUARDED, length_penalty=1.0))]
    assert measures_of_equals == [
        d.pick for d in decide(make_round_of_equals(make_pool), replace(GUARDED, length_penalty=0.0))
    ]


def make_round_of_equals(make_pool):
    """Answers of one length: a penalty on length has nothing to say."""
    rng = np.random.default_rng(13)
    pools = []
    for p in range(8):
        meaning = rng.normal(size=8)
        texts = [" ".join(f"w{i:03}" for i in rng.integers(0, 200, 30)) for _ in range(4)]
        vectors = meaning + 0.5 * rng.normal(size=(4, 8))
        pools.append(with_openings(make_pool(vectors, texts=texts, prompt_id=f"e{p}"), meaning))
    return pools


def test_brevity_earns_nothing_and_a_falling_effect_costs_nothing(make_pool):
    length = np.tile([10, 100, 1000], 20)
    everyone, vote = np.ones(60, dtype=bool), np.ones(60)
    measures = measures_of(np.repeat(np.arange(20), 3), np.tile(np.arange(3), 20), length)
    rising = np.log(length + 20.0)
    price = price_of_length(measures, rising, everyone, vote, 1.0).reshape(20, 3)
    excess = rising[2] - rising[:3].mean()
    assert price[0] == pytest.approx([0, 0, excess * 60 / (60 + SHRINK_LENGTH)])
    assert not price_of_length(measures, -rising, everyone, vote, 1.0).any()
    assert not price_of_length(measures, rising, everyone, vote, 0.0).any()
