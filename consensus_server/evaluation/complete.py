"""Files with gaps: which models and prompts to leave out so that every model that stays answered every prompt that stays.

To keep the most answers of all is hard (the largest biclique). Here models leave one by one, each time the one without
which most prompts are answered by all that stay; of those steps the one that keeps most answers is taken. Equal files give
equal tables: ties go to the model with fewer answers, then to the last by name.
"""

import numpy as np
from jaxtyping import Bool


def complete_part(
    given: Bool[np.ndarray, "prompts models"], least_models: int
) -> tuple[Bool[np.ndarray, " prompts"], Bool[np.ndarray, " models"]]:
    """Which prompts and models stay. given: where there is an answer. least_models: that many models stay at least."""
    stays = np.ones(given.shape[1], dtype=bool)
    best = stays.copy()
    while stays.sum() > least_models:
        stays = _without_worst(given, stays)
        if _answers(given, stays) > _answers(given, best):
            best = stays.copy()
    prompts: Bool[np.ndarray, " prompts"] = np.asarray(given[:, best].all(axis=1))
    return prompts, best


def _answers(given: Bool[np.ndarray, "prompts models"], models: Bool[np.ndarray, " models"]) -> int:
    """Answers of a table of these models and the prompts that all of them answered."""
    return int(given[:, models].all(axis=1).sum() * models.sum())


def _without_worst(
    given: Bool[np.ndarray, "prompts models"], models: Bool[np.ndarray, " models"]
) -> Bool[np.ndarray, " models"]:
    """The models less the one without which most prompts are complete."""
    missing = (~given[:, models]).sum(axis=1)
    alone = missing[:, None] == (~given).astype(np.int64)
    complete = np.where(models, alone.sum(axis=0), -1)
    order = np.lexsort((-np.arange(len(models)), given.sum(axis=0), -complete))
    left = models.copy()
    left[order[0]] = False
    return left
