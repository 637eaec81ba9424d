"""Pools of short answers, alone and beside long ones."""

from dataclasses import replace

import numpy as np

from consensus_server.core.consensus import decide

ABOUT, STRANGE, CLOSE = np.eye(12)[0], np.eye(12)[1], np.eye(12)[0] + 0.6 * np.eye(12)[2]
"""Openings: the prompt's own, one that shares nothing with it, one near it."""


def near(axis, cosine):
    """A unit vector at that cosine from the first axis, in the plane of it and another one."""
    vector = np.zeros(12)
    vector[[0, axis]] = cosine, np.sqrt(1 - cosine**2)
    return vector


def one_meaning(make_pool, texts, vectors=None, prompt_id="p"):
    """One meaning, unless vectors say otherwise; gates find nothing wrong with the prompt."""
    vectors = np.tile(near(1, 1.0), (len(texts), 1)) if vectors is None else np.asarray(vectors)
    pool = make_pool(vectors, texts=texts, prompt_id=prompt_id)
    return replace(pool, prompt="Which?", prompt_opening=pool.vectors[0], openings=pool.vectors)


def picked(pools, policy):
    return [pool.texts[decision.pick] for pool, decision in zip(pools, decide(pools, policy), strict=True)]


def elaborate(rng, subject):
    return f"{subject} " + " ".join(rng.choice([f"word{i}" for i in range(400)], 25))


def a_mixed_pool(make_pool, long, short, prompt_id="p"):
    """`long` participants with much to say, `short` that give one short sentence, all of one meaning."""
    rng = np.random.default_rng(len(prompt_id) + long)
    texts = [elaborate(rng, prompt_id) for _ in range(long)] + [f"It is {prompt_id} and nothing else."] * short
    vectors = [near(1 + i, 0.93) for i in range(long)] + [near(1, 1.0)] * short
    return one_meaning(make_pool, texts, vectors, prompt_id=prompt_id)


def a_pool_about(make_pool, prompt_id, answers, prompt=ABOUT):
    """answers: (text, vector of its opening)."""
    texts, vectors = zip(*answers, strict=True)
    pool = make_pool(np.stack(vectors), texts=texts, prompt_id=prompt_id)
    return replace(
        pool, prompt=f"What about {prompt_id}?", prompt_opening=prompt.astype(np.float32), openings=pool.vectors
    )


def long_text(*words):
    return " ".join(f"{word}{i}" for i in range(30) for word in words)
