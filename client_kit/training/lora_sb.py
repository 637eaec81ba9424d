"""LoRA-SB: a small square matrix is trained between two fixed factors (arXiv 2411.19557); Fed-SB shares it (2502.15436).

A module's change is B R A, with B (out x r) of orthonormal columns, A (r x in) of orthonormal rows, both fixed, and R
(r x r) trained. B and A span the first step of full fine-tuning: `first_gradients`, then `begin`.

A folder holds an ordinary LoRA adapter (`lora_B` = B, `lora_A` = R A, scaling 1), which everything that reads LoRA can
answer with, and A beside it in `fixed_factors.safetensors`. Where that file lies, training moves R alone:
`client_kit.training.models`, which loads and saves models, calls `check`, `attach` and `fold`.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client_kit.errors import ConfigurationError, TrainingError
from client_kit.settings import DpoSettings, DpSettings, TrainingSettings
from client_kit.training.base import Example
from client_kit.training.measuring import batch, encode_all, example_losses, pad_id

if TYPE_CHECKING:
    from torch import Tensor

FIXED_FILE = "fixed_factors.safetensors"
"""Of the folder: `MODULE.lora_A`, (r, in)."""

_WEIGHTS_FILE = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_BATCH = 32


def first_gradients(base: Path, examples: Sequence[Example], *, max_length: int | None = 1024) -> "dict[str, Tensor]":
    """Gradient of the mean loss on the examples' completions, by linear module, each (out, in).

    Of participants that begin together these are added up (ours): what the sum tells of their data is not bounded.
    """
    from transformers import AutoTokenizer  # noqa: PLC0415 - heavy

    model, tokenizer = _wrapped(base, rank=1), AutoTokenizer.from_pretrained(base)
    adapted = dict(layers(model))
    model.requires_grad_(requires_grad=False)
    for layer in adapted.values():
        layer.base_layer.weight.requires_grad = True
    tokens = encode_all(tokenizer, examples, max_length)
    for start in range(0, len(tokens), _BATCH):
        losses = example_losses(model, batch(tokens[start : start + _BATCH], pad_id(tokenizer), model.device))
        (losses.sum() / len(tokens)).backward()  # type: ignore[no-untyped-call]  # torch's own
    return {name: _as_out_in(layer, layer.base_layer.weight.grad) for name, layer in adapted.items()}


def begin(
    base: Path, gradients: "Mapping[str, Tensor]", output: Path, *, rank: int, learning_rate: float
) -> "dict[str, Tensor]":
    """Write a new adapter with its tokenizer to `output`; the fixed A by module, as they stand in the folder.

    B and A are the singular vectors of -learning_rate * sign(gradient), AdamW's first step; R begins as its singular
    values, so that B R A is that step at rank r.

    gradients: by linear module, as `first_gradients` gives them. Raises ConfigurationError where the rank is larger than
    a matrix.
    """
    import torch  # noqa: PLC0415
    from transformers import AutoTokenizer  # noqa: PLC0415

    model = _wrapped(base, rank)
    fixed: dict[str, Tensor] = {}
    for name, layer in layers(model):
        step = -learning_rate * gradients[name].sign()
        if rank > min(step.shape):
            raise ConfigurationError(f"rank {rank} is more than {name} has, which is {tuple(step.shape)}; lower it")
        left, sizes, right = torch.linalg.svd(step, full_matrices=False)
        fixed[name] = right[:rank].contiguous()
        layer.lora_B["default"].weight.data = left[:, :rank].contiguous()
        layer.lora_A["default"].weight.data = sizes[:rank, None] * right[:rank]
    model.save_pretrained(output)
    AutoTokenizer.from_pretrained(base).save_pretrained(output)
    write_fixed(output, fixed)
    return fixed


def read_middle(folder: Path) -> "dict[str, Tensor]":
    """`MODULE.lora_R` (r, r) by name, in float32. Raises ConfigurationError for a folder of another kind."""
    from safetensors.torch import load_file  # noqa: PLC0415

    fixed, held = read_fixed(folder), load_file(folder / _WEIGHTS_FILE)
    return {f"{name}.lora_R": held[_key(name)].float() @ rows.T for name, rows in fixed.items()}


def write_middle(folder: Path, tensors: "Mapping[str, Tensor]", like: Path) -> Path:
    """A folder as `like` with these R in place of its own. `folder` must be new. Raises ConfigurationError."""
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


def check(folder: Path, settings: TrainingSettings) -> None:
    """Raises TrainingError where the folder holds such an adapter, and the settings ask for what it has not."""
    if not is_lora_sb(folder):
        return
    if isinstance(settings, DpSettings):
        lacking = "training with record-level privacy"
    elif isinstance(settings, DpoSettings):
        lacking = "training on preferences"
    elif settings.checkpoint_steps is None and getattr(settings, "evaluate_steps", None) is None:
        return
    else:
        lacking = "checkpoints to go on from"
    raise TrainingError(f"{folder} holds a LoRA-SB adapter, which has no {lacking}; leave it out")


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
    """Write R A into `lora_A` again, so that the model is an ordinary adapter; the fixed A, for `write_fixed`."""
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


def _wrapped(base: Path, rank: int) -> Any:  # noqa: ANN401 - peft is untyped here
    """The base with a LoRA adapter on all linear modules that changes nothing yet."""
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    config = LoraConfig(r=rank, lora_alpha=rank, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)


def _as_out_in(layer: Any, gradient: "Tensor") -> "Tensor":  # noqa: ANN401 - as above
    """GPT-2's linear modules keep their weights the other way round."""
    return gradient.T if getattr(layer, "fan_in_fan_out", False) else gradient
