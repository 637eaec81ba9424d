"""One run of a TRL trainer, as plain data, so that other processes can be given it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from client_kit.training.base import Example
from client_kit.training.sft_settings import Lora, Reft, SFTSettings


@dataclass(frozen=True, slots=True)
class Task:
    """What is trained, on what, and where the result goes."""

    model: Path
    """Folder of a model or of an adapter."""
    examples: tuple[Example, ...]
    validation: tuple[Example, ...]
    settings: SFTSettings
    steps: int
    seed: int
    checkpoints: Path
    output: Path
    logs: Path
    """Folder for TensorBoard, where it is asked for."""
    beta: float | None = None
    """Set: preferences are trained (DPO), this strongly held to the model that it began from."""

    def to_json(self) -> str:
        """As text that `from_json` reads back."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote."""
        held = json.loads(text)
        paths = {name: Path(held[name]) for name in ("model", "checkpoints", "output", "logs")}
        data = {name: tuple(Example(**row) for row in held[name]) for name in ("examples", "validation")}
        return cls(**{**held, **paths, **data, "settings": _settings(held["settings"])})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did beside writing its output."""

    steps: int
    losses: tuple[float, ...]
    validation: tuple[float, ...]
    trainable: int

    def to_json(self) -> str:
        """As text that `from_json` reads back."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote."""
        held = json.loads(text)
        return cls(held["steps"], tuple(held["losses"]), tuple(held["validation"]), held["trainable"])


def _settings(held: Mapping[str, Any]) -> SFTSettings:
    lora = held["lora"]
    listed = {name: tuple(held[name]) for name in ("frozen", "report_to")}
    return SFTSettings(**{**held, **listed, "lora": None if lora is None else _lora(lora), "reft": _reft(held["reft"])})


def _reft(held: Mapping[str, Any] | None) -> Reft | None:
    if held is None:
        return None
    return Reft(**{**held, "layers": held["layers"] if isinstance(held["layers"], str) else tuple(held["layers"])})


def _lora(held: Mapping[str, Any]) -> Lora:
    targets = held["target_modules"]
    return Lora(**{**held, "target_modules": targets if isinstance(targets, str) else tuple(targets)})
