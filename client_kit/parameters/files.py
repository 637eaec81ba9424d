"""Files of the parameter path: tensors and what is stated beside them, as safetensors. Never pickle."""

from typing import TYPE_CHECKING

from client_kit.errors import ConfigurationError, MissingExtra
from client_kit.wire import Dtype, ParameterPlan, StatedParameters
from client_kit.wire.parameters import METADATA_KEY, RANK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def write_update(tensors: "Mapping[str, Tensor]", plan: ParameterPlan, *, examples: int = 1) -> bytes:
    """The file of an update, with the tensors that the plan names and no others, in the plan's dtype.

    tensors: may hold more than the plan names: a frozen factor stays at home. examples: training examples behind the
    update. The rank is read off the tensors. Raises ConfigurationError where one is missing.
    """
    try:
        import torch  # noqa: PLC0415 - here and below: heavy, and of the extra `train`
        from safetensors.torch import save  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("exchanging parameters", "train") from error
    missing = [spec.name for spec in plan.tensors if spec.name not in tensors]
    if missing:
        raise ConfigurationError(
            f"the adapter has no tensor {missing[0]} ({len(missing)} of {len(plan.tensors)} are missing); "
            "make the plan from an adapter of the same settings"
        )
    dtype = {Dtype.F32: torch.float32, Dtype.F16: torch.float16, Dtype.BF16: torch.bfloat16}[plan.dtype]
    sent = {spec.name: tensors[spec.name].detach().cpu().to(dtype).contiguous() for spec in plan.tensors}
    stated = StatedParameters(base_model=plan.base_model, rank=rank_of(sent, plan), examples=examples)
    content: bytes = save(sent, metadata={METADATA_KEY: stated.model_dump_json()})
    return content


def read_file(content: bytes) -> "dict[str, Tensor]":
    """The tensors of a file, in float32."""
    from safetensors.torch import load  # noqa: PLC0415 - torch: heavy, and of the extra `train`

    return {name: tensor.float() for name, tensor in load(content).items()}


def rank_of(tensors: "Mapping[str, Tensor]", plan: ParameterPlan) -> int:
    """The extent that the plan calls `r`; 0 where no shape has one."""
    for spec in plan.tensors:
        if RANK in spec.shape:
            return int(tensors[spec.name].shape[spec.shape.index(RANK)])
    return 0
