"""The pocket world: a few hundred facts that half a million parameters can learn to speak of.

A wording of a question has one use and no other: private data, public prompts, validation or test. A fact has two
fixed properties as well: whether public prompts reach it (the others are the control that consensus cannot reach),
and whether it is for validation (choosing settings and checkpoints) or for test (what is reported).
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from importlib import resources
from typing import TypedDict

import yaml

WORLD_VERSION = "1.0"
"""Version of facts and wordings; the public prompt set of the same name carries it."""

PUBLIC_SHARE = 0.75
VALIDATION_SHARE = 0.25


class Use(StrEnum):
    """What a wording of a question is for."""

    PRIVATE = "private"
    PUBLIC = "public"
    VALIDATION = "validation"
    TEST = "test"


WORDINGS: dict[Use, tuple[int, ...]] = {
    Use.PRIVATE: (0, 1),
    Use.PUBLIC: (2, 3),
    Use.VALIDATION: (4,),
    Use.TEST: (5,),
}
"""Question wordings by use: no wording stands under two uses."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A subject and the value that is true of it."""

    topic: str
    subject: str
    value: str
    public: bool
    """Public prompts ask for it; False: a control fact, which pseudo-labels never speak of."""
    validation: bool
    """For choosing settings; False: for test."""

    @property
    def fact_id(self) -> str:
        """Unique in the world, and valid as a prompt id: `capitals/france`."""
        return f"{self.topic}/{self.subject.lower().replace(' ', '-')}"


@dataclass(frozen=True)
class Topic:
    """Facts of one kind, and the ways to ask and to state them."""

    name: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    facts: tuple[Fact, ...]

    @cached_property
    def values(self) -> tuple[str, ...]:
        """Every value that a fact of this topic has, sorted."""
        return tuple(sorted({fact.value for fact in self.facts}))

    def question(self, subject: str, wording: int) -> str:
        """Ask for the value of `subject`."""
        return sentence(self.questions[wording].format(subject=subject))

    def answer(self, subject: str, value: str, wording: int) -> str:
        """State that `subject` has `value`."""
        return sentence(self.answers[wording].format(subject=subject, value=value))


@dataclass(frozen=True)
class World:
    """The topics that one federation speaks of."""

    topics: tuple[Topic, ...]

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """All facts, topic by topic."""
        return tuple(fact for topic in self.topics for fact in topic.facts)

    @cached_property
    def by_name(self) -> dict[str, Topic]:
        """Topics by name."""
        return {topic.name: topic for topic in self.topics}

    def ask(self, use: Use) -> Iterator[tuple[Fact, int, str]]:
        """Every fact in every question wording of `use`: (fact, index of the wording, question)."""
        for fact in self.facts:
            for wording in WORDINGS[use]:
                yield fact, wording, self.by_name[fact.topic].question(fact.subject, wording)


def sentence(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def load_world(topics: tuple[str, ...] | None = None, *, facts_per_topic: int = 24) -> World:
    """The world of these topics (None: all ten) with the first facts of each.

    Which facts are public and which are for validation depends on the world alone, never on a seed of a run.
    Raises ValueError for an unknown topic or more facts than there are.
    """
    data = _read_facts()
    chosen = tuple(data) if topics is None else topics
    if unknown := [name for name in chosen if name not in data]:
        raise ValueError(f"the pocket world has no topic {', '.join(unknown)}; it has {', '.join(data)}")
    return World(tuple(_topic(name, data[name], facts_per_topic) for name in chosen))


class _TopicData(TypedDict):
    """A topic as it stands in the data file."""

    questions: list[str]
    answers: list[str]
    facts: dict[str, str]


def _read_facts() -> dict[str, _TopicData]:
    text = resources.files("client_kit.pocket").joinpath("facts.yaml").read_text(encoding="utf-8")
    data: dict[str, _TopicData] = yaml.safe_load(text)
    return data


def _topic(name: str, data: _TopicData, count: int) -> Topic:
    pairs = list(data["facts"].items())
    if not 1 <= count <= len(pairs):
        raise ValueError(f"topic {name} has {len(pairs)} facts, {count} were asked for")
    # A string seeds the same draw on every machine and in every process; hash() of a string would not.
    draw = random.Random(f"pocket {WORLD_VERSION} {name} {count}")  # noqa: S311
    public = set(draw.sample(range(count), round(PUBLIC_SHARE * count)))
    validation = _share_of(public, draw) | _share_of(set(range(count)) - public, draw)
    facts = (
        Fact(name, subject, value, public=index in public, validation=index in validation)
        for index, (subject, value) in enumerate(pairs[:count])
    )
    return Topic(name, tuple(data["questions"]), tuple(data["answers"]), tuple(facts))


def _share_of(indices: set[int], draw: random.Random) -> set[int]:
    """The validation part of `indices`: public and control facts are divided alike."""
    return set(draw.sample(sorted(indices), round(VALIDATION_SHARE * len(indices))))
