"""Pools in two dimensions by UMAP (extra `umap`)."""

import numpy as np
from jaxtyping import Float32, Float64

LEAST_ANSWERS = 5
"""With fewer UMAP has no neighbourhoods to keep."""


class ProjectionError(RuntimeError):
    """The library is not installed; the message names the extra."""


def umap_plane(vectors: Float32[np.ndarray, "answers dimension"]) -> Float64[np.ndarray, "answers 2"]:
    """Coordinates by UMAP on cosine distance, seeded, so that one machine gives one map.

    Raises ProjectionError without the extra, and ValueError for fewer than five answers.
    """
    if len(vectors) < LEAST_ANSWERS:
        raise ValueError(
            f"UMAP needs at least {LEAST_ANSWERS} answers with a vector; here are {len(vectors)}. Use pca."
        )
    try:
        from umap import UMAP  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise ProjectionError(
            "A map by UMAP needs an optional extra: pip install 'semantic-consensus[umap]'. Or use pca."
        ) from None
    neighbours = min(15, len(vectors) - 1)
    reducer = UMAP(n_neighbors=neighbours, metric="cosine", init="random", random_state=0, n_jobs=1)
    points: Float64[np.ndarray, "answers 2"] = np.round(reducer.fit_transform(vectors).astype(np.float64), 4)
    return points
