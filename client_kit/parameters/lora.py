"""LoRA adapter folders (PEFT's) as named tensors, and what comes back written into folders again."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from client_kit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"

_PREFIX, _SUFFIX = "base_model.model.", ".weight"


def read_lora(folder: Path) -> "dict[str, Tensor]":
    """`MODULE.lora_A` (r, in) and `MODULE.lora_B` (out, r) by name, in float32. Raises ConfigurationError."""
    from safetensors.torch import load_file  # noqa: PLC0415 - torch: heavy, and of the extra `train`

    file = folder / WEIGHTS_FILE
    if not file.is_file():
        raise ConfigurationError(f"{folder} has no {WEIGHTS_FILE}; give the folder of a saved LoRA adapter")
    tensors = {_name(key): value.float() for key, value in load_file(file).items() if ".lora_" in key}
    if not tensors:
        raise ConfigurationError(f"{folder} holds an adapter without LoRA factors")
    return tensors


def scaling_of(folder: Path) -> float:
    """What B A is multiplied by: alpha / r."""
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    return float(config["lora_alpha"]) / float(config["r"])


def write_lora(folder: Path, tensors: "Mapping[str, Tensor]", like: Path) -> Path:
    """A folder as `like` with these tensors in place of its own; what is not named stays. `folder` must be new.

    Where the tensors have another rank than those of `like`, the folder has it too, with the same scaling.
    """
    from safetensors.torch import load_file, save_file  # noqa: PLC0415 (as above)

    held = load_file(like / WEIGHTS_FILE)
    unknown = set(tensors) - {_name(key) for key in held}
    if unknown:
        raise ConfigurationError(f"the adapter in {like} has no {min(unknown)}; it is of other settings")
    scaling = scaling_of(like)
    _copy(like, folder)
    ranks = {value.shape[0] for name, value in tensors.items() if name.endswith(".lora_A")}
    for rank in ranks:
        _configure(folder, r=rank, lora_alpha=scaling * rank)
    changed = {key: tensors.get(_name(key), value).contiguous() for key, value in held.items()}
    save_file(changed, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    return folder


def merge_into_base(base: Path, stacked: "Mapping[str, Tensor]", like: Path, output: Path) -> Path:
    """The base with B A of each module added, as a model folder of its own: FLoRA's step after each round.

    stacked: the download, whose scaling is 1 and whose rank is the sum of all participants'. like: an adapter folder
    of the same modules.
    """
    from peft import PeftModel  # noqa: PLC0415 (as above)
    from safetensors.torch import save_file  # noqa: PLC0415 (as above)
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 (as above)

    rank = next(value.shape[0] for name, value in stacked.items() if name.endswith(".lora_A"))
    wide = output.with_name(f".{output.name}.stacked")
    shutil.rmtree(wide, ignore_errors=True)
    _copy(like, wide)
    _configure(wide, r=rank, lora_alpha=rank, rank_pattern={}, alpha_pattern={})
    save_file({_PREFIX + name + _SUFFIX: value.contiguous() for name, value in stacked.items()}, wide / WEIGHTS_FILE)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), wide)
    model.merge_and_unload().save_pretrained(output)
    AutoTokenizer.from_pretrained(base).save_pretrained(output)
    shutil.rmtree(wide)
    return output


def _name(key: str) -> str:
    return key.removeprefix(_PREFIX).removesuffix(_SUFFIX)


def _configure(folder: Path, **changes: object) -> None:
    file = folder / CONFIG_FILE
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def _copy(like: Path, folder: Path) -> None:
    if folder.exists():
        raise ConfigurationError(f"{folder} is there already; remove it or choose another folder")
    shutil.copytree(like, folder)
