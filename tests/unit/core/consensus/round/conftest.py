from dataclasses import replace

import numpy as np
import pytest

from tests.support.rounds import WORDS, text_of, with_openings


@pytest.fixture(scope="module")
def make_round(make_pool):
    """A round of `prompts` pools; participant number k answers k times as close to the common meaning as the first."""

    def make(seed=0, prompts=30, participants=5, dimension=24, words=30):
        rng = np.random.default_rng(seed)
        pools = []
        for p in range(prompts):
            meaning = rng.normal(size=dimension)
            noise = rng.normal(size=(participants, dimension)) / (1 + np.arange(participants))[:, None]
            vectors = meaning + noise
            common = rng.choice(WORDS, 25)
            texts = [text_of(rng, words, np.concatenate([common, rng.choice(WORDS, 40)])) for _ in range(participants)]
            pool = make_pool(vectors, [f"site-{k}" for k in range(participants)], texts, prompt_id=f"p{p:03}")
            pools.append(with_openings(pool, meaning))
        return pools

    return make


@pytest.fixture(scope="module")
def make_contested_round(make_pool):
    """A pool for each prompt: every site says what is so, `experts` nearer to it, `liars` together what is not."""

    def make(seed, liars=(), experts=(), *, prompts=24, sites=10, dimension=16):
        rng = np.random.default_rng(seed)
        pools = []
        for p in range(prompts):
            true, false = rng.normal(size=(2, dimension))
            false = 0.5 * true + 0.9 * false  # a plausible lie
            told = np.array([false if f"s{k}" in liars else true for k in range(sites)])
            noise = np.array([0.45 if f"s{k}" in experts else 0.65 for k in range(sites)])[:, None]
            vectors = told + noise * rng.normal(size=told.shape)
            words = {True: [f"t{p}-{i}" for i in range(30)], False: [f"f{p}-{i}" for i in range(30)]}
            texts = [" ".join(rng.choice(words[f"s{k}" not in liars], 18)) + f" said s{k} of {p}" for k in range(sites)]
            pool = make_pool(vectors, [f"s{k}" for k in range(sites)], texts, prompt_id=f"p{p:03}")
            pools.append(replace(pool, prompt="?", prompt_opening=np.asarray(true, np.float32), openings=pool.vectors))
        return pools

    return make
