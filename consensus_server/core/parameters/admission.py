"""Which plans a federation may pin, and which updates a round takes. All faults are found before anything is kept."""

from collections.abc import Iterator, Mapping

import numpy as np

from consensus_server.core.errors import Fault, ParametersRefused, ValidationFailed
from consensus_server.core.parameters.interventions import KINDS
from consensus_server.core.parameters.methods import METHODS
from consensus_server.core.parameters.updates import RANK, Extent, ParameterPlan, Update

MAX_RANK = 4_096
MATRIX = 2
"""Dimensions of a matrix."""
DTYPES = ("BF16", "F16", "F32")
LARGEST = 1e6
"""No adapter that works holds larger numbers; beyond them sums of squares lose the honest ones' digits."""


def check_plan(plan: ParameterPlan) -> None:
    """Raise ValidationFailed for a plan by which nothing could be exchanged."""
    faults = list(_plan_faults(plan))
    if faults:
        raise ValidationFailed("; ".join(f"{fault.where}: {fault.message}" for fault in faults[:3]), faults)


def _plan_faults(plan: ParameterPlan) -> Iterator[Fault]:
    if plan.method not in METHODS:
        yield Fault("parameters.method", f"there is no {plan.method!r}; known are {', '.join(sorted(METHODS))}.")
        return
    if plan.intervention not in KINDS:
        yield Fault(
            "parameters.intervention", f"there is no {plan.intervention!r}; known are {', '.join(sorted(KINDS))}."
        )
        return
    if plan.dtype not in DTYPES:
        yield Fault("parameters.dtype", f"{plan.dtype!r} is none of {', '.join(DTYPES)}.")
    if not plan.tensors:
        yield Fault("parameters.tensors", "the plan names no tensor.")
    if len({spec.name for spec in plan.tensors}) < len(plan.tensors):
        yield Fault("parameters.tensors", "two tensors have the same name.")
    ranked = any(RANK in spec.shape for spec in plan.tensors)
    if ranked != (1 <= plan.max_rank <= MAX_RANK):
        yield Fault(
            "parameters.max_rank", f"is {plan.max_rank}; 1 to {MAX_RANK} where a shape has the rank 'r' in it, else 0."
        )
    if not (np.isfinite(plan.scaling) and plan.scaling > 0):
        yield Fault("parameters.scaling", "must be a positive number.")
    yield from _part_faults(plan)


def _part_faults(plan: ParameterPlan) -> Iterator[Fault]:
    """Every site needs the parts that the method's arithmetic reads, in shapes that fit one another."""
    parts = METHODS[plan.method].parts
    if parts is None:
        return
    if "W" in parts:
        parts = frozenset({KINDS[plan.intervention].left, "W", "b"})
    for site in plan.sites():
        have = {spec.part: spec.shape for spec in plan.tensors if spec.site == site}
        if set(have) != parts:
            yield Fault(
                "parameters.tensors", f"{site or '(no site)'} has {sorted(have)}; {plan.method} needs {sorted(parts)}."
            )
        elif not _fit(have):
            yield Fault("parameters.tensors", f"the shapes at {site} do not fit one another: {have}.")


def _fit(shapes: Mapping[str, tuple[Extent, ...]]) -> bool:
    left = shapes.get("R", shapes.get("W2"))
    if left is not None:
        return len(left) == MATRIX and left[0] == RANK and shapes["W"] == left and shapes["b"] == (RANK,)
    if "lora_R" in shapes:
        return shapes["lora_R"] == (RANK, RANK)
    a, b = shapes.get("lora_A", (RANK, 0)), shapes.get("lora_B", (0, RANK))
    return len(a) == len(b) == MATRIX and a[0] == RANK and b[1] == RANK


def check_update(update: Update, base_model: str, plan: ParameterPlan) -> None:
    """Raise ParametersRefused for an update that does not follow the plan; up to `MAX_FAULTS` faults are named.

    base_model: digest that the sender states for its frozen base model.
    """
    faults = list(_update_faults(update, base_model, plan))
    if faults:
        raise ParametersRefused(
            f"The update does not follow the federation's plan: {faults[0].where}: {faults[0].message}", faults
        )


def _update_faults(update: Update, base_model: str, plan: ParameterPlan) -> Iterator[Fault]:
    if base_model != plan.base_model:
        yield Fault(
            "base_model", f"is {base_model[:12]}..., the federation's is {plan.base_model[:12]}...; train that one."
        )
    if not 0 < update.examples < 2**53:
        yield Fault("examples", f"is {update.examples}; a positive number of training examples.")
    ranked = plan.max_rank > 0
    lowest = 1 if METHODS[plan.method].mixed_ranks else plan.max_rank
    if ranked and not lowest <= update.rank <= plan.max_rank:
        wanted = f"{lowest} to {plan.max_rank}" if lowest < plan.max_rank else f"{plan.max_rank}, the same for all,"
        yield Fault("rank", f"is {update.rank}; {wanted} is taken.")
        return
    expected = {spec.name: spec.extents(update.rank) for spec in plan.tensors}
    for name in sorted(expected.keys() - update.tensors.keys()):
        yield Fault(f"tensor {name}", "is missing.")
    for name in sorted(update.tensors.keys() - expected.keys()):
        yield Fault(f"tensor {name[:80]}", "is not in the federation's plan.")
    for name in sorted(expected.keys() & update.tensors.keys()):
        yield from _tensor_faults(name, update.tensors[name], expected[name])
    yield from _orthonormality_faults(update, plan)


def _tensor_faults(name: str, array: np.ndarray, shape: tuple[int, ...]) -> Iterator[Fault]:
    if array.shape != shape:
        yield Fault(f"tensor {name}", f"has the shape {list(array.shape)}; the plan says {list(shape)}.")
    elif not np.isfinite(array).all():
        yield Fault(f"tensor {name}", "holds NaN or infinity; the training that made it went wrong.")
    elif np.abs(array).max(initial=0.0) > LARGEST:
        yield Fault(f"tensor {name}", f"holds numbers beyond {LARGEST:.0e}; the training that made it went wrong.")


def _orthonormality_faults(update: Update, plan: ParameterPlan) -> Iterator[Fault]:
    """LoReFT's R: a participant whose R is no rotation would be read as another edit than the one it means."""
    slack = {"F32": 1e-3, "F16": 2e-2, "BF16": 1e-1}[plan.dtype]
    for spec in plan.tensors:
        array = update.tensors.get(spec.name)
        if (
            spec.part != "R"
            or array is None
            or array.shape != spec.extents(update.rank)
            or not np.isfinite(array).all()
        ):
            continue
        if (gap := float(np.abs(array @ array.T - np.eye(len(array))).max())) > slack:
            yield Fault(
                f"tensor {spec.name}", f"has rows that are not orthonormal (off by {gap:.2g}); send the effective R."
            )
