"""The bench: every rule on every panel, with and without attackers; one row of figures for each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from client_kit.wire import Refusals
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.rules import RULES, rule_named
from consensus_server.evaluation import figures
from consensus_server.evaluation.answer_files import JudgedAnswers
from consensus_server.evaluation.attacks import GOOD_NAME, attack_columns, kind_of, seated
from consensus_server.evaluation.bank import Bank, make_bank
from consensus_server.evaluation.clusterers import DEFAULT
from consensus_server.evaluation.panels import Panel, Picks, draw_panel
from consensus_server.evaluation.workers import deciding
from consensus_server.ports import EmbeddingStore, Encoder


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
    confidence: str = Policy().confidence
    """Name of the score."""
    clusterer: str = DEFAULT
    """How answers of one meaning are found; others than the default are ablations."""
    contradictions: str = Policy().contradictions
    """What tells contradictory answers apart; `none`: nothing."""
    refusals: Refusals = Refusals.DROP
    abstention: bool = False
    workers: int = 1
    """Processes that decide; the findings do not depend on it."""


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of one policy on one file. Qualities are means of preferences, 0..1; null where nothing is known."""

    file: str
    rule: str
    guards: bool
    reliability: bool
    panel_size: int
    attack: str | None
    attackers: int
    quality: float | None
    quality_low: float | None
    quality_high: float | None
    random: float | None
    best_single: float | None
    coverage: float
    length_ratio: float | None
    length_adjusted_quality: float | None
    """Null where answers are right or wrong by a key, too."""
    confidence: str
    """Name of the score by which `auroc` and `top_half_quality` order labels."""
    auroc: float | None
    top_half_quality: float | None
    attack_success: float | None
    refusals: int
    """Answers of the file that were left out as refusals; 0 where they were kept."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


Progress = Callable[[str, int, int], None]
"""(what is being done, done, in all)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A row, and what plots and calibration need beside it."""

    row: Row
    policy: Policy
    confidence: Float64[np.ndarray, "panels prompts"]
    """Of the labels; nan for abstentions and for prompts that are not attacked."""
    worth: Float64[np.ndarray, "panels prompts"]
    """Of the labels; nan where unknown, too."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One attack, or none."""

    attack: str | None
    attackers: int


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
    if plan.equivalence is not None:
        answers = replace(answers, equivalences=(plan.equivalence,) * len(answers.prompts))
    members = [draw_panel(len(answers.models), plan.panel_size, plan.seed, i) for i in range(plan.panels)]
    with deciding(plan.workers if plan.panels * len(answers.prompts) >= _WORTH_A_POOL else 1) as decide_all:
        for texts, cases in _cases(plan):
            bank = _bank(answers, plan, texts, encoder, store, progress)
            for case in cases:
                panels = [_panel(each, answers, plan, case) for each in members]
                chosen = list(policies(plan, attacked=case.attack is not None))
                what = f"deciding, {case.attack or 'no attack'}" + (f" x {case.attackers}" if case.attackers else "")
                picks = decide_all(bank, panels, chosen, plan.clusterer, partial(progress, what))
                for number, policy in enumerate(chosen):
                    yield _finding(answers, bank, panels, [each[number] for each in picks], policy, plan, case)


_WORTH_A_POOL = 4000
"""Panels times prompts from which further processes pay for their start."""


def _cases(plan: Plan) -> Iterator[tuple[str | None, list[_Case]]]:
    """The kinds of attacks, each with what runs on the same texts: when they attack, and how many they are."""
    yield None, [_Case(None, 0)]
    for kind in dict.fromkeys(map(kind_of, plan.attacks)):
        names = [name for name in plan.attacks if kind_of(name) == kind]
        yield names[0], [_Case(name, attackers) for name in names for attackers in plan.attackers]


def policies(plan: Plan, *, attacked: bool) -> Iterator[Policy]:
    """Each rule; those that read the round with and without guards and reliability, under attack with both only."""
    for rule in plan.rules:
        wide = rule_named(rule).round_wide
        settings = [(True, True)] if attacked else [(False, False), (False, True), (True, False), (True, True)]
        for guards, reliability in settings if wide else [(False, False)]:
            yield Policy(
                rule=rule, guards=guards, reliability=reliability, abstain=plan.abstention,
                seed=plan.seed, confidence=plan.confidence, contradictions=plan.contradictions,
            )  # fmt: skip


def _bank(  # noqa: PLR0917 - where it comes from
    answers: JudgedAnswers,
    plan: Plan,
    attack: str | None,
    encoder: Encoder,
    store: EmbeddingStore,
    progress: Progress,
) -> Bank:
    extra = attack_columns(answers, attack, max(plan.attackers), plan.seed) if attack else []
    what = f"embedding, {kind_of(attack) if attack else 'answers'}"
    return make_bank(
        answers, extra, encoder, store, partial(progress, what), plan.contradictions,
        drop_refusals=plan.refusals is Refusals.DROP,
    )  # fmt: skip


def _panel(members: Int64[np.ndarray, " size"], answers: JudgedAnswers, plan: Plan, case: _Case) -> Panel:
    count = len(answers.prompts)
    if case.attack is None:
        return Panel(np.tile(members, (count, 1)), len(members), np.ones(count, dtype=bool))
    columns, attacked = seated(members, answers, case.attack, case.attackers, plan.seed)
    return Panel(columns, len(members) - case.attackers, attacked)


def _finding(  # noqa: PLR0917 - a row is all of it
    answers: JudgedAnswers,
    bank: Bank,
    panels: Sequence[Panel],
    picks: Sequence[Picks],
    policy: Policy,
    plan: Plan,
    case: _Case,
) -> Finding:
    """The figures of one policy."""
    both = list(zip(panels, picks, strict=True))
    log_length = np.log(bank.length + 20.0)
    models = len(answers.models)
    phi = figures.length_effect(answers.preferences, log_length[:, :models])
    longer = log_length - log_length[:, :models].mean(axis=1, keepdims=True)
    quality = np.stack([_at_picks(bank.worth, panel, each) for panel, each in both])
    adjusted = np.stack([_at_picks(bank.worth - phi * longer, panel, each) for panel, each in both])
    ratio = np.stack([_at_picks(_length_ratio(bank, p), _own(p), each) for p, each in both])
    confidence = np.stack([np.where(panel.attacked, each.confidence, np.nan) for panel, each in both])
    honest = [_honest(answers, panel) for panel in panels]
    low, high = figures.two_way_interval(quality, plan.seed)
    row = Row(
        file=answers.name,
        rule=policy.rule,
        guards=policy.guards,
        reliability=policy.reliability,
        panel_size=plan.panel_size,
        attack=case.attack,
        attackers=case.attackers,
        quality=figures.mean(quality),
        quality_low=low,
        quality_high=high,
        random=figures.mean(np.array([figures.mean(each) for each in honest], dtype=np.float64)),
        best_single=figures.mean(np.array([figures.best_column(each) for each in honest], dtype=np.float64)),
        coverage=float(np.mean([(each.slot[panel.attacked] >= 0).mean() for panel, each in both])),
        length_ratio=figures.mean(ratio),
        length_adjusted_quality=None if answers.by_gold else figures.mean(adjusted),
        confidence=plan.confidence,
        auroc=figures.auroc(confidence, quality),
        top_half_quality=figures.top_half(list(confidence), list(quality)),
        attack_success=None
        if case.attack is None
        else figures.mean(np.concatenate([theirs(panel, each) for panel, each in both])),
        refusals=int(bank.refused.reshape(bank.length.shape)[:, :models].sum()),
    )
    return Finding(row, policy, confidence, quality)


def theirs(panel: Panel, picks: Picks) -> Float64[np.ndarray, " labels"]:
    """1 for each label on attacked prompts that an attacker gave, 0 for others."""
    slot = picks.slot[panel.attacked]
    won: Float64[np.ndarray, " labels"] = (slot[slot >= 0] >= panel.honest).astype(float)
    return won


def _at_picks(
    table: Float64[np.ndarray, "prompts columns"], panel: Panel, picks: Picks
) -> Float64[np.ndarray, " prompts"]:
    """`table` at the chosen columns; nan for abstentions and for prompts that are not attacked."""
    rows = np.arange(len(table))
    values = table[rows, panel.columns[rows, picks.slot]]
    return np.where((picks.slot >= 0) & panel.attacked, values, np.nan)


def _own(panel: Panel) -> Panel:
    """The panel, for a table that holds its answers only."""
    return replace(panel, columns=np.tile(np.arange(panel.columns.shape[1]), (len(panel.columns), 1)))


def _length_ratio(bank: Bank, panel: Panel) -> Float64[np.ndarray, "prompts size"]:
    """Length of each of the panel's answers over the mean of its honest ones."""
    length = np.take_along_axis(bank.length, panel.columns, axis=1).astype(float)
    ratio: Float64[np.ndarray, "prompts size"] = length / np.maximum(
        length[:, : panel.honest].mean(axis=1, keepdims=True), 1
    )
    return ratio


def _honest(answers: JudgedAnswers, panel: Panel) -> Float64[np.ndarray, "prompts honest"]:
    """Preferences of the honest members' answers to the attacked prompts."""
    honest = np.take_along_axis(answers.preferences, panel.columns[:, : panel.honest], axis=1)
    attacked: Float64[np.ndarray, "prompts honest"] = honest[panel.attacked]
    return attacked
