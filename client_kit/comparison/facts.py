"""The fact task: the closed world of the demonstration, in small."""

import random
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from client_kit.comparison.drift import changed
from client_kit.comparison.drift import drifted as drifted_world
from client_kit.comparison.plan import Setting
from client_kit.comparison.skew import dirichlet_facts
from client_kit.comparison.tasks import SiteData, share, split_site
from client_kit.generation.base import Generation
from client_kit.pocket.models import base_model
from client_kit.pocket.private import PrivateData, held_topics, private_data
from client_kit.pocket.public import public_prompts, questions
from client_kit.pocket.recipes import ModelRecipe
from client_kit.pocket.scoring import stated_value
from client_kit.pocket.settings import SMOKE
from client_kit.pocket.world import Fact, Use, World
from client_kit.training.base import Example
from client_kit.wire import Prompt


class FactsTask:
    """The fact world of the demonstration, in small: who holds which facts is drawn by seed."""

    def __init__(self, setting: Setting, cache: Path | None = None) -> None:
        self._setting = setting
        self._cache = cache
        self._holders = min(setting.holders, setting.sites)
        self.max_answer_tokens = SMOKE.max_answer_tokens

    @cached_property
    def world(self) -> World:
        """Topics and facts; read once, since every judged answer looks at them."""
        return SMOKE.world()

    @cached_property
    def later(self) -> World:
        """The world once facts have been replaced."""
        return drifted_world(self.world, self._setting.drift.share) if self._setting.drift else self.world

    def facts(self, *, drifted: bool) -> dict[str, Fact]:
        """What is true, by fact_id."""
        return {fact.fact_id: fact for fact in (self.later if drifted else self.world).facts}

    def recipes(self, *, mixed: bool) -> list[ModelRecipe]:
        """Of each participant's base model. Without mixture all have the first one's, byte for byte."""
        known = SMOKE.models if mixed else SMOKE.models[:1]
        return [known[index % len(known)] for index in range(self._setting.sites)]

    def sites(self, seed: int, *, mixed: bool, drifted: bool = False) -> list[SiteData]:
        pairs = zip(self.recipes(mixed=mixed), self.examples(seed, drifted=drifted), strict=True)
        return [
            split_site(
                index, recipe.architecture, base_model(recipe, self.world, seed=seed, cache=self._cache), examples, seed
            )
            for index, (recipe, examples) in enumerate(pairs)
        ]

    def examples(self, seed: int, *, drifted: bool = False) -> list[Sequence[Example]]:
        """What each participant is taught."""
        return [held.examples for held in self.held(seed, drifted=drifted)]

    def held(self, seed: int, *, drifted: bool = False) -> list[PrivateData]:
        """Private data of every participant."""
        count = self._setting.sites
        allotted = self._allotted(seed)
        return [
            private_data(
                self.later if drifted else self.world, index, seed, participants=count, holders=self._holders,
                wrong=self._setting.label_noise, within=allotted[index] if allotted else None,
            )
            for index in range(count)
        ]  # fmt: skip

    def _allotted(self, seed: int) -> tuple[frozenset[str], ...]:
        """fact_ids by participant under Dirichlet skew; empty without."""
        skew = self._setting.dirichlet
        if skew is None:
            return ()
        return dirichlet_facts(
            self.world, seed, participants=self._setting.sites, holders=self._holders, concentration=skew
        )

    def owns(self, seed: int, site: int) -> frozenset[str]:
        """fact_ids of a participant's own distribution: of its topics, or those allotted to it."""
        if allotted := self._allotted(seed):
            return allotted[site]
        topics = self.topics(seed, site)
        return frozenset(fact.fact_id for fact in self.world.facts if fact.topic in topics)

    def topics(self, seed: int, site: int) -> tuple[str, ...]:
        """Topics that a participant holds, where whole topics are divided."""
        return held_topics(self.world, seed, participants=self._setting.sites, holders=self._holders)[site]

    def prompts(self) -> list[Prompt]:
        every = public_prompts(self.world, every=self._setting.public_share == 1)
        wanted = self._setting.public_prompts or len(every)
        drawn = random.Random("public prompts").sample(every, min(wanted, len(every)))  # noqa: S311 - as above
        return sorted(drawn, key=lambda prompt: prompt.prompt_id)

    def questions(self) -> list[Prompt]:
        return [*questions(self.world, Use.VALIDATION), *questions(self.world, Use.TEST)]

    def judge(self, seed: int, site: int, answers: Sequence[Generation], *, drifted: bool = False) -> dict[str, float]:
        facts, own = self.facts(drifted=drifted), self.owns(seed, site)
        right = {answer.prompt_id: self.states(facts[answer.prompt_id], answer.text) for answer in answers}
        test = [name for name in right if not facts[name].validation]
        groups = {
            "private": share(right, [name for name in test if name in own]),
            "overall": share(right, test),
            "not private": share(right, [name for name in test if name not in own]),
            "validation": share(right, [name for name in right if facts[name].validation]),
        }
        return groups | self._drift_groups(answers, right) if self._setting.drift else groups

    def _drift_groups(self, answers: Sequence[Generation], right: Mapping[str, bool]) -> dict[str, float]:
        """`replaced`: facts with a value of their own before and after; `stale`: of these, still the old value; `kept`."""
        before, replaced = self.facts(drifted=False), changed(self.world, self.later)
        old = {answer.prompt_id: self.states(before[answer.prompt_id], answer.text) for answer in answers}
        names = [name for name in right if name in replaced]
        return {
            "replaced": share(right, names),
            "stale": share(old, names),
            "kept": share(right, [name for name in right if name not in replaced]),
        }

    def right(self, prompt_id: str, text: str, *, drifted: bool = False) -> bool | None:
        return self.states(self.facts(drifted=drifted)[prompt_id.rpartition("/")[0]], text)

    def states(self, fact: Fact, text: str) -> bool:
        """Whether a text states the fact as this task wants it."""
        return stated_value(self.world.by_name[fact.topic], fact.subject, text) == fact.value
