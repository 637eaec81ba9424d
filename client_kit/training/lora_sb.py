"""LoRA-SB: a small square matrix is trained between two fixed factors (arXiv 2411.19557); Fed-SB shares it (2502.15436).

A module's change is B R A, with B (out x r) of orthonormal columns, A (r x in) of orthonormal rows, both fixed, and R
(r x r) trained; `lora_sb_start` makes B and A.

A folder holds an ordinary LoRA adapter (`lora_B` = B, `lora_A` = R A, scaling 1), which everything that reads LoRA can
answer with, and A beside it in `fixed_factors.safetensors`. Where that file lies, training moves R alone.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client_kit.errors import ConfigurationError, TrainingError

if TYPE_CHECKING:
    from torch import Tensor

FIXED_FILE = "fixed_factors.safetensors"
"""Of the folder: `MODULE.lora_A`, (r, in)."""

_WEIGHTS_FILE = "adapter_model.safetensors"
_PREFIX = "base_model.model."


def read_middle(folder: Path) -> "dict[str, Tensor]":
    """`MODULE.lora_R` (r, r) by name, in float32. Raises ConfigurationError for a folder of another kind."""
    from safetensors.torch import load_file  # noqa: PLC0415

    fixed, held = read_fixed(folder), load_file(folder / _WEIGHTS_FILE)
    return {f"{name}.lora_R": held[_key(name)].float() @ rows.T for name, rows in fixed.items()}


def write_middle(folder: Path, tensors: "Mapping[str, Tensor]", like: Path) -> Path:
    """A folder as `like` with these R in place of its own. `folder` must be new. Raises ConfigurationError."""
    import shutil  # noqa: PLC0415 - kept beside its one use

    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    fixed, held = read_fixed(like), load_file(like / _WEIGHTS_FILE)
    if tensors.keys() != {f"{name}.lora_R" for name in fixed}:
        raise ConfigurationError(f"these tensors are not those of the adapter in {like}; it is of other settings")
    changed = {_key(name): (tensors[f"{name}.lora_R"] @ rows).contiguous() for name, rows in fixed.items()}
    shutil.copytree(like, folder)
    save_file({**held, **changed}, folder / _WEIGHTS_FILE, metadata={"format": "pt"})
    return folder


def read_fixed(folder: Path) -> "dict[str, Tensor]":
    """The fixed A by module. Raises ConfigurationError where there is none."""
    from safetensors.torch import load_file  # noqa: PLC0415

    if not is_lora_sb(folder):
        raise ConfigurationError(f"{folder} has no {FIXED_FILE}; give the folder of a LoRA-SB adapter")
    return {name.removesuffix(".lora_A"): value for name, value in load_file(folder / FIXED_FILE).items()}


def write_fixed(folder: Path, fixed: "Mapping[str, Tensor]") -> None:
    """Write the fixed A of a folder, if there are any."""
    from safetensors.torch import save_file  # noqa: PLC0415

    if fixed:
        save_file({f"{name}.lora_A": value.contiguous() for name, value in fixed.items()}, folder / FIXED_FILE)


def is_lora_sb(folder: Path) -> bool:
    """Whether the folder holds such an adapter."""
    return (folder / FIXED_FILE).is_file()


def refuse(folder: Path, what: str) -> None:
    """Raises TrainingError where the folder holds such an adapter, which `what` cannot train."""
    if is_lora_sb(folder):
        raise TrainingError(f"{folder} holds a LoRA-SB adapter, which has no {what}; leave it out")


def attach(model: Any, folder: Path) -> Any:  # noqa: ANN401 - peft is untyped here
    """The loaded model with R as the only thing that is trained; as it is for adapters of other kinds."""
    if not is_lora_sb(folder):
        return model
    from torch.nn.utils.parametrize import register_parametrization  # noqa: PLC0415

    fixed = read_fixed(folder)
    for name, layer in layers(model):
        layer.lora_B["default"].weight.requires_grad = False
        register_parametrization(layer.lora_A["default"], "weight", _between(fixed[name]))
    return model


def fold(model: Any) -> "dict[str, Tensor]":  # noqa: ANN401 - peft is untyped here
    """Write R A into `lora_A` again, so that the model is an ordinary adapter; the fixed A, to be saved beside it."""
    from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations  # noqa: PLC0415

    fixed: dict[str, Tensor] = {}
    for name, layer in layers(model):
        if "default" not in layer.lora_A:
            continue  # an adapter of another name was loaded, which is none of ours
        if is_parametrized(factor := layer.lora_A["default"], "weight"):
            fixed[name] = factor.parametrizations.weight[0].rows.cpu()
            remove_parametrizations(factor, "weight")
    return fixed


def _between(rows: "Tensor") -> Any:  # noqa: ANN401 - a module of torch's
    """What makes lora_A's weight R A of a trained R."""
    from torch import Tensor, nn  # noqa: PLC0415

    class _Between(nn.Module):
        rows: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("rows", rows, persistent=False)

        def forward(self, middle: Tensor) -> Tensor:
            return middle @ self.rows

        def right_inverse(self, weight: Tensor) -> Tensor:
            return weight @ self.rows.T

    return _Between()


def layers(model: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - as above
    """Name, as in the base, and layer of every adapted module."""
    with suppress(ImportError):
        from peft.tuners.lora import LoraLayer  # noqa: PLC0415

        for name, layer in model.named_modules():
            if isinstance(layer, LoraLayer):
                yield name.removeprefix(_PREFIX), layer


def _key(name: str) -> str:
    return f"{_PREFIX}{name}.lora_A.weight"
