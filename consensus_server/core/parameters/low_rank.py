"""FedAvg and its kin for LoRA. A module's change is scaling * B A, with A (r x in) and B (out x r).

What is exact and what is not stands beside each; `tests/unit/parameters` shows it. None works across architectures.
"""

from collections.abc import Sequence

import numpy as np

from consensus_server.core.parameters.updates import Aggregate, ParameterPlan, Tensors, Update, shares

A, B = "lora_A", "lora_B"


def mean_of_tensors(updates: Sequence[Update], plan: ParameterPlan) -> Aggregate:
    """The weighted mean of every tensor.

    FedAvg (McMahan et al., arXiv 1602.05629) for whole models. FedIT (arXiv 2305.05644) where the tensors are A and B:
    then *not* exact, since mean(B) mean(A) is not mean(B A); it misses mean((B - mean B)(A - mean A)). FFA-LoRA (arXiv
    2403.12313) where only B travels and A is frozen, the same for all: exact. FedSA-LoRA (arXiv 2410.01463) where only A
    travels and B stays at home. Fed-SB (arXiv 2502.15436) where A and B are fixed and a small matrix between them
    travels: exact. For interventions written as tensors it is the naive baseline: rotations of the same edit cancel.
    """
    weights = shares(updates, plan)
    return Aggregate({spec.name: _mean([u.tensors[spec.name] for u in updates], weights) for spec in plan.tensors})


def stacked(updates: Sequence[Update], plan: ParameterPlan) -> Aggregate:
    """FLoRA (arXiv 2409.05976): factors side by side, so that B A is the weighted mean of the products, exactly.

    Ranks may differ; the download has the sum of them. Each A is multiplied by the participant's share and the
    scaling, so what comes back is added to the base with scaling 1, and training begins anew from there.
    """
    weights = shares(updates, plan)
    tensors: dict[str, np.ndarray] = {}
    for site in plan.sites():
        parts = [
            (u.tensors[f"{site}.{A}"] * (w * plan.scaling), u.tensors[f"{site}.{B}"])
            for u, w in zip(updates, weights, strict=True)
        ]
        tensors[f"{site}.{A}"] = np.vstack([a for a, _ in parts])
        tensors[f"{site}.{B}"] = np.hstack([b for _, b in parts])
    return Aggregate(tensors)


def padded(updates: Sequence[Update], plan: ParameterPlan) -> Aggregate:
    """HetLoRA (arXiv 2401.06432): padded with zeros to the largest rank, weighted by |B A|, cut to each one's rank.

    Not exact, as FedIT is not. The norm decides who counts; rank self-pruning, the paper's other half, is the
    participant's business. Where all products are zero, all count the same.
    """
    widest = max(update.rank for update in updates)
    norms = np.array([_product_norm(update, plan) for update in updates])
    weights = norms / norms.sum() if norms.sum() > 0 else np.full(len(updates), 1 / len(updates))
    common = {
        spec.name: _mean([_resized(u.tensors[spec.name], spec.extents(widest)) for u in updates], weights)
        for spec in plan.tensors
    }
    personal = {u.participant: _cut(common, plan, u.rank) for u in updates if u.rank < widest}
    return Aggregate(common, personal)


def _mean(arrays: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Added in the order of the participants' names."""
    total = np.zeros_like(arrays[0])
    for array, weight in zip(arrays, weights.tolist(), strict=True):
        total = total + weight * array
    return total


def _product_norm(update: Update, plan: ParameterPlan) -> float:
    """Frobenius norm of all products B A together, from r x r matrices."""
    square = 0.0
    for site in plan.sites():
        a, b = update.tensors[f"{site}.{A}"], update.tensors[f"{site}.{B}"]
        square += float(((b.T @ b) * (a @ a.T)).sum())
    return float(np.sqrt(max(square, 0.0)))


def _resized(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Padded with zeros at the end of each dimension."""
    return np.pad(array, [(0, wanted - have) for wanted, have in zip(shape, array.shape, strict=True)])


def _cut(tensors: Tensors, plan: ParameterPlan, rank: int) -> Tensors:
    return {spec.name: tensors[spec.name][tuple(map(slice, spec.extents(rank)))] for spec in plan.tensors}
