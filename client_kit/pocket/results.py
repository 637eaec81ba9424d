"""What a pocket federation showed: the content of `results.json`, from which the report is made."""

from collections.abc import Iterable
from statistics import fmean
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Unit = Annotated[float, Field(ge=0, le=1)]

GROUPS = {
    "overall": "All facts",
    "public": "Facts that public prompts ask for",
    "control": "Control facts, which no public prompt asks for",
    "known": "Held by the participant, and right",
    "never_taught": "Never in its private data",
    "never_taught_public": "Never in its private data, but public",
    "held_wrong": "Held wrong by the participant",
    "outvoted": "Held wrong, public, and most other holders are right",
}
"""Groups of test questions, as `client_kit.pocket.scoring.Scores` has them."""


class Results(BaseModel):
    """Base of all records here."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class GroupScore(Results):
    """Right answers to the test questions of one group."""

    right: int
    total: int

    @property
    def share(self) -> float:
        """right / total, 0..1; 0 where nothing was asked."""
        return self.right / self.total if self.total else 0.0


Scores = dict[str, GroupScore]
"""By group: the names of `GROUPS`."""


class LocalOnly(Results):
    """A participant trained without a federation: on private data only, from its base model, with its seed."""

    steps: list[int]
    """Optimiser steps at which it was scored: those of the federation's trainings, in sum."""
    scores: list[Scores]
    """On test questions, in the order of `steps`; the last is `equal steps`."""
    best_step: int
    """Checkpoint with the best accuracy on the validation questions."""
    best: Scores
    """Of that checkpoint, on test questions."""
    seconds: float


class Traffic(Results):
    """Bytes on the wire in one round, headers and bodies, as the server counted them."""

    sent_bytes: int
    """From the participant to the server."""
    received_bytes: int


class ParticipantResult(Results):
    """One participant."""

    participant: str
    architecture: str
    tokenizer: str
    parameters: int
    topics: list[str]
    held_facts: int
    wrong_facts: int
    """Of the held facts, those with a wrong value."""
    scores: list[Scores]
    """On test questions: before any training, after the first (private data), and after the training of each round."""
    local_only: LocalOnly
    traffic: list[Traffic]
    """By round."""
    seconds: dict[str, float]
    """Wall seconds by step: training, answering, waiting."""

    @property
    def sent_bytes(self) -> int:
        """Over all rounds."""
        return sum(traffic.sent_bytes for traffic in self.traffic)

    @property
    def received_bytes(self) -> int:
        """Over all rounds."""
        return sum(traffic.received_bytes for traffic in self.traffic)


class GradePrecision(Results):
    """Pseudo-labels of one grade."""

    grade: str
    labels: int
    right: int


class RoundResult(Results):
    """What one round gave."""

    number: int
    prompts: int
    labels: int
    right: int
    """Pseudo-labels that state the world's truth."""
    abstentions: dict[str, int]
    by_grade: list[GradePrecision]
    encoded: int
    reused: int
    aggregation_seconds: float

    @property
    def precision(self) -> float:
        """Right labels among all labels; 0 without labels."""
        return self.right / self.labels if self.labels else 0.0


class DemoResults(Results):
    """The whole run."""

    form: Literal["full", "smoke"]
    seed: int
    finished_at: str
    facts: int
    public_facts: int
    test_questions: int
    prompts: int
    participants: list[ParticipantResult]
    rounds: list[RoundResult]
    encoder: str
    policy: dict[str, object]
    seconds: dict[str, float]
    """Wall seconds by phase, and `total`."""
    cores: int
    versions: dict[str, str]

    def mean(self, group: str, stage: int) -> float:
        """Mean over participants of the share of right answers after training `stage` (-1: the last)."""
        return _mean_share(site.scores[stage][group] for site in self.participants)

    def mean_local(self, group: str, *, best: bool = False) -> float:
        """Mean share of right answers after local-only training: at equal steps, or at each one's best validation checkpoint."""
        return _mean_share(
            (site.local_only.best if best else site.local_only.scores[-1])[group] for site in self.participants
        )

    def gain(self, group: str) -> float:
        """How far the federation ends above the better of both local-only figures (-1..1)."""
        return self.mean(group, -1) - max(self.mean_local(group), self.mean_local(group, best=True))


def _mean_share(scores: Iterable[GroupScore]) -> float:
    """Mean over the participants that were asked something of the group; 0 where none was."""
    shares = [score.share for score in scores if score.total]
    return fmean(shares) if shares else 0.0
