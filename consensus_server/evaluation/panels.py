"""Panels: which models answer together, where attackers sit, and what policies make of their answers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.abstaining import abstentions
from consensus_server.core.consensus.answers.table import Answers
from consensus_server.core.consensus.confidence import confidence_named, confidences
from consensus_server.core.consensus.decide import pick
from consensus_server.core.consensus.meaning.equivalences import Grouping, KeyClasses, classes_of, group
from consensus_server.core.consensus.meaning.linkage import BlockedNeighbours
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.consensus.round.judging import Verdict, judge, judge_alone
from consensus_server.core.consensus.rules import rule_named
from consensus_server.evaluation.bank import Bank
from consensus_server.evaluation.clusterers import DEFAULT, clusterer_named


@dataclass(frozen=True, slots=True)
class Panel:
    """The answers of one panel."""

    columns: Int64[np.ndarray, "prompts size"]
    """Column of the bank in which each member's answer stands."""
    honest: int
    """Members that are no attackers; they come first."""
    attacked: Bool[np.ndarray, " prompts"]
    """Prompts on which the attackers attack."""


@dataclass(frozen=True, slots=True)
class Picks:
    """What a policy chose for a panel."""

    slot: Int64[np.ndarray, " prompts"]
    """Member whose answer was chosen; -1 for an abstention."""
    confidence: Float64[np.ndarray, " prompts"]
    """Of the label, 0..1; nan for an abstention."""


def draw_panel(models: int, size: int, seed: int, number: int) -> Int64[np.ndarray, " size"]:
    """Members of panel `number`: default_rng([seed, size, number]).choice over the sorted models, without replacement."""
    return np.random.default_rng([seed, size, number]).choice(models, size, replace=False).astype(np.int64)


def decide_panel(bank: Bank, panel: Panel, policies: Sequence[Policy], clusterer: str = DEFAULT) -> list[Picks]:
    """Decide every prompt of the bank under each policy, by the code that decides rounds.

    What policies have in common is done once: measuring, judging, grouping. Policies differ in rule, guards, reliability
    and abstention, and in nothing else. clusterer: how answers of one meaning are found, for ablations; the default is what
    decides rounds. Raises UnknownClusterer.
    """
    session = _Session(bank, panel, policies[0], clusterer)
    return [session.decided(policy) for policy in policies]


class _Session:
    """One panel, and what is known of it so far."""

    def __init__(self, bank: Bank, panel: Panel, policy: Policy, clusterer: str) -> None:
        self._bank, self._policy = bank, policy
        self._meanings = clusterer_named(clusterer)
        self._prompts = len(panel.columns)
        answers, row = bank.rows(panel.columns)
        self._measures, usable = bank.measures(answers, row, policy)
        self._answers, self._row = answers.at(usable), row[usable]
        self._known = EarlierRounds().of(answers.names)
        self._verdict = cache(self._judge)
        self._grouped: dict[tuple[bool, str | None], tuple[Int64[np.ndarray, " some"], Answers, Grouping]] = {}

    def decided(self, policy: Policy) -> Picks:
        rule = rule_named(policy.rule)
        picks = Picks(np.full(self._prompts, -1), np.full(self._prompts, np.nan))
        verdict = self._verdict(policy.guards or rule.round_wide, policy.guards, policy.reliability)
        if not verdict.admitted.any():
            return picks
        key = policy.guards, rule.equivalence
        if key not in self._grouped:
            self._grouped[key] = self._group(np.flatnonzero(verdict.admitted), rule.equivalence)
        rows, answers, grouping = self._grouped[key]
        picked = pick(answers, grouping, verdict.votes[rows], verdict.standing.at(rows), policy)
        labelled = np.array([reason is None for reason in abstentions(picked, policy)], dtype=bool)
        where = answers.sources[labelled]
        picks.slot[where] = answers.places[picked.picks][labelled]
        picks.confidence[where] = confidences(picked, confidence_named(policy.confidence))[labelled]
        return picks

    def _judge(self, wide: bool, guards: bool, reliability: bool) -> Verdict:  # noqa: FBT001 - keys of the cache
        """wide: whether gates or the rule read the round."""
        if not wide:
            return judge_alone(self._answers)
        measures = self._measures if guards else replace(self._measures, for_gates=None)
        return judge(measures, replace(self._policy, reliability=reliability), self._known)

    def _group(
        self, rows: Int64[np.ndarray, " some"], instead: str | None
    ) -> tuple[Int64[np.ndarray, " some"], Answers, Grouping]:
        """Admitted rows, their table, and what means the same in it. instead: how the rule groups where a prompt says `semantic`."""
        answers, at = self._answers.at(rows), self._row[rows]

        def keys(answers: Answers, some: Int64[np.ndarray, " some"], name: str) -> KeyClasses:
            held = self._bank.keys[name]
            return classes_of(answers.at(some), [held[row] for row in at[some].tolist()])

        grouping = group(
            answers, self._policy, BlockedNeighbours(), instead=instead, meanings=self._meanings, keys=keys
        )
        return rows, answers, grouping
