"""What trainers do differently for ReFT: its new adapters, its folders, and the end of each prompt."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client_kit.errors import TrainingError
from client_kit.training.sft_settings import Reft

if TYPE_CHECKING:
    import torch

ADAPTER_FILE = "adapter_config.json"

IGNORED = -100
"""Label of tokens that carry no loss."""


def make_known(folder: Path) -> None:
    """Tell PEFT of ReFT where the folder holds such an adapter; PEFT does not know it by itself."""
    try:
        kind = json.loads((folder / ADAPTER_FILE).read_text(encoding="utf-8")).get("peft_type")
    except (OSError, ValueError):
        return
    if kind == "REFT":
        import client_kit.training.reft  # noqa: F401, PLC0415 - heavy


def reft_config(reft: Reft) -> Any:  # noqa: ANN401 - peft is untyped here
    """What PEFT makes a new ReFT adapter from. Raises ConfigurationError for what cannot be."""
    from client_kit.training.reft import ReftConfig  # noqa: PLC0415 - heavy

    return ReftConfig(
        rank=reft.rank, variant=reft.variant, positions=reft.positions, tied=reft.tied, dropout=reft.dropout,
        init=reft.init, layers=reft.layers if isinstance(reft.layers, str) else list(reft.layers), task_type="CAUSAL_LM",
    )  # fmt: skip


def prompt_ends(model: Any, labels: "torch.Tensor", mask: "torch.Tensor") -> dict[str, Any]:  # noqa: ANN401
    """Further arguments of a model that is called without its labels: `prompt_lengths` for ReFT, none for others.

    labels, mask: (rows, tokens), padded on the right; labels are -100 on prompts.
    """
    import torch  # noqa: PLC0415

    configs = getattr(getattr(model, "module", model), "peft_config", {})
    if not any(config.peft_type == "REFT" for config in configs.values()):
        return {}
    learned = labels != IGNORED
    return {"prompt_lengths": torch.where(learned.any(1), learned.long().argmax(1), mask.long().sum(1))}


def check_prompts(reft: Reft, lengths: list[int]) -> None:
    """Raises TrainingError where a prompt has fewer tokens than positions, unless `short_prompts` says to halve."""
    from client_kit.training.reft.positions import Positions  # noqa: PLC0415 - heavy

    places = Positions.parse(reft.positions)
    wanted = places.first + places.last
    if reft.short_prompts == "refuse" and lengths and min(lengths) < wanted:
        raise TrainingError(
            f"a prompt has {min(lengths)} tokens, and ReFT's positions {reft.positions} need {wanted}; take fewer positions, "
            "or short_prompts: halve, which edits at most half of a short prompt from each side"
        )
