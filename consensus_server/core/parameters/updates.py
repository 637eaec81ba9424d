"""What participants send on the parameter path: named tensors, and the plan that says which ones may come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

Tensors = Mapping[str, np.ndarray]
"""Arrays of float64 by name. On the wire they have the plan's dtype."""

RANK: Final = "r"
"""Stands in a shape for the rank of the update."""

Extent = int | Literal["r"]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor that an update must have."""

    name: str
    """`SITE.PART`, where the site is a layer or module and the part is `R`, `W`, `b`, `lora_A`, `lora_B`, ..."""
    shape: tuple[Extent, ...]
    """`r` stands for the update's rank."""

    @property
    def site(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def part(self) -> str:
        return self.name.rpartition(".")[2]

    def extents(self, rank: int) -> tuple[int, ...]:
        return tuple(rank if extent == RANK else int(extent) for extent in self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterPlan:
    """What a federation exchanges beside answers, or instead of them. Pinned with its terms."""

    method: str
    base_model: str
    """SHA-256 that names the frozen base model; updates of another one are refused."""
    tensors: tuple[TensorSpec, ...]
    intervention: str = "loreft"
    """Sort of intervention of the `fedreft` methods: `loreft`, `noreft` or `direft`."""
    max_rank: int = 0
    """Largest rank of an update; 0 where no shape depends on one."""
    scaling: float = 1.0
    """What a product of low-rank factors is multiplied by (alpha / r), the same for all. 1 for other tensors."""
    by_examples: bool = False
    """Whether a participant counts by the number of its examples; else all count the same."""
    dtype: str = "F32"
    """`F32`, `F16` or `BF16`, of what travels in both directions."""
    max_bytes: int = 64 * 1024 * 1024
    """Largest file of one update."""

    def sites(self) -> tuple[str, ...]:
        """In the order of their names."""
        return tuple(sorted({spec.site for spec in self.tensors}))


@dataclass(frozen=True, slots=True)
class Update:
    """What one participant sent in a round."""

    participant: str
    tensors: Tensors
    rank: int = 0
    examples: int = 1
    """Training examples behind it."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What goes back."""

    common: Tensors
    """For everybody who has nothing of its own below, such as a participant that sent nothing in this round."""
    personal: Mapping[str, Tensors] = field(default_factory=dict)
    """By participant."""


def shares(updates: Sequence[Update], plan: ParameterPlan) -> np.ndarray:
    """How much each update counts; positive, summing to 1."""
    counts = np.array([update.examples if plan.by_examples else 1 for update in updates], dtype=np.float64)
    parts: np.ndarray = counts / counts.sum()
    return parts
