"""One row of figures: what a policy's labels are worth on a file, and what plots and calibration need beside it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from consensus_server.core.consensus.records import Policy
from consensus_server.evaluation import figures
from consensus_server.evaluation.answer_files import JudgedAnswers
from consensus_server.evaluation.bank import Bank
from consensus_server.evaluation.differences import Difference, Labels, difference
from consensus_server.evaluation.facts import Facts, facts_of
from consensus_server.evaluation.records import Panel, Picks
from consensus_server.service.contradictions import BY_WORDS, Comparisons, pinned


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
    differences: tuple[Difference, ...]
    """To baselines on the same panels and prompts."""
    random: float | None
    best_single: float | None
    oracle: float | None
    """Mean of the best honest answer to each prompt."""
    coverage: float
    length_ratio: float | None
    length_adjusted_quality: float | None
    """Null where answers are right or wrong by a key, too."""
    confidence: str
    """Name of the score by which `auroc` and `top_half_quality` order labels."""
    auroc: float | None
    rank_correlation: float | None
    """Spearman's, of confidence and worth; null where either is the same everywhere."""
    top_half_quality: float | None
    attack_success: float | None
    votes: float
    """Mean over pools: participants that count, copies less than others."""
    turned_away: Mapping[str, float]
    """By gate: the share of the panels' honest answers that it kept out, 0..1; gates that kept out none do not stand here."""
    refusals: int
    """Answers of the file that were left out as refusals; 0 where they were kept."""
    facts: Facts
    """Of the file."""
    policy: Policy
    """The whole policy that was measured, with the version of what tells contradictions."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """A row, and what plots and calibration need beside it."""

    row: Row
    policy: Policy
    confidence: Float64[np.ndarray, "panels prompts"]
    """Of the labels; nan for abstentions and for prompts that are not attacked."""
    worth: Float64[np.ndarray, "panels prompts"]
    """Of the labels; nan where unknown, too."""
    kinds: tuple[str, ...] = ()
    """Kind of task of each prompt."""

    def of_kind(self, kind: str) -> "Finding":
        """What was found on the prompts of one kind; the row stays that of all."""
        own = np.array([each == kind for each in self.kinds], dtype=bool)
        return replace(self, confidence=self.confidence[:, own], worth=self.worth[:, own], kinds=(kind,) * own.sum())


@dataclass(frozen=True, slots=True)
class Case:
    """One attack, or none."""

    attack: str | None
    attackers: int


@dataclass(frozen=True, slots=True)
class Decided:
    """All panels of one case, decided by some policies."""

    answers: JudgedAnswers
    bank: Bank
    case: Case
    panels: Sequence[Panel]
    picks: Mapping[Policy, Sequence[Picks]]
    """By panel."""
    seed: int
    comparisons: Comparisons = BY_WORDS

    def labels(self, policy: Policy) -> Labels:
        """What a policy gave."""
        both = list(zip(self.panels, self.picks[policy], strict=True))
        worth = np.stack([_at_picks(self.bank.worth, *each) for each in both])
        given = np.stack([np.where(panel.attacked, picks.slot >= 0, np.nan) for panel, picks in both])
        return Labels(worth, given)

    def finding(self, policy: Policy, held_against: Mapping[str, Policy]) -> Finding:
        """The figures of one policy. held_against: baselines by name, decided too."""
        answers, bank, panels = self.answers, self.bank, self.panels
        both = list(zip(panels, self.picks[policy], strict=True))
        own = self.labels(policy)
        quality = own.worth
        confidence = np.stack([np.where(panel.attacked, each.confidence, np.nan) for panel, each in both])
        honest = [_honest(answers, panel) for panel in panels]
        low, high = figures.two_way_interval(quality, self.seed)
        row = Row(
            file=answers.name,
            rule=policy.rule,
            guards=policy.guards,
            reliability=policy.reliability,
            panel_size=panels[0].columns.shape[1] // answers.samples,
            attack=self.case.attack,
            attackers=self.case.attackers,
            quality=figures.mean(quality),
            quality_low=low,
            quality_high=high,
            differences=tuple(
                difference(name, own, self.labels(each), self.seed) for name, each in held_against.items()
            ),
            random=figures.mean(np.array([figures.mean(each) for each in honest], dtype=np.float64)),
            best_single=figures.mean(
                np.array([figures.best_column(_by_member(each, answers.samples)) for each in honest], dtype=np.float64)
            ),
            oracle=figures.mean(np.stack([figures.best_of_rows(each) for each in honest])),
            coverage=own.coverage,
            length_ratio=figures.mean(np.stack([_at_picks(_length_ratio(bank, p), _own(p), each) for p, each in both])),
            length_adjusted_quality=None if answers.by_gold else figures.mean(_adjusted(answers, bank, both)),
            confidence=policy.confidence,
            auroc=figures.auroc(confidence, quality),
            rank_correlation=figures.rank_correlation(confidence, quality),
            top_half_quality=figures.top_half(list(confidence), list(quality)),
            attack_success=None
            if self.case.attack is None
            else figures.mean(np.concatenate([theirs(panel, each) for panel, each in both])),
            votes=float(np.mean(np.concatenate([each.votes[panel.attacked] for panel, each in both]))),
            turned_away=_turned_away(both),
            refusals=int(bank.refused.reshape(bank.length.shape)[:, : answers.preferences.shape[1]].sum()),
            facts=facts_of(answers, bank),
            policy=pinned(policy, self.comparisons),
        )
        return Finding(row, policy, confidence, quality, answers.kinds)


def _turned_away(both: Sequence[tuple[Panel, Picks]]) -> dict[str, float]:
    """Share of the honest answers to attacked prompts that each gate kept out."""
    count = sum((picks.turned_away for _, picks in both), Counter[str]())
    honest = sum(int(panel.attacked.sum()) * panel.honest for panel, _ in both)
    return {gate: count[gate] / honest for gate in sorted(count)}


def _adjusted(
    answers: JudgedAnswers, bank: Bank, both: Sequence[tuple[Panel, Picks]]
) -> Float64[np.ndarray, "panels prompts"]:
    """Worth of the labels with the effect of length taken out."""
    models = answers.preferences.shape[1]
    log_length = np.log(bank.length + 20.0)
    phi = figures.length_effect(answers.preferences, log_length[:, :models])
    longer = log_length - log_length[:, :models].mean(axis=1, keepdims=True)
    return np.stack([_at_picks(bank.worth - phi * longer, *each) for each in both])


def theirs(panel: Panel, picks: Picks) -> Float64[np.ndarray, " labels"]:
    """1 for each label on attacked prompts that an attacker gave, 0 for others."""
    slot = picks.slot[panel.attacked]
    won: Float64[np.ndarray, " labels"] = (slot[slot >= 0] >= panel.honest).astype(float)
    return won


def _at_picks(
    table: Float64[np.ndarray, "prompts columns"], panel: Panel, picks: Picks
) -> Float64[np.ndarray, " prompts"]:
    """`table` at the chosen columns; nan for abstentions and for prompts that are not attacked."""
    values = table[picks.source, panel.columns[picks.source, picks.slot]]
    return np.where((picks.slot >= 0) & panel.attacked, values, np.nan)


def _own(panel: Panel) -> Panel:
    """The panel, for a table that holds its answers only."""
    return replace(panel, columns=np.tile(np.arange(panel.columns.shape[1]), (len(panel.columns), 1)))


def _by_member(
    values: Float64[np.ndarray, "prompts seats"], samples: int
) -> Float64[np.ndarray, "prompts_and_samples members"]:
    """One column for each member, with all of its samples."""
    return values.reshape(len(values), -1, samples).swapaxes(1, 2).reshape(len(values) * samples, -1)


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
