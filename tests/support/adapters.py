"""Plans and updates of small random adapters."""

import numpy as np

from consensus_server.core.parameters import ParameterPlan, TensorSpec, Update

BASE = "b" * 64
WIDTH, OUT = 12, 7


def lora_plan(method="fedit", parts=("lora_A", "lora_B"), **changes):
    shapes = {"lora_A": ("r", WIDTH), "lora_B": (OUT, "r"), "lora_R": ("r", "r")}
    tensors = tuple(TensorSpec(f"{site}.{part}", shapes[part]) for site in ("0.q", "1.v") for part in parts)
    return ParameterPlan(
        **{"method": method, "base_model": BASE, "tensors": tensors, "max_rank": 4, "scaling": 2.0, **changes}
    )


def reft_plan(method="fedreft", left="R", sites=("0.prefix", "1.prefix"), **changes):
    tensors = tuple(
        TensorSpec(f"{site}.{part}", ("r",) if part == "b" else ("r", WIDTH))
        for site in sites
        for part in (left, "W", "b")
    )
    return ParameterPlan(**{"method": method, "base_model": BASE, "tensors": tensors, "max_rank": 4, **changes})


def orthonormal(rng, rank, width=WIDTH):
    return np.linalg.qr(rng.normal(size=(width, rank)))[0].T


def update(plan, name, *, seed=0, rank=None, examples=1, scale=1.0):
    rng = np.random.default_rng([seed, *name.encode()])
    rank = plan.max_rank if rank is None else rank
    tensors = {
        spec.name: orthonormal(rng, rank) if spec.part == "R" else scale * rng.normal(size=spec.extents(rank))
        for spec in plan.tensors
    }
    return Update(name, tensors, rank=rank, examples=examples)


def updates(plan, count, **options):
    return [update(plan, f"p{i}", **options) for i in range(count)]


def product(tensors, site):
    return tensors[f"{site}.lora_B"] @ tensors[f"{site}.lora_A"]


def edit(tensors, site, hidden):
    """What LoReFT does to hidden states (rows), written as in the paper: h + R'(W h + b - R h)."""
    r, w, b = (tensors[f"{site}.{part}"] for part in ("R", "W", "b"))
    return hidden + (hidden @ w.T + b - hidden @ r.T) @ r


def affine(tensors, site, left="R", *, subtracts=True):
    """The map itself, written out: d x (d + 1)."""
    rows, w, b = (tensors[f"{site}.{part}"] for part in (left, "W", "b"))
    return rows.T @ np.column_stack([w - rows if subtracts else w, b])
