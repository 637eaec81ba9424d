"""An adapter as named tensors, for federation and for other libraries; and adapter folders without their base model."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig
from torch import Tensor, nn

from client_kit.errors import TrainingError
from client_kit.training.reft.config import ReftConfig
from client_kit.training.reft.layer import ReftLayer
from client_kit.training.reft.orthonormal import orthonormal_rows

Tensors = dict[str, Tensor]
"""`layers.<block>.<group>.<tensor>` -> values. group: prefix, suffix or all. tensor: R (r, d) with orthonormal rows, or W2
(r, d) for variants without; W (r, d) where the variant has one; b (r,)."""

WEIGHTS_FILE = "adapter_model.safetensors"

_TOLERANCE = 1e-3
"""How far R R' of tensors that come from outside may be from I."""


def interventions(model: nn.Module, adapter: str = "default") -> Tensors:
    """The model's interventions by name, as float32 on the CPU: what a site may send.

    R is the effective matrix, orthonormal to 1e-6, whatever its raw form is. (R, W, b) and (QR, QW, Qb) are the same
    function for every orthogonal r x r matrix Q: whoever averages must not average the tensors themselves.
    """
    named: Tensors = {}
    for block, layer in _layers(model, adapter):
        named |= _named(layer.reft_config[adapter], block, _raw(layer, adapter))
    return named


def load_interventions(model: nn.Module, tensors: Mapping[str, Tensor], adapter: str = "default") -> None:
    """Put named tensors in place of the model's: all or, when one of them is wrong, none.

    The opposite of `interventions`; R's rows are made orthonormal to the last bit. Raises TrainingError for missing or
    further names, wrong shapes, numbers that are not finite, and an R that is not orthonormal within 1e-3.
    """
    layers = _layers(model, adapter)
    shapes = {name: value.shape for name, value in interventions(model, adapter).items()}
    _check(tensors, shapes)
    with torch.no_grad():
        for block, layer in layers:
            for key, value in _stacked(layer.reft_config[adapter], block, tensors).items():
                getattr(layer, f"reft_{key}")[adapter].copy_(value)


def read_adapter(folder: Path) -> tuple[ReftConfig, Tensors]:
    """Config and named tensors of an adapter folder, without its base model.

    Raises TrainingError where the folder holds no ReFT adapter.
    """
    config = _config(folder)
    raw = _blocks_of(_load(folder))
    named = [_named(config, block, values) for block, values in sorted(raw.items())]
    return config, {name: value for part in named for name, value in part.items()}


def write_adapter(folder: Path, tensors: Mapping[str, Tensor], like: Path) -> None:
    """Write a folder with the config of `like` and these tensors, which must be named and shaped as those of `like`.

    Everything else in `like`, as the tokenizer and a trained head, is copied. `folder` must not exist.
    """
    import shutil  # noqa: PLC0415

    from safetensors.torch import save_file  # noqa: PLC0415

    config, present = read_adapter(like)
    _check(tensors, {name: value.shape for name, value in present.items()})
    if folder.exists():
        raise TrainingError(f"{folder} is there already; remove it or choose another folder")
    saved = _load(like)
    for key in saved:
        if match := _KEY.search(key):
            saved[key] = _stacked(config, int(match[1]), tensors)[match[2]].contiguous()
    shutil.copytree(like, folder)
    save_file(saved, folder / WEIGHTS_FILE, metadata={"format": "pt"})


_KEY = re.compile(r"\.(\d+)\.reft_(up|W|b)$")


def _layers(model: nn.Module, adapter: str) -> list[tuple[int, ReftLayer]]:
    """Edited blocks by number."""
    found = [
        (int(name.rpartition(".")[2]), part)
        for name, part in model.named_modules()
        if isinstance(part, ReftLayer) and adapter in part.reft_up
    ]
    if not found:
        raise TrainingError(f"the model has no ReFT adapter {adapter}; load one, or name the one that it has")
    return found


def _raw(layer: ReftLayer, adapter: str) -> dict[str, Tensor]:
    names = ("up", "W", "b") if layer.reft_config[adapter].form.projects else ("up", "b")
    return {name: getattr(layer, f"reft_{name}")[adapter] for name in names}


def _named(config: ReftConfig, block: int, raw: Mapping[str, Tensor]) -> Tensors:
    """The named tensors of one block from its raw ones."""
    values = {name: value.detach().float().cpu() for name, value in raw.items()}
    if config.form.orthonormal:
        values["up"] = orthonormal_rows(values["up"])
    tensors = {"up": config.form.up, "W": "W", "b": "b"}
    return {
        f"layers.{block}.{group}.{tensors[name]}": value[place].clone()
        for place, group in enumerate(config.groups)
        for name, value in values.items()
    }


def _stacked(config: ReftConfig, block: int, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The raw tensors of one block from named ones."""
    names = {"up": config.form.up, "b": "b"} | ({"W": "W"} if config.form.projects else {})
    raw = {
        key: torch.stack([tensors[f"layers.{block}.{group}.{name}"].float() for group in config.groups])
        for key, name in names.items()
    }
    if config.form.orthonormal:
        raw["up"] = orthonormal_rows(raw["up"])
    return raw


def _check(tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> None:
    """Raises TrainingError for anything that is not what the adapter has."""
    for what, names in (("lack", shapes.keys() - tensors.keys()), ("have too many:", tensors.keys() - shapes.keys())):
        if names:
            raise TrainingError(f"the interventions {what} {min(names)}; they must be those of the same ReFT settings")
    for name, value in tensors.items():
        if value.shape != shapes[name]:
            raise TrainingError(f"{name} has shape {tuple(value.shape)}; it must have {tuple(shapes[name])}")
        if not bool(torch.isfinite(value).all()):
            raise TrainingError(f"{name} holds numbers that are not finite")
        if name.endswith(".R"):
            rows = value.double()
            error = float((rows @ rows.mT - torch.eye(len(rows), dtype=torch.float64)).abs().max())
            if error > _TOLERANCE:
                raise TrainingError(f"the rows of {name} are not orthonormal: R R' is {error:.2g} away from I")


def _config(folder: Path) -> ReftConfig:
    try:
        config = PeftConfig.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(f"{folder} holds no adapter that PEFT reads: {error}") from error
    if not isinstance(config, ReftConfig):
        raise TrainingError(f"{folder} holds an adapter of {config.peft_type}, not of ReFT")
    return config


def _load(folder: Path) -> Tensors:
    from safetensors.torch import load_file  # noqa: PLC0415

    file = folder / WEIGHTS_FILE
    if not file.is_file():
        raise TrainingError(f"{folder} has no {WEIGHTS_FILE}; save the adapter with save_pretrained")
    loaded: Tensors = load_file(file)
    return loaded


def _blocks_of(saved: Mapping[str, Any]) -> dict[int, dict[str, Tensor]]:
    """Raw tensors by block."""
    blocks: dict[int, dict[str, Tensor]] = {}
    for key, value in saved.items():
        if match := _KEY.search(key):
            blocks.setdefault(int(match[1]), {})[match[2]] = value
    return blocks
