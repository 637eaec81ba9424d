"""Figures of labels: quality with its interval, adjusted for length, and how far confidence foretells it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

RESAMPLES = 1000
GOOD = 0.5
"""A label is good where its preference is above this."""


def mean(values: Float64[np.ndarray, "..."]) -> float | None:
    """Mean of what is known; None where nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def best_column(values: Float64[np.ndarray, "prompts columns"]) -> float | None:
    """The highest mean of a column, over what is known in it; None where nothing is."""
    means = [mean(column) for column in values.T]
    return max((each for each in means if each is not None), default=None)


def best_of_rows(values: Float64[np.ndarray, "prompts columns"]) -> Float64[np.ndarray, " prompts"]:
    """The best that is known of each row; nan where nothing is."""
    best: Float64[np.ndarray, " prompts"] = np.fmax.reduce(values, axis=1)
    return best


def two_way_interval(values: Float64[np.ndarray, "panels prompts"], seed: int) -> tuple[float | None, float | None]:
    """95 % interval of the mean when both panels and prompts are drawn again, each with replacement."""
    known = np.isfinite(values)
    if not known.any():
        return None, None
    rng = np.random.default_rng([seed, *values.shape])
    panels, prompts = (rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float) for n in values.shape)
    total = ((panels @ np.where(known, values, 0)) * prompts).sum(axis=1)
    count = ((panels @ known.astype(float)) * prompts).sum(axis=1)
    low, high = np.quantile(total[count > 0] / count[count > 0], [0.025, 0.975])
    return float(low), float(high)


def length_effect(
    preferences: Float64[np.ndarray, "prompts models"], x: Float64[np.ndarray, "prompts models"]
) -> float:
    """phi: slope of preference on x = log(length + 20), after the means of models and of prompts are removed from both."""
    known = np.isfinite(preferences)
    y, x = (_without_means(values, known) for values in (preferences, x))
    square = (x[known] ** 2).sum()
    return float((x[known] * y[known]).sum() / square) if square > 0 else 0.0


def _without_means(
    values: Float64[np.ndarray, "prompts models"], known: np.ndarray
) -> Float64[np.ndarray, "prompts models"]:
    rest = np.where(known, values, 0.0)
    for _ in range(20):  # alternating projections: gaps in the table make one pass inexact
        rest -= np.where(known, rest.sum(1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), 1), 0)
        rest -= np.where(known, rest.sum(0, keepdims=True) / np.maximum(known.sum(0, keepdims=True), 1), 0)
    return rest


def auroc(confidence: Float64[np.ndarray, "..."], quality: Float64[np.ndarray, "..."]) -> float | None:
    """Chance that a good label has more confidence than another; None where all are good or none is."""
    known = np.isfinite(confidence) & np.isfinite(quality)
    good = quality[known] > GOOD
    return float(roc_auc_score(good, confidence[known])) if good.any() and not good.all() else None


def rank_correlation(confidence: Float64[np.ndarray, "..."], quality: Float64[np.ndarray, "..."]) -> float | None:
    """Spearman's rank correlation of confidence and worth, -1..1, for graded worth too; None where either never varies."""
    known = np.isfinite(confidence) & np.isfinite(quality)
    if len(np.unique(confidence[known])) < 2 or len(np.unique(quality[known])) < 2:  # noqa: PLR2004 - to vary
        return None
    return float(spearmanr(confidence[known], quality[known]).statistic)


def _surest_first(
    confidence: Float64[np.ndarray, " labels"], quality: Float64[np.ndarray, " labels"]
) -> Float64[np.ndarray, " labels"]:
    """Quality where both are known, the surest first; labels of one confidence share their mean.

    Among equals no order is better than another, and that of the file must not matter.
    """
    known = np.isfinite(confidence) & np.isfinite(quality)
    _, group = np.unique(-confidence[known], return_inverse=True)
    means: Float64[np.ndarray, " groups"] = np.bincount(group, weights=quality[known]) / np.bincount(group)
    return means[np.sort(group)]


def top_half(
    confidence: Sequence[Float64[np.ndarray, " prompts"]], quality: Sequence[Float64[np.ndarray, " prompts"]]
) -> float | None:
    """Mean quality of the more confident half of each panel's labels."""
    ordered = [_surest_first(sure, good) for sure, good in zip(confidence, quality, strict=True)]
    return mean(np.concatenate([each[: (len(each) + 1) // 2] for each in ordered]))


def risk_coverage(
    confidence: Float64[np.ndarray, "..."], quality: Float64[np.ndarray, "..."], points: int = 20
) -> list[tuple[float, float]]:
    """Mean quality of the labels above a threshold of confidence, as (coverage, quality), from few labels to all.

    Labels are pooled over panels. The curve needs judged answers to be drawn; to read it, it needs none.
    """
    ordered = _surest_first(confidence.ravel(), quality.ravel())
    if not len(ordered):
        return []
    means = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    ends = np.unique(np.maximum(1, np.rint(np.linspace(0, 1, points + 1)[1:] * len(ordered)).astype(np.int64)))
    return [(float(end / len(ordered)), float(means[end - 1])) for end in ends.tolist()]
