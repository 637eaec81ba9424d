"""Plans of the parameter path, made from an adapter's tensors."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from client_kit.errors import ConfigurationError
from client_kit.wire import Dtype, ParameterPlan, TensorSpec
from client_kit.wire.parameters import RANK

if TYPE_CHECKING:
    from torch import Tensor

RANK_AXES: Final[Mapping[str, tuple[int, ...]]] = {
    "lora_A": (0,), "lora_B": (1,), "lora_R": (0, 1), "R": (0,), "W": (0,), "W2": (0,), "b": (0,),
}  # fmt: skip
"""Axes along which a part grows with the rank. Other parts have none."""

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "fedit": ("lora_A", "lora_B"),
    "flora": ("lora_A", "lora_B"),
    "het_lora": ("lora_A", "lora_B"),
    "ffa_lora": ("lora_B",),
    "fedsa_lora": ("lora_A",),
    "fed_sb": ("lora_R",),
    "fedreft": ("R", "W", "W2", "b"),
    "fedreft_mean": ("R", "W", "W2", "b"),
    "fedreft_fedavg": ("R", "W", "W2", "b"),
    "fedreft_raw": ("R", "W", "W2", "b"),
}
"""Parts that travel, by method; `fedavg` sends everything."""


def make_plan(
    tensors: "Mapping[str, Tensor]",
    method: str,
    base_model: str,
    *,
    scaling: float = 1.0,
    max_rank: int | None = None,
    by_examples: bool = False,
    dtype: Dtype = Dtype.F32,
    intervention: str = "loreft",
) -> ParameterPlan:
    """What a federation of this method exchanges, read off one participant's tensors.

    tensors: by name, `SITE.PART`. base_model: as `base_digest` gives it. scaling: alpha / r of LoRA. max_rank: where
    participants have different ranks; None: that of these tensors. Raises ConfigurationError where nothing would
    travel.
    """
    parts = PARTS.get(method)
    chosen = {name: value for name, value in tensors.items() if parts is None or _part(name) in parts}
    if not chosen:
        raise ConfigurationError(f"{method} exchanges {', '.join(parts or ())}; the adapter has none of them")
    specs = [_spec(name, tuple(value.shape), ranked=parts is not None) for name, value in sorted(chosen.items())]
    ranks = [value.shape[RANK_AXES[_part(name)][0]] for name, value in chosen.items()] if parts is not None else [0]
    return ParameterPlan(
        method=method,
        base_model=base_model,
        tensors=specs,
        max_rank=max_rank or max(ranks),
        scaling=scaling,
        by_examples=by_examples,
        dtype=dtype,
        intervention=intervention,
    )


def base_digest(folder: Path) -> str:
    """SHA-256 over a model folder's weights: the name of a frozen base model. Raises ConfigurationError without any."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ConfigurationError(f"{folder} has no *.safetensors; give the folder of a saved model")
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _part(name: str) -> str:
    return name.rpartition(".")[2]


def _spec(name: str, shape: tuple[int, ...], *, ranked: bool) -> TensorSpec:
    axes = RANK_AXES.get(_part(name), ()) if ranked else ()
    return TensorSpec(name=name, shape=[RANK if axis in axes else extent for axis, extent in enumerate(shape)])
