"""Rounds made for tests of what is read across a round."""

import hashlib
from dataclasses import replace

import numpy as np

from consensus_server.core.consensus import Policy
from consensus_server.core.consensus.answers.conflicts import conflicts
from consensus_server.core.consensus.answers.lengths import Lengths
from consensus_server.core.consensus.answers.pairs import Pairs
from consensus_server.core.consensus.records import Wording
from consensus_server.core.consensus.round.measures import Measures

GUARDED = Policy(rule="hybrid", guards=True, reliability=True, abstain=False)
WORDS = [f"word{i}" for i in range(400)]


def text_of(rng, count, vocabulary=WORDS):
    return " ".join(rng.choice(vocabulary, count))


def with_openings(pool, prompt_opening):
    return replace(
        pool, prompt="Which words?", prompt_opening=np.asarray(prompt_opening, np.float32), openings=pool.vectors
    )


def joined(pool, names, texts, vectors):
    """The pool with more answers."""
    digests = tuple(hashlib.sha256(text.encode()).hexdigest() for text in texts)
    vectors = np.concatenate([pool.vectors, np.asarray(vectors, np.float32)])
    return replace(
        pool,
        participants=(*pool.participants, *names),
        samples=(*pool.samples, *[0] * len(names)),
        texts=(*pool.texts, *texts),
        digests=(*pool.digests, *digests),
        vectors=vectors,
        openings=vectors,
    )


def rearranged(pool, order):
    """The pool with its answers in another order."""
    columns = ("participants", "samples", "texts", "digests")
    return replace(
        pool,
        vectors=pool.vectors[order],
        openings=None if pool.openings is None else pool.openings[order],
        **{name: tuple(getattr(pool, name)[i] for i in order) for name in columns},
    )


def story(pool, decision):
    """A decision without indices, so that pools in unlike orders can be compared."""

    def key(i):
        return pool.digests[i], pool.participants[i], pool.samples[i]

    clusters = [(sorted(key(i) for i in c.members), c.votes, c.share) for c in decision.clusters]
    return (
        decision.prompt_id,
        None if decision.pick is None else key(decision.pick),
        decision.abstention,
        (decision.confidence, decision.support, decision.share),
        clusters,
        {key(i): (gate, decision.readings.get(i)) for i, gate in decision.gates.items()},
        {key(i): s for i, s in enumerate(decision.similarity)},
    )


def votes_of(pool, decision):
    return sum(cluster.votes for cluster in decision.clusters)


def no_conflicts(answers):
    nothing = np.zeros(0, dtype=np.int64)
    return conflicts(nothing, nothing, np.zeros(0), answers)


def measures_of(pool, participant, characters):
    """Measures in which nothing is alike."""
    pairs = Pairs(np.asarray(pool))
    nothing = np.zeros(len(pairs))
    return Measures(
        pairs=pairs,
        lengths=Lengths(pairs.pool, np.asarray(characters), GUARDED.short_chars),
        participant=np.asarray(participant),
        wording=np.arange(len(pairs.pool)),
        by_key=np.zeros(len(pairs.pool), bool),
        stated=np.full(len(pairs.pool), -1),
        cosine=nothing,
        f1=nothing,
        coverage=nothing,
        opening_cosine=nothing,
        contradict=nothing > 0,
        for_gates=None,
    )


def question(make_pool, said, prompt_id="q", texts=None):
    """A pool of one question in two wordings. said: (participant, wording, direction) of each answer, a unit direction each."""
    who, asked, directions = zip(*said, strict=True)
    pool = make_pool(np.eye(8)[list(directions)], who, texts, prompt_id=f"{prompt_id}/0")
    samples = tuple(sum(said[j][:2] == said[i][:2] for j in range(i)) for i in range(len(said)))
    return replace(pool, samples=samples, rewordings=(Wording(f"{prompt_id}/1"),), asked=tuple(asked))
