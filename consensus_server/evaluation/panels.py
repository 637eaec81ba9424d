"""Panels: which models answer together, where attackers sit, and what policies make of their answers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, cached_property

import numpy as np
from jaxtyping import Float64, Int64

from consensus_server.core.consensus.abstaining import abstentions
from consensus_server.core.consensus.answers.table import Answers
from consensus_server.core.consensus.confidence import calibrated, confidence_named, confidences
from consensus_server.core.consensus.contested import most_confidence
from consensus_server.core.consensus.decide import pick
from consensus_server.core.consensus.meaning.equivalences import Grouping, group
from consensus_server.core.consensus.meaning.linkage import BlockedNeighbours
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.consensus.round.judging import Verdict, judge, judge_alone
from consensus_server.core.consensus.round.measures import Measures
from consensus_server.core.consensus.rules import rule_named
from consensus_server.evaluation.bank import Bank
from consensus_server.evaluation.clusterers import DEFAULT, clusterer_named
from consensus_server.evaluation.records import Panel, Picks, nothing_picked


def draw_panel(models: int, size: int, seed: int, number: int) -> Int64[np.ndarray, " size"]:
    """Members of panel `number`: default_rng([seed, size, number]).choice over the sorted models, without replacement."""
    return np.random.default_rng([seed, size, number]).choice(models, size, replace=False).astype(np.int64)


def decide_panel(bank: Bank, panel: Panel, policies: Sequence[Policy], clusterer: str = DEFAULT) -> list[Picks]:
    """Decide every prompt of the bank under each policy, by the code that decides rounds.

    What policies have in common is done once: measuring, judging, grouping. Contradictions are those that the bank was made
    with, whatever a policy says. clusterer: how answers of one meaning are found, for ablations; the default is what decides
    rounds. Raises UnknownClusterer.
    """
    if bank.round is not None:
        clusterer_named(clusterer)
        return [bank.round.decided(panel, policy) for policy in policies]
    sessions: dict[tuple[float, ...], _Session] = {}
    for policy in policies:
        if _read_before(policy) not in sessions:
            sessions[_read_before(policy)] = _Session(bank, panel, policy, clusterer)
    return [sessions[_read_before(policy)].decided(policy) for policy in policies]


def _read_before(policy: Policy) -> tuple[float, ...]:
    """The fields that measuring, judging and grouping read, beside those that a session tells apart itself."""
    return policy.distance_short, policy.distance_long, policy.short_chars, policy.length_penalty


class _Session:
    """One panel, and what is known of it so far."""

    def __init__(self, bank: Bank, panel: Panel, policy: Policy, clusterer: str) -> None:
        self._bank, self._panel, self._policy = bank, panel, policy
        self._meanings = clusterer_named(clusterer)
        self._prompts = len(panel.columns)
        self._given, self._rows = bank.rows(panel.columns)
        self._known = EarlierRounds().of(self._given.names)
        self._verdict = cache(self._judge)
        self._grouped: dict[tuple[bool, str | None], tuple[Int64[np.ndarray, " some"], Answers, Grouping]] = {}

    def decided(self, policy: Policy) -> Picks:
        rule = rule_named(policy.rule)
        verdict = self._verdict(policy.guards or rule.round_wide, policy.guards, policy.reliability)
        picks = nothing_picked(self._prompts)
        picks.votes[:] = self._votes(verdict)
        picks.turned_away.update(self._turned_away(verdict))
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
        scores = confidences(picked, confidence_named(policy.confidence))
        if policy.calibration is not None:
            scores = np.minimum(calibrated(scores, policy.calibration), most_confidence(picked))
        picks.confidence[where] = scores[labelled]
        return picks

    @cached_property
    def _measured(self) -> tuple[Measures, Answers, Int64[np.ndarray, " usable"]]:
        """Measures of the usable answers, these, and their rows in the bank."""
        measures, usable = self._bank.measures(self._given, self._rows, self._policy)
        return measures, self._given.at(usable), self._rows[usable]

    def _votes(self, verdict: Verdict) -> Float64[np.ndarray, " prompts"]:
        _, answers, _ = self._measured
        votes = np.where(verdict.admitted, verdict.votes, 0.0)
        summed: Float64[np.ndarray, " prompts"] = np.bincount(
            answers.sources[answers.pool], weights=votes, minlength=self._prompts
        )
        return summed

    def _turned_away(self, verdict: Verdict) -> Counter[str]:
        """Honest answers to attacked prompts by the gate that kept them out."""
        _, answers, _ = self._measured
        panel, names = self._panel, len(self._bank.names)
        counted = panel.attacked[:, None] & (np.arange(panel.columns.shape[1]) < panel.honest)
        prompts, slots = np.nonzero(counted)
        before = (self._bank.unusable.get(row) for row in (prompts * names + panel.columns[prompts, slots]).tolist())
        late = (
            rejection.gate
            for row, rejection in verdict.rejections.items()
            if counted[answers.sources[answers.pool[row]], answers.places[row]]
        )
        return Counter(gate for gate in (*before, *late) if gate is not None)

    def _judge(self, wide: bool, guards: bool, reliability: bool) -> Verdict:  # noqa: FBT001 - keys of the cache
        """wide: whether gates or the rule read the round."""
        measured, answers, _ = self._measured
        if not wide:
            return judge_alone(answers)
        measures = measured if guards else replace(measured, for_gates=None)
        return judge(measures, replace(self._policy, reliability=reliability), self._known)

    def _group(
        self, rows: Int64[np.ndarray, " some"], instead: str | None
    ) -> tuple[Int64[np.ndarray, " some"], Answers, Grouping]:
        """Admitted rows, their table, and what means the same in it. instead: how the rule groups where a prompt says `semantic`."""
        _, usable, row = self._measured
        answers, at = usable.at(rows), row[rows]

        grouping = group(
            answers,
            self._policy,
            BlockedNeighbours(),
            instead=instead,
            meanings=self._meanings,
            keys=self._bank.keys_of(at),
        )
        return rows, answers, grouping
