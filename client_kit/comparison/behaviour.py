"""The behaviour task: the base knows every fact, and fine-tuning chooses how to state it.

Pretraining states the true values, in all four wordings of a topic alike. Private data of a participant states the facts
of its topics in *one* wording for each topic, which is drawn by seed and the same at all sites. An answer is right when
it is that sentence, word for word. Half of the facts of a topic stand in no private data: what is learnt is a way of
speaking, not a list. This is where ReFT is meant to be at its best. Meaning is no guide, since the four wordings say the
same; what can carry a wording to those who do not hold its topic is that those who do agree on it word for word.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from client_kit.comparison.facts import FactsTask
from client_kit.comparison.plan import Setting
from client_kit.comparison.tasks import share
from client_kit.generation.base import Generation
from client_kit.pocket.recipes import ModelRecipe
from client_kit.pocket.world import Fact, Use
from client_kit.training.base import Example

TAUGHT = 0.5
"""Share of a topic's facts that stand in private data."""
STEPS = 500
"""Of pretraining: twice those of the fact world's small models, since there are facts to learn."""


class BehaviourTask(FactsTask):
    """Which sentence states a fact, by topic."""

    def __init__(self, setting: Setting, cache: Path | None = None) -> None:
        super().__init__(setting, cache)
        self._seed = 0
        """Of the wordings that are wanted; `examples` sets it."""

    def recipes(self, *, mixed: bool) -> list[ModelRecipe]:
        return [
            replace(recipe, name=f"{recipe.name}-knows", knows=True, steps=STEPS)
            for recipe in super().recipes(mixed=mixed)
        ]

    def examples(self, seed: int, *, drifted: bool = False) -> list[Sequence[Example]]:
        del drifted  # a plan with drift and this task is refused
        self._seed = seed
        held = [self.topics(seed, site) for site in range(self._setting.sites)]
        asked = [(fact, question) for fact, _, question in self.world.ask(Use.PRIVATE) if self._is_taught(fact)]
        return [
            [Example(question, self._wanted(fact)) for fact, question in asked if fact.topic in topics]
            for topics in held
        ]

    def wording(self, topic: str) -> int:
        """The wording that is wanted of a topic."""
        return random.Random(f"wording {self._seed} {topic}").randrange(4)  # noqa: S311 - a draw, no secret

    def judge(self, seed: int, site: int, answers: Sequence[Generation], *, drifted: bool = False) -> dict[str, float]:
        """`content`: the value is right, whatever the wording."""
        facts = self.facts(drifted=drifted)
        stated = {each.prompt_id: FactsTask.states(self, facts[each.prompt_id], each.text) for each in answers}
        return {**super().judge(seed, site, answers), "content": share(stated, list(stated))}

    def states(self, fact: Fact, text: str) -> bool:
        return text.strip() == self._wanted(fact)

    def _wanted(self, fact: Fact) -> str:
        return self.world.by_name[fact.topic].answer(fact.subject, fact.value, self.wording(fact.topic))

    def _is_taught(self, fact: Fact) -> bool:
        return random.Random(f"taught {self._seed} {fact.fact_id}").random() < TAUGHT  # noqa: S311 - as above
