"""The parameter path: adapters as safetensors, beside the answers of a round or instead of them."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from client_kit.wire.base import Request, WireModel
from client_kit.wire.limits import Digest, Matching, Name

MAX_PARAMETER_BYTES = 64 * 1024 * 1024
"""Largest file of one update that a server takes unless its operator allows more."""

MAX_COUNT = 2**31 - 1
"""Largest rank, and largest number of examples, of an update: what every database holds."""

METADATA_KEY = "semantic_consensus"
"""Key of a file's metadata under which the JSON of `StatedParameters` stands."""

RANK = "r"
"""Stands in a shape for the rank of an update."""

TensorName = Annotated[
    str,
    Matching(
        r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$",
        "have letters of the English alphabet, digits, '_', '.' and '-' only, not begin with '.' or '-', and have 1 to 255 "
        "characters",
    ),
]
"""`SITE.PART`, such as `3.prefix.R` or `layers.0.q_proj.lora_A`."""


class Dtype(StrEnum):
    """How numbers travel."""

    F32 = "F32"
    F16 = "F16"
    BF16 = "BF16"


class TensorSpec(Request):
    """One tensor that every update has."""

    name: TensorName
    shape: Annotated[list[Annotated[int, Field(ge=1, le=2**31)] | Literal["r"]], Field(min_length=1, max_length=8)]
    """`r` stands for the rank of the update."""


class ParameterPlan(Request):
    """What a federation exchanges on the parameter path. `client_kit.parameters` makes one from a model."""

    method: str
    """`fedavg`, `fedit`, `ffa_lora`, `fedsa_lora`, `fed_sb`, `flora`, `het_lora`, `fedreft`, `fedreft_mean`,
    `fedreft_fedavg` or `fedreft_raw`."""
    base_model: Digest
    """Digest of the frozen base model. Updates of another one are refused: their numbers mean something else."""
    tensors: Annotated[list[TensorSpec], Field(min_length=1, max_length=20_000)]
    intervention: str = "loreft"
    """`loreft`, `noreft` or `direft`; for the `fedreft` methods."""
    max_rank: Annotated[int, Field(ge=0)] = 0
    """Largest rank of an update; the rank of all where the method cannot mix them. 0 where no shape has an `r`."""
    scaling: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """alpha / r of LoRA, the same for all participants."""
    by_examples: bool = False
    """Whether a participant counts by the number of its training examples; else all count the same."""
    dtype: Dtype = Dtype.F32
    max_bytes: Annotated[int, Field(ge=1)] = MAX_PARAMETER_BYTES
    """Largest file of one update."""


class StatedParameters(WireModel):
    """What a file says of itself beside its tensors."""

    base_model: Digest
    rank: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    examples: Annotated[int, Field(ge=1, le=MAX_COUNT)] = 1
    """Training examples behind an update."""


class ParameterReceipt(WireModel):
    """What the server holds of a participant's update."""

    digest: Digest
    """SHA-256 of the file."""
    bytes: int
    rank: int
    examples: int
    unchanged: bool
    """True where this file was stored already."""


class UpdateCard(WireModel):
    """One update that was aggregated."""

    participant: Name
    digest: Digest
    bytes: int
    rank: int
    examples: int


class ParameterCard(WireModel):
    """What was made of a round's updates."""

    method: str
    base_model: Digest
    updates: list[UpdateCard]
