"""What both ways to vLLM share: the model that answers is a base, or a base with a LoRA adapter that was trained since."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client_kit.adapter_folders import ADAPTER_FILE, base_of
from client_kit.errors import ConfigurationError, UnknownModel

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Largest ranks of an adapter that vLLM can be started for."""

PRIVATE = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
"""vLLM otherwise reports to its makers how it is used."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A base model, and an adapter on it."""

    base: str
    """Folder, or name on the model hub."""
    adapter: Path | None = None

    @property
    def rank(self) -> int:
        """Of the adapter; 0 without one. Raises ConfigurationError where vLLM has no room for it."""
        if self.adapter is None:
            return 0
        facts = json.loads((self.adapter / ADAPTER_FILE).read_text(encoding="utf-8"))
        if facts.get("use_dora") or facts.get("peft_type", "LORA") != "LORA":
            kind = "DoRA" if facts.get("use_dora") else facts["peft_type"]
            raise ConfigurationError(
                f"the adapter in {self.adapter} is {kind}, and vLLM takes LoRA; train with method: lora, or answer with "
                "generator kind: transformers"
            )
        wanted = int(facts["r"])
        fitting = [rank for rank in RANKS if rank >= wanted]
        if not fitting:
            raise ConfigurationError(f"the adapter in {self.adapter} has rank {wanted}; vLLM takes {RANKS[-1]} at most")
        return fitting[0]

    def digest(self) -> str:
        """SHA-256 that tells these weights from others: names, sizes and times of files stand for their content."""
        folders = [folder for folder in (Path(self.base), self.adapter) if folder is not None and folder.is_dir()]
        files = [
            (path.name, path.stat().st_size, path.stat().st_mtime_ns)
            for folder in folders
            for path in sorted(folder.iterdir())
            if path.is_file()
        ]
        return hashlib.sha256(json.dumps([self.base, files]).encode()).hexdigest()


def weights(base: str, trained: Path | None) -> Weights:
    """The base as the settings name it with what was trained since: an adapter on it, or a model in its place.

    Raises UnknownModel for a path that is not there, before vLLM looks for it on a hub.
    """
    for given in (base, trained):
        looks_like_a_path = isinstance(given, Path) or (given or "").startswith((".", "/", "~"))
        if given is not None and looks_like_a_path and not Path(given).is_dir():
            raise UnknownModel(f"there is no model folder {given}. Check the path")
    if trained is None:
        return _with_its_base(base) if (Path(base) / ADAPTER_FILE).is_file() else Weights(base)
    if (trained / ADAPTER_FILE).is_file():
        return Weights(base, trained)
    return Weights(str(trained))


def _with_its_base(adapter: str) -> Weights:
    """A settings file may name an adapter: its base stands in it."""
    try:
        return Weights(base_of(Path(adapter)), Path(adapter))
    except (OSError, ValueError) as error:
        raise UnknownModel(str(error)) from error


def arguments(engine_args: Mapping[str, Any]) -> list[str]:
    """Engine arguments as vLLM's command line has them: `max_model_len: 256` is `--max-model-len 256`."""
    words: list[str] = []
    for name, value in engine_args.items():
        option = name.replace("_", "-")
        match value:
            case True:
                words.append(f"--{option}")
            case False:
                words.append(f"--no-{option}")
            case None:
                continue
            case list() | tuple():
                words += [f"--{option}", *map(str, value)]
            case dict():
                words += [f"--{option}", json.dumps(value)]
            case _:
                words += [f"--{option}", str(value)]
    return words
