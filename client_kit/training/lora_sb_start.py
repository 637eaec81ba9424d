"""Where LoRA-SB begins (arXiv 2411.19557): fixed factors that span the first step of full fine-tuning.

They are the singular vectors of -learning_rate * sign(gradient), AdamW's first step; R begins as its singular values, so
that B R A is that step at rank r.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client_kit.errors import ConfigurationError
from client_kit.training.base import Example
from client_kit.training.loading import load_tokenizer
from client_kit.training.lora_sb import layers, write_fixed

if TYPE_CHECKING:
    from torch import Tensor

_BATCH = 32


def first_gradients(base: Path, examples: Sequence[Example], *, max_length: int | None = 1024) -> "dict[str, Tensor]":
    """Gradient of the mean loss on the examples' completions, by linear module, each (out, in).

    Of participants that begin together these are added up (ours): what the sum tells of their data is not bounded.
    """
    from client_kit.training.measuring import batch, encode_all, example_losses, pad_id  # noqa: PLC0415 - here and below: reaches torch

    model, tokenizer = _wrapped(base, rank=1), load_tokenizer(base)
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


def _wrapped(base: Path, rank: int) -> Any:  # noqa: ANN401 - peft is untyped here
    """The base with a LoRA adapter on all linear modules that changes nothing yet."""
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    config = LoraConfig(r=rank, lora_alpha=rank, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)


def _as_out_in(layer: Any, gradient: "Tensor") -> "Tensor":  # noqa: ANN401 - as above
    """GPT-2's linear modules keep their weights the other way round."""
    return gradient.T if getattr(layer, "fan_in_fan_out", False) else gradient
