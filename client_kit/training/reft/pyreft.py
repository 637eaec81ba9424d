"""Adapters trained with pyreft: the folder that its `ReftModel.save` writes, as a model with our adapter."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from client_kit.errors import TrainingError
from client_kit.training.reft.config import ReftConfig
from client_kit.training.reft.interventions import load_interventions

VARIANT_OF = {
    "LoreftIntervention": "loreft",
    "LoreftIntervention_IdentityInit": "loreft",
    "NoreftIntervention": "noreft",
    "NodireftIntervention": "direft",
    "DireftIntervention": "direft_orth",
    "ConsreftIntervention": "consreft",
    "LobireftIntervention": "lobireft",
}

_FILE = re.compile(r"intkey_(?P<component>.+)[._]unit[._].*#(?P<number>\d+)\.bin")
_BLOCK = re.compile(r"layer[._](\d+)[._]comp[._]block_output|comp[._].*(?:layers|layer|h)\[(\d+)\][._]output")


def from_pyreft(folder: Path, base: Any, *, positions: str, activation: str = "identity") -> Any:  # noqa: ANN401 - peft's
    """`base` with the adapter that pyreft saved in `folder`, as a PeftModel; save_pretrained() makes it a PEFT folder.

    pyreft's files hold neither the positions (`f2+l2`) nor the activation that it was trained with: say them. Two
    interventions per block are read as prefix and suffix, one as tied. Pickles are read as tensors only. Raises
    TrainingError for what is no pyreft adapter of edited block outputs.
    """
    from peft import get_peft_model  # noqa: PLC0415 - heavy

    variant, found = _variant(folder), _interventions(folder)
    numbers = sorted({number for _, number in found})
    blocks = sorted({block for block, _ in found})
    if set(found) != {(block, number) for block in blocks for number in numbers} or len(numbers) > 2:  # noqa: PLR2004
        raise TrainingError(f"{folder} has not one or two interventions for each of the blocks {blocks}")
    tensors = {key: _tensors(state, variant, activation) for key, state in found.items()}
    config = ReftConfig(
        rank=len(next(iter(tensors.values()))["b"]), variant=variant, layers=blocks, positions=positions,
        tied=len(numbers) == 1, activation=activation, task_type="CAUSAL_LM",
    )  # fmt: skip
    if len(config.groups) != len(numbers):
        raise TrainingError(f"{folder} has {len(numbers)} interventions per block, positions {positions} have one")
    model = get_peft_model(base, config)
    named = {
        f"layers.{block}.{config.groups[numbers.index(number)]}.{name}": value
        for (block, number), values in tensors.items()
        for name, value in values.items()
    }
    load_interventions(model, named)
    return model


def _variant(folder: Path) -> str:
    try:
        types = set(json.loads((folder / "config.json").read_text(encoding="utf-8"))["intervention_types"])
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(f"{folder} has no config.json of pyreft: {error}") from error
    names = {name for kind in types for name in re.findall(r"(\w+)'?>?$", kind)}
    if len(names) != 1 or not names <= VARIANT_OF.keys():
        raise TrainingError(
            f"{folder} has interventions of {sorted(types)}; one of {', '.join(VARIANT_OF)} can be read"
        )
    return VARIANT_OF[names.pop()]


def _interventions(folder: Path) -> dict[tuple[int, int], Mapping[str, Tensor]]:
    """Saved tensors by block and number."""
    found = {}
    for path in sorted(folder.glob("intkey_*.bin")):
        file = _FILE.fullmatch(path.name)
        place = _BLOCK.fullmatch(file["component"]) if file else None
        if file is None or place is None:
            raise TrainingError(f"{path.name} is no edit of a block's output; only those can be read")
        found[int(place[1] or place[2]), int(file["number"])] = torch.load(path, weights_only=True, map_location="cpu")
    if not found:
        raise TrainingError(f"{folder} has no files intkey_*.bin; give the folder that pyreft's save() wrote")
    return found


def _tensors(state: Mapping[str, Tensor], variant: str, activation: str) -> dict[str, Tensor]:
    """Named tensors of one intervention."""
    if variant in {"consreft", "lobireft"}:
        return {"R": _rotation(state), "b": state["learned_source"].float()}
    W = state["weight"] if "weight" in state else state["learned_source.weight"]  # noqa: N806 - the paper's name
    b = (state["bias"] if "bias" in state else state["learned_source.bias"]).float()
    if "proj_layer.weight" not in state:
        return {"R": _rotation(state), "W": W.float(), "b": b}
    if "proj_layer.bias" in state and variant == "noreft":
        if activation != "identity":
            raise TrainingError("a projection with a bias behind an activation has no counterpart here")
        b = b - state["proj_layer.bias"].float()
    return {"W2": state["proj_layer.weight"].float(), "W": W.float(), "b": b}


def _rotation(state: Mapping[str, Tensor]) -> Tensor:
    """R (r, d): saved as it is, transposed, or in torch's orthogonal parametrization."""
    if "rotate_layer" in state:
        return state["rotate_layer"].float().T
    prefix = "rotate_layer."
    inner = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    part = nn.Module()
    part.weight = nn.Parameter(torch.zeros_like(inner["parametrizations.weight.original"]))
    nn.init.orthogonal_(part.weight)
    orthogonal(part).load_state_dict(inner)
    weight: Tensor = part.weight
    return weight.detach().float().T
