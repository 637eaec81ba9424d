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
