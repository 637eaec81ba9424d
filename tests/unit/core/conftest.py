"""Pools to decide. Array shapes are checked at every call of the core: `--jaxtyping-packages` in pyproject.toml."""

import hashlib

import numpy as np
import pytest


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="session")
def make_pool():
    """make_pool(vectors, participants=None, texts=None, ...): one answer per vector, each of a participant of its own."""
    from consensus_server.core.consensus import Pool

    def make(vectors, participants=None, texts=None, *, samples=None, prompt_id="p", equivalence="semantic"):
        vectors = np.asarray(vectors, dtype=np.float32)
        count = len(vectors)
        texts = tuple(texts) if texts is not None else tuple(f"{i} ".ljust(100, "x") for i in range(count))
        participants = tuple(participants) if participants is not None else tuple(f"site-{i}" for i in range(count))
        if samples is None:
            samples = tuple(participants[:i].count(name) for i, name in enumerate(participants))
        return Pool(prompt_id, participants, tuple(samples), texts, tuple(map(digest, texts)), vectors, equivalence)

    return make


@pytest.fixture(scope="session")
def random_pool(make_pool):
    """A pool with meanings of unequal weight, participants with unequal numbers of samples, and copied texts."""

    def make(seed, prompt_id="p", answers=None, equivalence="semantic", dimension=12):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(1, 12)) if answers is None else answers
        meanings = rng.normal(size=(3, dimension))
        vectors = meanings[rng.choice(3, count, p=[0.5, 0.3, 0.2])] + rng.normal(size=(count, dimension)) * 0.35
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        original = np.where(rng.random(count) < 0.2, rng.integers(0, count, count), np.arange(count))
        original = original[original]
        texts = [f"{seed} {i} ".ljust(int(60 + i % 3 * 40), "x") for i in original]
        participants = [f"site-{i}" for i in rng.integers(0, max(2, count - 2), count)]
        # A copy of a copy may still differ from its text's vector; one vector per text, as the store keeps it.
        held = {}
        rows = [held.setdefault(text, vectors[i]) for i, text in zip(original, texts, strict=True)]
        return make_pool(rows, participants, texts, prompt_id=prompt_id, equivalence=equivalence)

    return make
