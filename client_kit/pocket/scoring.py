"""How many facts a participant states: exact slot accuracy, by what it was taught."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from client_kit.generation.base import Generation
from client_kit.pocket.private import PrivateData
from client_kit.pocket.world import Fact, Topic, World


@dataclass(frozen=True, slots=True)
class Share:
    """A count of right answers among questions."""

    right: int
    total: int

    @property
    def value(self) -> float:
        """right / total, 0..1; 0 where nothing was asked."""
        return self.right / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Scores:
    """Exact slot accuracy of one participant: the sentence must state the right value of the subject asked for."""

    overall: Share
    public: Share
    """Facts that public prompts ask for."""
    control: Share
    """The other facts: pseudo-labels cannot reach them."""
    known: Share
    """Facts that the participant holds with the right value."""
    never_taught: Share
    """Facts that its private data never speaks of."""
    never_taught_public: Share
    """Those of them that public prompts ask for."""
    held_wrong: Share
    """Facts that it holds with a wrong value."""
    outvoted: Share
    """Public facts that it holds with a wrong value while more than half of the other holders hold the right one."""


def score(generations: Iterable[Generation], world: World, data: Sequence[PrivateData], participant: int) -> Scores:
    """Score a participant's answers to `questions(world, ...)`. An unanswered question counts as wrong only if asked.

    generations: prompt_id is a fact_id, at most one each. data: the private data of all participants, in order.
    Raises ValueError for an answer to a question that the world does not know.
    """
    facts = {fact.fact_id: fact for fact in world.facts}
    right: dict[str, bool] = {}
    for generation in generations:
        if generation.prompt_id not in facts:
            raise ValueError(f"{generation.prompt_id} is no fact of this world; score answers to questions()")
        fact = facts[generation.prompt_id]
        right[fact.fact_id] = stated_value(world.by_name[fact.topic], fact.subject, generation.text) == fact.value
    return _scores([facts[name] for name in right], right, data, participant)


def stated_value(topic: Topic, subject: str, text: str) -> str | None:
    """The value that a sentence states of `subject`; None if it is no answer of the topic about that subject."""
    said = text.strip().casefold()
    for pattern in _patterns(topic.answers, subject):
        if found := pattern.fullmatch(said):
            return next((value for value in topic.values if value.casefold() == found["value"]), None)
    return None


@lru_cache(maxsize=4096)
def _patterns(answers: tuple[str, ...], subject: str) -> tuple[re.Pattern[str], ...]:
    """Each answer wording as a pattern with the subject in its place."""
    marked = (answer.format(subject=subject, value="\0").casefold() for answer in answers)
    return tuple(re.compile(re.escape(text).replace("\0", "(?P<value>.+)")) for text in marked)


def _scores(facts: list[Fact], right: dict[str, bool], data: Sequence[PrivateData], participant: int) -> Scores:
    held = data[participant].held
    others = [other.held for index, other in enumerate(data) if index != participant]
    wrong = [fact for fact in facts if held.get(fact.fact_id, fact.value) != fact.value]
    unseen = [fact for fact in facts if fact.fact_id not in held]

    def share(chosen: Iterable[Fact]) -> Share:
        results = [right[fact.fact_id] for fact in chosen]
        return Share(sum(results), len(results))

    return Scores(
        overall=share(facts),
        public=share(fact for fact in facts if fact.public),
        control=share(fact for fact in facts if not fact.public),
        known=share(fact for fact in facts if held.get(fact.fact_id) == fact.value),
        never_taught=share(unseen),
        never_taught_public=share(fact for fact in unseen if fact.public),
        held_wrong=share(wrong),
        outvoted=share(fact for fact in wrong if fact.public and _outvoted(fact, others)),
    )


def _outvoted(fact: Fact, others: Sequence[Mapping[str, str]]) -> bool:
    """Whether more than half of the other holders hold the right value."""
    values = [held[fact.fact_id] for held in others if fact.fact_id in held]
    return 2 * sum(value == fact.value for value in values) > len(values)
