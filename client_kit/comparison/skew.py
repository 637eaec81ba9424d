"""Which facts each participant may hold, where topics are divided unevenly."""

import random

from client_kit.pocket.world import World


def dirichlet_facts(
    world: World, seed: int, *, participants: int, holders: int, concentration: float
) -> tuple[frozenset[str], ...]:
    """fact_ids by participant: each topic is divided by shares from a Dirichlet distribution (Hsu et al., arXiv 1909.06335).

    Each fact goes to `holders` different participants, drawn by the shares of its topic. A small concentration gives
    nearly a topic to each, a large one equal parts. Every participant gets one fact at least.
    """
    draw = random.Random(f"dirichlet {seed}")  # noqa: S311 - a draw, no secret
    held: list[set[str]] = [set() for _ in range(participants)]
    for topic in world.topics:
        shares = [max(draw.gammavariate(concentration, 1.0), 1e-300) for _ in range(participants)]
        for fact in topic.facts:
            for place in _drawn(shares, holders, draw):
                held[place].add(fact.fact_id)
    for empty in (own for own in held if not own):
        empty.add(draw.choice(world.facts).fact_id)
    return tuple(map(frozenset, held))


def _drawn(shares: list[float], count: int, draw: random.Random) -> list[int]:
    """`count` different places, by weights, without replacement (Efraimidis and Spirakis 2006: the least of e/w)."""
    keys = [draw.expovariate(1.0) / share for share in shares]
    return sorted(range(len(shares)), key=keys.__getitem__)[:count]
