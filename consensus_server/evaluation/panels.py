"""Panels: which models answer together, where attackers sit, and what policies make of their answers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.answers import Answers
from consensus_server.core.consensus.clustering import BlockedNeighbours, first_members
from consensus_server.core.consensus.confidence import Outcome, confidence_named, confidences
from consensus_server.core.consensus.decide import abstentions, outcome_of
from consensus_server.core.consensus.equivalence import Grouping
from consensus_server.core.consensus.measures import Measures
from consensus_server.core.consensus.pools import Policy
from consensus_server.core.consensus.rules import rule_named
from consensus_server.core.consensus.support import Verdict
from consensus_server.core.consensus.weighing import judge
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


@dataclass(frozen=True, slots=True)
class _Sitting:
    """The admitted answers of a panel as a table."""

    answers: Answers
    measured: Int64[np.ndarray, " answers"]
    """Row of each among the measures."""
    column: Int64[np.ndarray, " answers"]
    """Column of each in the bank."""


class _Session:
    """One panel, and what is known of it so far."""

    def __init__(self, bank: Bank, panel: Panel, policy: Policy, clusterer: str) -> None:
        self._bank = bank
        self._panel = panel
        self._policy = policy
        self._by_meaning = clusterer_named(clusterer)
        self._measured = cache(self._measure)
        self._judged = cache(self._judge)
        self._sitting = cache(self._sit)
        self._grouped = cache(self._group)

    def decided(self, policy: Policy) -> Picks:
        rule = rule_named(policy.rule)
        prompts = len(self._panel.columns)
        picks = Picks(np.full(prompts, -1), np.full(prompts, np.nan))
        verdict = self._judged(policy.guards, policy.reliability)
        if verdict is None:
            return picks
        sitting = self._sitting(policy.guards)
        counts = policy.guards or rule.round_wide
        votes = verdict.votes[sitting.measured] if counts else np.ones(len(sitting.measured))
        standing = verdict.standing.at(sitting.measured) if counts else None
        outcome = outcome_of(sitting.answers, self._grouped(policy.guards, rule.equivalence), votes, standing, policy)
        self._enter(picks, outcome, policy)
        return picks

    def _measure(self, guards: bool) -> tuple[Measures, Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]] | None:  # noqa: FBT001 - a key of the cache
        if guards:
            return self._bank.measures(self._panel.columns)
        found = self._measured(True)  # noqa: FBT003 - the same
        return found and (replace(found[0], cues=None), *found[1:])

    def _judge(self, guards: bool, reliability: bool) -> Verdict | None:  # noqa: FBT001 - the same
        measured = self._measured(guards)
        return (
            None
            if measured is None
            else judge(measured[0], reliability=reliability, length_penalty=self._policy.length_penalty)
        )

    def _sit(self, guards: bool) -> _Sitting:  # noqa: FBT001 - the same
        """Reliability comes after admission, so either verdict tells who is admitted."""
        measured, verdict = self._measured(guards), self._judged(guards, False)  # noqa: FBT003 - the same
        if measured is None or verdict is None:
            raise ValueError("Nobody answered.")
        _, prompt, slot = measured
        rows = np.flatnonzero(verdict.admitted)
        column = self._panel.columns[prompt[rows], slot[rows]]
        order = np.lexsort((slot[rows], self._bank.rank[prompt[rows], column], prompt[rows]))
        rows, column = rows[order], column[order]
        return _Sitting(self._bank.table(prompt[rows], column, slot[rows]), rows, column)

    def _group(self, guards: bool, instead: str | None) -> Grouping:  # noqa: FBT001 - the same
        """instead: how the rule groups where a prompt says `semantic`."""
        sitting = self._sitting(guards)
        answers, bank = sitting.answers, self._bank
        names = np.array([instead or each if each == "semantic" else each for each in bank.equivalences], dtype=object)
        wanted = names[answers.sources[answers.pool]]
        clusters = np.empty(len(wanted), dtype=np.int64)
        may_win = np.ones(len(wanted), dtype=bool)
        long = np.zeros(len(answers.prompt_ids), dtype=bool)
        for name in sorted(set(wanted.tolist())):
            here = wanted == name
            if name == "semantic":
                found = self._by_meaning(answers, self._policy, BlockedNeighbours())
                clusters[here], long = found.clusters[here], found.long & (names[answers.sources] == name)
                continue
            classes, has_key = bank.keyed[name]
            at = answers.sources[answers.pool[here]], sitting.column[here]
            # Copies may stand in several columns of one panel, and in the same one twice: a class is one cluster.
            clusters[here] = np.flatnonzero(here)[first_members(classes[at])]
            may_win[here] = has_key[at]
        return Grouping(clusters, may_win, long)

    def _enter(self, picks: Picks, outcome: Outcome, policy: Policy) -> None:
        """Write down what was chosen, in place."""
        answers = outcome.ballot.answers
        labelled = np.array([reason is None for reason in abstentions(outcome, policy)], dtype=bool)
        where = answers.sources[labelled]
        picks.slot[where] = answers.places[outcome.picks][labelled]
        picks.confidence[where] = confidences(outcome, confidence_named(policy.confidence))[labelled]
