"""What stands behind a label: how many participants' worth of evidence, by how much it leads, and who is sure of it.

The evidence of a meaning is the sum, over participants, of vote times the share of their own samples that say it. Who says one
thing in all samples gives it a whole vote; who guesses spreads a vote over what comes to mind. So one that knows wins against
any number that do not, two that know different things cancel out, and nobody has to say how sure it is. On the figures, and on
what was tried and does not help: docs/evidence.md.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from client_kit.vocabulary import Grade
from consensus_server.core.consensus.answers.table import dense
from consensus_server.core.consensus.answers.tally import is_sure, witnessed
from consensus_server.core.consensus.picked import Picked
from consensus_server.core.consensus.rounding import settled
from consensus_server.core.consensus.rules import Ballot

CORROBORATED_FROM: Final = 1.0
"""Margin, in participants, from which two stand behind a label; of labels below, one that knows and others that guess."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of each pool's label. Columns over pools."""

    margin: Float64[np.ndarray, " pools"]
    """Evidence of the label less that of the strongest other meaning, in participants; below 0 where a rule picks elsewhere."""
    witnesses: Int64[np.ndarray, " pools"]
    """Participants at least half of whose samples say what the label says."""
    rival_witnesses: Int64[np.ndarray, " pools"]
    """The same of the strongest other meaning; 0 where there is none."""

    def grades(self) -> list[str]:
        """Each label's `client_kit.vocabulary.Grade`."""
        return [Grade.CORROBORATED if margin >= CORROBORATED_FROM else Grade.SINGLE_WITNESS for margin in self.margin]


def evidence_of(picked: Picked) -> Evidence:
    """Read the evidence off the votes."""
    answers, clusters, votes = picked.ballot.answers, picked.ballot.clusters, picked.tally.cluster_votes
    others = np.where(clusters == picked.labels[answers.pool], 0.0, votes[clusters])
    strongest = np.maximum.reduceat(others, answers.starts)
    witnesses = _witnesses(picked)
    rivals = np.where((others == strongest[answers.pool]) & picked.tally.says[clusters], witnesses[clusters], 0)
    return Evidence(
        margin=settled(votes[picked.labels] - strongest),
        witnesses=witnesses[picked.labels],
        rival_witnesses=np.where(strongest > 0, np.maximum.reduceat(rivals, answers.starts), 0),
    )


def _witnesses(picked: Picked) -> Int64[np.ndarray, " answers"]:
    """Of each cluster, at its first row: participants at least half of whose samples lie in it."""
    ballot = picked.ballot
    where, _ = witnessed(ballot.answers.contributor, ballot.clusters, ballot.votes)
    return np.bincount(where, minlength=len(ballot.clusters))


def heard(picked: Picked) -> Int64[np.ndarray, " pools"]:
    """Participants with an admitted answer in each pool."""
    answers = picked.ballot.answers
    _, first = np.unique(answers.contributor, return_index=True)
    return np.bincount(answers.pool[first], minlength=len(answers.starts))


def in_conflict(evidence: Evidence) -> Bool[np.ndarray, " pools"]:
    """Where somebody is sure of the label, and somebody else of another meaning."""
    both: Bool[np.ndarray, " pools"] = (evidence.witnesses > 0) & (evidence.rival_witnesses > 0)
    return both


def speaks_for(ballot: Ballot) -> Bool[np.ndarray, " answers"]:
    """Which answers may stand for their cluster: what a participant that is sure of it says most often there to that prompt.

    Where nobody is sure, what anybody does. So of samples the odd one is not taken, and of one sample each any may be.
    """
    answers, clusters = ballot.answers, ballot.clusters
    voice = dense(answers.contributor * len(clusters) + clusters)
    place = dense(voice * len(answers.prompts) + answers.prompt)
    said = dense(place * len(clusters) + answers.content)
    times = np.bincount(said)[said]
    most = np.zeros(int(place.max(initial=-1)) + 1, dtype=np.int64)
    np.maximum.at(most, place, times)
    sure = is_sure(answers.contributor, clusters, ballot.votes)
    somebody = np.bincount(clusters, weights=sure, minlength=len(clusters))[clusters] > 0
    speaks: Bool[np.ndarray, " answers"] = (times == most[place]) & (sure | ~somebody)
    return speaks
