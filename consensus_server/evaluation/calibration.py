"""Calibration on judged answers: what a confidence score is worth as a probability, and where to stop giving labels.

*Isotonic regression* of "the label is good" (worth more than .5) on the score. *Conformal risk control* (Angelopoulos
et al., arXiv 2208.02814) for the least score: the loss of a prompt is the share of panels in which it gets a bad label,
and the least score l is the smallest with n/(n+1) mean loss(l) + 1/(n+1) <= alpha. On prompts exchangeable with these n
the expected share of prompts with a bad label is then at most alpha; the score must not have been fitted to them, so it
is the raw one. Both are judged on prompts held out from the fit, in five folds.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float64, Int64
from sklearn.isotonic import IsotonicRegression

from consensus_server.core.consensus.confidence import calibrated
from consensus_server.core.consensus.records import Calibration
from consensus_server.evaluation.figures import GOOD
from consensus_server.evaluation.rows import Finding

FOLDS: Final = 5
BINS: Final = 10
STEP: Final = 0.01
"""Scores are gathered in steps of this before they are fitted: a policy carries at most a hundred points."""

Scores = Float64[np.ndarray, "panels prompts"]


class CalibrationError(ValueError):
    """These answers do not allow a calibration. The message says why."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A calibration, and how it does on prompts held out from its fit."""

    calibration: Calibration
    prompts: int
    ece_before: float
    """Expected calibration error of the score taken as a probability, over bins of equal numbers of labels."""
    ece_after: float
    risk_target: float | None
    coverage_target: float | None
    """One of both is what the least score was chosen by."""
    risk: float
    """Share of the held-out prompts with a bad label, at the least score of their fold."""
    risk_without: float
    """The same without a least score."""
    coverage: float
    """Share of the held-out prompts with a label."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Aim:
    """What the least score is chosen by: `coverage` where it is given, else `risk`."""

    risk: float
    coverage: float | None

    def least(self, score: Scores, good: Scores) -> float:
        return least_score(score, good, self.risk) if self.coverage is None else covering_score(score, self.coverage)


def calibrate(
    finding: Finding, *, risk: float = 0.1, coverage: float | None = None, seed: int, source: str | None = None
) -> Calibrated:
    """Fit to all prompts of a finding; the figures come from five folds over prompts.

    risk: alpha, 0..1. coverage: share of prompts that shall get a label, 0..1, instead of a bound on the risk. source: digest of the judged answers. Raises CalibrationError for fewer than 5 judged prompts, and
    where all labels are good or none is.
    """
    known = np.isfinite(finding.worth).any(axis=0)
    score, good = finding.confidence[:, known], _good(finding.worth[:, known])
    if score.shape[1] < FOLDS:
        raise CalibrationError(f"{score.shape[1]} prompts with a known worth are too few; {FOLDS} are needed at least.")
    if len(np.unique(good[np.isfinite(good)])) < 2:  # noqa: PLR2004 - good and bad
        raise CalibrationError("All labels are equally good; there is nothing to tell apart.")
    fold = np.random.default_rng([seed, score.shape[1]]).permutation(score.shape[1]) % FOLDS
    aim = _Aim(risk, coverage)
    parts = [_held_out(score, good, fold == number, aim) for number in range(FOLDS)]
    labelled = np.isfinite(score) & np.isfinite(good)
    estimated = np.full_like(score, np.nan)
    for number, part in enumerate(parts):
        estimated[:, fold == number] = part.estimated
    count = np.bincount(fold, minlength=FOLDS) / len(fold)
    return Calibrated(
        calibration=_fitted(score, good, finding.policy.confidence, aim, source),
        prompts=score.shape[1],
        ece_before=expected_error(score[labelled], good[labelled]),
        ece_after=expected_error(estimated[labelled], good[labelled]),
        risk_target=risk if coverage is None else None,
        coverage_target=coverage,
        risk=float(count @ [part.risk for part in parts]),
        risk_without=_risk(score, good, 0.0),
        coverage=float(count @ [part.coverage for part in parts]),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    estimated: Scores
    risk: float
    coverage: float


def _held_out(score: Scores, good: Scores, held: np.ndarray, aim: _Aim) -> _Part:
    """Fit without the held-out prompts, measure on them."""
    fit = _fitted(score[:, ~held], good[:, ~held], "", aim, None)
    scores = score[:, held]
    estimated = np.where(
        np.isfinite(scores), calibrated(np.nan_to_num(scores).ravel(), fit).reshape(scores.shape), np.nan
    )
    coverage = float((scores >= fit.least_score).mean())
    return _Part(estimated, _risk(scores, good[:, held], fit.least_score), coverage)


def _good(worth: Scores) -> Scores:
    """1 for a good label, 0 for another, nan where unknown or where there is none."""
    return np.where(np.isfinite(worth), (worth > GOOD).astype(float), np.nan)


def _fitted(score: Scores, good: Scores, method: str, aim: _Aim, source: str | None) -> Calibration:
    labelled = np.isfinite(score) & np.isfinite(good)
    steps = np.rint(score[labelled] / STEP) * STEP
    regression = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(steps, good[labelled])
    return Calibration(
        method=method,
        scores=tuple(np.round(regression.X_thresholds_, 6).tolist()),
        probabilities=tuple(np.round(regression.y_thresholds_, 6).tolist()),
        least_score=aim.least(score, good),
        source=source,
    )


def least_score(score: Scores, good: Scores, risk: float) -> float:
    """The smallest score from which labels may be given, on a grid of `STEP`; 1 where no smaller one holds the risk.

    Above 1 is not asked for: a label with the score 1 is always given.
    """
    prompts = score.shape[1]
    grid = np.round(np.arange(0, 1 + STEP / 2, STEP), 6)
    losses = np.array([_risk(score, good, least) for least in grid])
    kept = np.flatnonzero(prompts / (prompts + 1) * losses + 1 / (prompts + 1) <= risk)
    return float(grid[kept[0]]) if len(kept) else 1.0


def covering_score(score: Scores, coverage: float) -> float:
    """The largest score, on a grid of `STEP`, from which at least that share of the prompts and panels gets a label."""
    grid = np.round(np.arange(0, 1 + STEP / 2, STEP), 6)
    enough = np.array([(score >= least).mean() >= coverage for least in grid])
    return float(grid[enough].max(initial=0.0))


def _risk(score: Scores, good: Scores, least: float) -> float:
    """Mean over prompts of the share of panels in which a prompt gets a bad label, of those where it is known."""
    known = np.isfinite(good) | ~np.isfinite(score)  # a label that nobody judged is neither good nor bad
    bad = ((score >= least) & (good == 0)).sum(axis=0)
    return float((bad / np.maximum(known.sum(axis=0), 1)).mean())


def expected_error(probability: Float64[np.ndarray, " labels"], good: Float64[np.ndarray, " labels"]) -> float:
    """Expected calibration error: mean distance of estimated and found share of good labels, over bins of equal size."""
    order = np.argsort(probability, kind="stable")
    bins: Int64[np.ndarray, " labels"] = np.arange(len(order)) * BINS // len(order)
    sizes = np.maximum(np.bincount(bins), 1)
    gap = np.bincount(bins, weights=probability[order] - good[order]) / sizes
    return float((np.abs(gap) * sizes).sum() / len(order))
