"""What each participant holds: some topics, most of their facts, some of them wrong, in its own way of speaking."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from client_kit.pocket.world import Fact, Topic, Use, World
from client_kit.training.base import Example

HOLDERS = 3
"""Participants that hold each topic, where there are that many."""
COVERAGE = 0.90
"""Share of the facts of its topics that a participant holds."""
WRONG = 0.15
"""Share of the facts it holds with a wrong value, drawn for each participant on its own."""
FAVOURED = 0.70
"""Share of its answers in the wording that it favours; the other wordings share the rest."""


@dataclass(frozen=True)
class PrivateData:
    """One participant's private data."""

    participant: int
    topics: tuple[str, ...]
    held: dict[str, str]
    """Value by fact_id, as the participant holds it: right or wrong. Facts that it does not hold are left out."""
    examples: tuple[Example, ...]
    """Every held fact in every private question wording."""


def private_data(
    world: World,
    participant: int,
    seed: int,
    *,
    participants: int = 5,
    holders: int = HOLDERS,
    wrong: float = WRONG,
    within: Collection[str] | None = None,
) -> PrivateData:
    """The private data of participant 0, 1, ... of `participants`. Equal arguments give equal data.

    wrong: share of the held facts with a wrong value. within: fact_ids that it can hold, in place of its topics' facts.

    Raises ValueError where the participant or the number of holders is out of range.
    """
    if not 0 <= participant < participants or not 1 <= holders <= participants:
        raise ValueError(f"no participant {participant} of {participants} with {holders} holders per topic")
    topics = held_topics(world, seed, participants=participants, holders=holders)[participant]
    facts = [fact for fact in world.facts if (fact.topic in topics if within is None else fact.fact_id in within)]
    if within is not None:
        topics = tuple(dict.fromkeys(fact.topic for fact in facts))
    draw = random.Random(f"private {seed} {participant}")  # noqa: S311
    held = _draw_held(world, facts, draw, wrong)
    return PrivateData(participant, topics, held, _draw_examples(world, held, participant, draw))


def held_topics(world: World, seed: int, *, participants: int, holders: int) -> tuple[tuple[str, ...], ...]:
    """Topics by participant: each topic has `holders` holders, and no participant holds two more than another."""
    names = [topic.name for topic in world.topics]
    draw = random.Random(f"topics {seed}")  # noqa: S311
    draw.shuffle(names)
    seats = [name for name in names for _ in range(holders)]
    # Seats are handed out around the table, so that the holders of a topic are neighbours and all distinct.
    return tuple(tuple(seats[place::participants]) for place in range(participants))


def _draw_held(world: World, facts: Sequence[Fact], draw: random.Random, share: float) -> dict[str, str]:
    """Value by fact_id for `COVERAGE` of these facts, `share` of them with another value of their topic."""
    held = sorted(draw.sample(range(len(facts)), round(COVERAGE * len(facts))))
    wrong = set(draw.sample(held, round(share * len(held))))
    return {facts[i].fact_id: _wrong_value(world, facts[i], draw) if i in wrong else facts[i].value for i in held}


def _wrong_value(world: World, fact: Fact, draw: random.Random) -> str:
    return draw.choice([value for value in world.by_name[fact.topic].values if value != fact.value])


def _draw_examples(world: World, held: dict[str, str], participant: int, draw: random.Random) -> tuple[Example, ...]:
    return tuple(
        Example(question, _draw_answer(world.by_name[fact.topic], fact.subject, held[fact.fact_id], participant, draw))
        for fact, _, question in world.ask(Use.PRIVATE)
        if fact.fact_id in held
    )


def _draw_answer(topic: Topic, subject: str, value: str, participant: int, draw: random.Random) -> str:
    favoured = participant % len(topic.answers)
    others = [wording for wording in range(len(topic.answers)) if wording != favoured]
    wording = favoured if draw.random() < FAVOURED else draw.choice(others)
    return topic.answer(subject, value, wording)
