"""The bench: every rule on every panel, with and without attackers; one row of figures for each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any, Final

import numpy as np
from jaxtyping import Int64

from client_kit.wire import Refusals
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.rules import RULES, rule_named
from consensus_server.evaluation.answer_files import JudgedAnswers
from consensus_server.evaluation.attacks import GOOD_NAME, attack_columns, kind_of, seated
from consensus_server.evaluation.bank import Bank, make_bank
from consensus_server.evaluation.clusterers import DEFAULT
from consensus_server.evaluation.differences import baselines
from consensus_server.evaluation.panels import draw_panel
from consensus_server.evaluation.records import Panel, Picks
from consensus_server.evaluation.rows import Case, Decided, Finding
from consensus_server.evaluation.workers import deciding
from consensus_server.ports import EmbeddingStore, Encoder
from consensus_server.service.contradictions import BY_WORDS, NONE, WORDS, Comparisons

_LABELLING: Final = Policy(abstain=False)
"""The default policy, but every prompt with an admitted answer gets a label."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run on a file."""

    panel_size: int = 8
    panels: int = 100
    seed: int = 7
    rules: tuple[str, ...] = tuple(RULES)
    attacks: tuple[str, ...] = ()
    attackers: tuple[int, ...] = ()
    equivalence: str | None = None
    """How answers are grouped; None: as the file says."""
    policy: Policy = _LABELLING
    """What all rows have in common: they vary its rule, guards and reliability."""
    fixed: frozenset[str] = frozenset()
    """Fields of the policy that no row varies."""
    against: Mapping[str, Any] = field(default_factory=dict)
    """Fields of a policy with other values: each row is held against itself with these."""
    clusterer: str = DEFAULT
    """How answers of one meaning are found; others than the default are ablations."""
    refusals: Refusals = Refusals.DROP
    comparisons: Comparisons = BY_WORDS
    """Has what policies name to tell contradictions."""
    workers: int = 1
    """Processes that decide; the findings do not depend on it. A model is asked in this one only."""

    @property
    def told_by(self) -> tuple[str, ...]:
        """What tells contradictions: as the policy has it, and as what it is held against has it."""
        named = self.policy.contradictions
        return tuple(dict.fromkeys((named, self.against.get("contradictions", named))))


Progress = Callable[[str, int, int], None]
"""(what is being done, done, in all)."""


def run(
    answers: JudgedAnswers, plan: Plan, encoder: Encoder, store: EmbeddingStore, progress: Progress
) -> Iterator[Finding]:
    """Findings in the order of the plan: without attackers first. Raises ValueError where the file has too few models."""
    named = next((each for each in plan.attacks if each.endswith(GOOD_NAME)), None)
    if named and plan.panel_size >= len(answers.models):
        raise ValueError(
            f"`{named}` borrows the answers of models outside the panel; {answers.name} has {len(answers.models)} models, "
            f"so the panel must be smaller than that."
        )
    if plan.panel_size > len(answers.models):
        raise ValueError(
            f"A panel of {plan.panel_size} needs as many models; {answers.name} has {len(answers.models)}."
        )
    if answers.samples > 1 and plan.attacks:
        raise ValueError(f"Attackers give one answer to a prompt; {answers.name} has {answers.samples} of each model.")
    if answers.by_rounds and plan.clusterer != DEFAULT:
        raise ValueError(f"{answers.name} has questions or samples, which are pooled with {DEFAULT} only.")
    if plan.equivalence is not None:
        answers = replace(answers, equivalences=(plan.equivalence,) * len(answers.prompts))
    members = [draw_panel(len(answers.models), plan.panel_size, plan.seed, i) for i in range(plan.panels)]
    alone = plan.panels * len(answers.prompts) < _WORTH_A_POOL or (answers.by_rounds and _asks_a_model(plan))
    with deciding(1 if alone else plan.workers) as decide_all:
        for texts, cases in _cases(plan):
            banks = _banks(answers, plan, texts, encoder, store, progress)
            for case in cases:
                panels = [_panel(each, answers, plan, case) for each in members]
                held_against = {
                    policy: baselines(policy, plan.against)
                    for policy in policies(plan, attacked=case.attack is not None)
                }
                asked = dict.fromkeys(
                    [*held_against, *(each for own in held_against.values() for each in own.values())]
                )
                what = f"deciding, {case.attack or 'no attack'}" + (f" x {case.attackers}" if case.attackers else "")
                decide = partial(decide_all, clusterer=plan.clusterer, done=partial(progress, what))
                picks = _decided(banks, panels, list(asked), decide)
                decided = Decided(
                    answers, banks[plan.policy.contradictions], case, panels, picks, plan.seed, plan.comparisons
                )
                for policy, compared in held_against.items():
                    yield decided.finding(policy, compared)


def _asks_a_model(plan: Plan) -> bool:
    return not {NONE, WORDS}.issuperset(plan.told_by)


_WORTH_A_POOL = 4000
"""Panels times prompts from which further processes pay for their start."""


def _cases(plan: Plan) -> Iterator[tuple[str | None, list[Case]]]:
    """The kinds of attacks, each with what runs on the same texts: when they attack, and how many they are."""
    yield None, [Case(None, 0)]
    for kind in dict.fromkeys(map(kind_of, plan.attacks)):
        names = [name for name in plan.attacks if kind_of(name) == kind]
        yield names[0], [Case(name, attackers) for name in names for attackers in plan.attackers]


def policies(plan: Plan, *, attacked: bool) -> Iterator[Policy]:
    """Each rule; those that read the round with and without guards and reliability, under attack with both only."""
    seed = plan.policy.seed if "seed" in plan.fixed else plan.seed
    for rule in plan.rules:
        varied = (False,) if not rule_named(rule).round_wide else (True,) if attacked else (False, True)
        choices = (
            (getattr(plan.policy, name),) if name in plan.fixed else varied for name in ("guards", "reliability")
        )
        for guards, reliability in product(*choices):
            yield replace(plan.policy, rule=rule, guards=guards, reliability=reliability, seed=seed)


def _decided(
    banks: Mapping[str, Bank],
    panels: Sequence[Panel],
    asked: Sequence[Policy],
    decide: Callable[[Bank, Sequence[Panel], Sequence[Policy]], list[list[Picks]]],
) -> dict[Policy, Sequence[Picks]]:
    """The picks of each policy by panel. banks: by what tells contradictions."""
    picks: dict[Policy, Sequence[Picks]] = {}
    for name, bank in banks.items():
        own = [policy for policy in asked if policy.contradictions == name]
        picks |= dict(zip(own, zip(*decide(bank, panels, own), strict=True), strict=True))
    return picks


def _banks(  # noqa: PLR0917 - where it comes from
    answers: JudgedAnswers,
    plan: Plan,
    attack: str | None,
    encoder: Encoder,
    store: EmbeddingStore,
    progress: Progress,
) -> dict[str, Bank]:
    """By what tells contradictions: as the policy has it, and as what it is held against has it."""
    extra = attack_columns(answers, attack, max(plan.attackers), plan.seed) if attack else []
    what = f"embedding, {kind_of(attack) if attack else 'answers'}"
    named, *others = plan.told_by
    comparisons = plan.comparisons if _asks_a_model(plan) else BY_WORDS  # what other processes can be sent

    def embedding(done: int, total: int) -> None:
        progress(what, done, total)
        if done == total and {named, *others} != {NONE}:
            progress(f"{what.replace('embedding', 'comparing')}, for contradictions", 0, 0)

    bank = make_bank(
        answers,
        extra,
        encoder,
        store,
        embedding,
        named,
        comparisons,
        drop_refusals=plan.refusals is Refusals.DROP,
    )
    return {named: bank, **{other: bank.telling(other, comparisons) for other in others}}


def _panel(members: Int64[np.ndarray, " size"], answers: JudgedAnswers, plan: Plan, case: Case) -> Panel:
    count = len(answers.prompts)
    if case.attack is None:
        seats = (members[:, None] * answers.samples + np.arange(answers.samples)).ravel()
        return Panel(np.tile(seats, (count, 1)), len(seats), np.ones(count, dtype=bool))
    columns, attacked = seated(members, answers, case.attack, case.attackers, plan.seed)
    return Panel(columns, len(members) - case.attackers, attacked)
