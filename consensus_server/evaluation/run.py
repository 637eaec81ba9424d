"""The bench: every rule on every panel, with and without attackers; one row of figures for each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from consensus_server.core.consensus.pools import Policy
from consensus_server.core.consensus.rules import RULES, rule_named
from consensus_server.evaluation import figures
from consensus_server.evaluation.answer_files import JudgedAnswers
from consensus_server.evaluation.attacks import attack_columns, seated
from consensus_server.evaluation.bank import Bank, make_bank
from consensus_server.evaluation.panels import Panel, Picks, decide_panel, draw_panel
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
    abstention: bool = False


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
    auroc: float | None
    top_half_quality: float | None
    attack_success: float | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


Progress = Callable[[str, int, int], None]
"""(what is being done, done, in all)."""


def run(
    answers: JudgedAnswers, plan: Plan, encoder: Encoder, store: EmbeddingStore, progress: Progress
) -> Iterator[Row]:
    """Rows in the order of the plan: without attackers first. Raises ValueError where the file has too few models."""
    if plan.panel_size > len(answers.models):
        raise ValueError(
            f"A panel of {plan.panel_size} needs as many models; {answers.name} has {len(answers.models)}."
        )
    members = [draw_panel(len(answers.models), plan.panel_size, plan.seed, i) for i in range(plan.panels)]
    cases: list[tuple[str | None, int]] = [(None, 0), *((name, f) for name in plan.attacks for f in plan.attackers)]
    for attack, attackers in cases:
        bank = _bank(answers, plan, attack, attackers, encoder, store, progress)
        panels = [_panel(each, answers, plan, attack, attackers) for each in members]
        for policy in policies(plan, attacked=attack is not None):
            what = f"{attack or 'no attack'}, {policy.rule}"
            picks = []
            for done, panel in enumerate(panels):
                progress(what, done, len(panels))
                picks.append(decide_panel(bank, panel, policy))
            progress(what, len(panels), len(panels))
            yield _row(answers, bank, panels, picks, policy, plan, attack, attackers)


def policies(plan: Plan, *, attacked: bool) -> Iterator[Policy]:
    """Each rule; `fused` and `hybrid` bare, with guards, and with guards and reliability (under attack only the last)."""
    for rule in plan.rules:
        wide = rule_named(rule).round_wide
        settings = [(True, True)] if attacked else [(False, False), (False, True), (True, False), (True, True)]
        for guards, reliability in settings if wide else [(False, False)]:
            yield Policy(rule=rule, guards=guards, reliability=reliability, abstain=plan.abstention, seed=plan.seed)


def _bank(  # noqa: PLR0917 - where it comes from
    answers: JudgedAnswers,
    plan: Plan,
    attack: str | None,
    attackers: int,
    encoder: Encoder,
    store: EmbeddingStore,
    progress: Progress,
) -> Bank:
    extra = attack_columns(answers, attack, attackers, plan.seed) if attack else []
    return make_bank(
        answers, extra, encoder, store, lambda done, total: progress(f"embedding, {attack or 'answers'}", done, total)
    )


def _panel(
    members: Int64[np.ndarray, " size"], answers: JudgedAnswers, plan: Plan, attack: str | None, attackers: int
) -> Panel:
    count = len(answers.prompts)
    if attack is None:
        return Panel(np.tile(members, (count, 1)), len(members), np.ones(count, dtype=bool))
    columns, attacked = seated(members, answers, attack, attackers, plan.seed)
    return Panel(columns, len(members) - attackers, attacked)


def _row(  # noqa: PLR0917 - a row is all of it
    answers: JudgedAnswers,
    bank: Bank,
    panels: Sequence[Panel],
    picks: Sequence[Picks],
    policy: Policy,
    plan: Plan,
    attack: str | None,
    attackers: int,
) -> Row:
    log_length = np.log(bank.length + 20.0)
    models = len(answers.models)
    phi = figures.length_effect(answers.preferences, log_length[:, :models])
    longer = log_length - log_length[:, :models].mean(axis=1, keepdims=True)
    quality = np.stack([_at_picks(bank.worth, panel, each) for panel, each in zip(panels, picks, strict=True)])
    adjusted = np.stack([_at_picks(bank.worth - phi * longer, p, each) for p, each in zip(panels, picks, strict=True)])
    ratio = np.stack(
        [
            _at_picks(_length_ratio(bank, p), Panel(_own(p), p.honest, p.attacked), each)
            for p, each in zip(panels, picks, strict=True)
        ]
    )
    confidence = [np.where(panel.attacked, each.confidence, np.nan) for panel, each in zip(panels, picks, strict=True)]
    honest = [_honest(answers, panel) for panel in panels]
    low, high = figures.two_way_interval(quality, plan.seed)
    return Row(
        file=answers.name,
        rule=policy.rule,
        guards=policy.guards,
        reliability=policy.reliability,
        panel_size=plan.panel_size,
        attack=attack,
        attackers=attackers,
        quality=figures.mean(quality),
        quality_low=low,
        quality_high=high,
        random=figures.mean(np.array([np.nanmean(each) for each in honest])),
        best_single=figures.mean(np.array([np.nanmean(each, axis=0).max() for each in honest])),
        coverage=float(
            np.mean([(each.slot[panel.attacked] >= 0).mean() for panel, each in zip(panels, picks, strict=True)])
        ),
        length_ratio=figures.mean(ratio),
        length_adjusted_quality=figures.mean(adjusted),
        auroc=figures.auroc(np.stack(confidence), quality),
        top_half_quality=figures.top_half(confidence, list(quality)),
        attack_success=None
        if attack is None
        else float(
            np.mean(
                [(each.slot[panel.attacked] >= panel.honest).mean() for panel, each in zip(panels, picks, strict=True)]
            )
        ),
    )


def _at_picks(
    table: Float64[np.ndarray, "prompts columns"], panel: Panel, picks: Picks
) -> Float64[np.ndarray, " prompts"]:
    """`table` at the chosen columns; nan for abstentions and for prompts that are not attacked."""
    rows = np.arange(len(table))
    values = table[rows, panel.columns[rows, picks.slot]]
    return np.where((picks.slot >= 0) & panel.attacked, values, np.nan)


def _own(panel: Panel) -> Int64[np.ndarray, "prompts size"]:
    """Columns of a table that holds the panel's answers only."""
    return np.tile(np.arange(panel.columns.shape[1]), (len(panel.columns), 1))


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
