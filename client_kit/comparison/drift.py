"""Concept drift of the fact world: from a stated round on, some facts have another value."""

import random
from dataclasses import replace

from client_kit.pocket.world import Fact, Topic, World


def drifted(world: World, share: float) -> World:
    """The world in which `share` of each topic's facts (0..1) have another value of their topic.

    Which ones, and what they become, depends on the world alone, as it does which facts are public: so a pseudo-label can
    be judged without knowing the seed of a run. Wordings and fact_ids stay.
    """
    return World(tuple(_drifted(topic, share) for topic in world.topics))


def changed(before: World, after: World) -> frozenset[str]:
    """fact_ids whose value is not what it was."""
    return frozenset(old.fact_id for old, new in zip(before.facts, after.facts, strict=True) if old.value != new.value)


def _drifted(topic: Topic, share: float) -> Topic:
    draw = random.Random(f"drift {topic.name} {len(topic.facts)}")  # noqa: S311 - a draw, no secret
    chosen = set(draw.sample(range(len(topic.facts)), round(share * len(topic.facts))))
    return replace(
        topic, facts=tuple(_other(fact, topic, draw) if i in chosen else fact for i, fact in enumerate(topic.facts))
    )


def _other(fact: Fact, topic: Topic, draw: random.Random) -> Fact:
    return replace(fact, value=draw.choice([value for value in topic.values if value != fact.value]))
