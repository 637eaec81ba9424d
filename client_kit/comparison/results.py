"""What a comparison came to: one record per run, and what can be said over seeds."""

from collections.abc import Sequence
from math import sqrt
from statistics import mean, stdev

from pydantic import BaseModel, ConfigDict

from client_kit.comparison.arms import ARMS
from client_kit.comparison.plan import Cell, Plan

_TWO_SIDED, _ONE_SIDED = 0.975, 0.95
"""Probabilities below the upper end of a two-sided 95 % interval, and below a one-sided 95 % bound."""
_RECOVERED = 0.95
"""Share of the quality before a drift from which it counts as recovered."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Stage(_Record):
    """A participant's quality at one point: before any training, after private data, after each round."""

    name: str
    quality: dict[str, float]
    """By group of questions, 0..1: `private` (of its own distribution), `overall`, and more where the task has them."""


class ParticipantOutcome(_Record):
    """One participant of one run."""

    participant: str
    architecture: str
    stages: list[Stage]
    sent_bytes: list[int]
    """On the wire by round, headers included."""
    received_bytes: list[int]
    trainable: int
    """Numbers that training changes."""
    downloaded: dict[str, float] | None = None
    """Quality of what it was given back last, before it trained on; of methods that share parameters, where the plan asks."""


class LabelRound(_Record):
    """The pseudo-labels of one round."""

    labels: int
    right: int | None
    """None where the task does not know."""
    prompts: int


class CellResult(_Record):
    """One run."""

    cell: Cell
    participants: list[ParticipantOutcome]
    labels: list[LabelRound] = []
    mixing: list[list[float]] = []
    """Coefficients by round and participant, where adaptive."""
    wall_seconds: float
    cpu_seconds: float
    energy_joules: float | None = None
    """As codecarbon estimates it for this process; None where it is not installed."""

    def quality(self, group: str, stage: int = -1) -> float:
        """Mean over participants."""
        return mean(each.stages[stage].quality[group] for each in self.participants)

    def downloaded(self, group: str) -> float | None:
        """Mean over participants of the quality of what came back last; None where that was not judged."""
        found = [each.downloaded[group] for each in self.participants if each.downloaded is not None]
        return mean(found) if found else None

    def rounds_to_recover(self, after: int) -> int | None:
        """Rounds from facts being replaced after round `after` until `private` is back at 95 % of what it was; None: never."""
        wanted = _RECOVERED * self.quality("private", after)
        later = range(after + 1, len(self.participants[0].stages))
        return next((stage - after for stage in later if self.quality("private", stage) >= wanted), None)

    def total_bytes(self, direction: str) -> float:
        """Of a participant in all rounds, mean over participants; direction: `sent_bytes` or `received_bytes`."""
        return mean(float(sum(getattr(each, direction))) for each in self.participants)


class Interval(_Record):
    """Mean over seeds with its 95 % interval (Student's t); without one where there is a single seed."""

    mean: float
    low: float | None = None
    high: float | None = None


class PrimaryTest(_Record):
    """Whether consensus is not inferior to the best method that shares parameters, paired over seeds."""

    consensus: str
    best: str
    """The parameter method of highest quality on *validation* questions: test questions do not choose it."""
    margin: float
    difference: Interval
    """Consensus less the other, quality on private questions."""
    lower_bound: float | None
    """One-sided 95 %."""
    not_inferior: bool | None
    """Whether the bound lies above -margin; None with fewer than two seeds."""


def interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % interval of values of independent seeds."""
    centre, spread = mean(values), _half_width(values, _TWO_SIDED)
    return Interval(mean=centre) if spread is None else Interval(mean=centre, low=centre - spread, high=centre + spread)


def primary_test(plan: Plan, results: Sequence[CellResult]) -> PrimaryTest | None:
    """The primary test on the plan's own setting; None where either side is missing."""
    by_method = _by_method(results)
    consensus = next((name for name in ("consensus_mixed", "consensus") if name in by_method), None)
    rivals = [name for name, arm in ARMS.items() if arm.kind == "parameters" and name in by_method]
    if consensus is None or not rivals:
        return None
    best = max(rivals, key=lambda name: mean(run.quality("validation") for run in by_method[name].values()))
    ours, theirs = by_method[consensus], by_method[best]
    pairs = [
        ours[seed].quality("private") - theirs[seed].quality("private") for seed in sorted(ours.keys() & theirs.keys())
    ]
    spread = _half_width(pairs, _ONE_SIDED)
    bound = None if spread is None else mean(pairs) - spread
    return PrimaryTest(
        consensus=consensus,
        best=best,
        margin=plan.margin,
        difference=interval(pairs),
        lower_bound=bound,
        not_inferior=None if bound is None else bound > -plan.margin,
    )


def _by_method(results: Sequence[CellResult]) -> dict[str, dict[int, CellResult]]:
    found: dict[str, dict[int, CellResult]] = {}
    for result in results:
        if not result.cell.variant:
            found.setdefault(result.cell.method, {})[result.cell.seed] = result
    return found


def _half_width(values: Sequence[float], probability: float) -> float | None:
    """Student's t at this probability times the standard error of the mean; None for a single value."""
    from scipy.special import stdtrit  # noqa: PLC0415 - of the extra `server`

    if len(values) < 2:  # noqa: PLR2004 - one value has no spread
        return None
    return float(stdtrit(len(values) - 1, probability)) * stdev(values) / sqrt(len(values))
