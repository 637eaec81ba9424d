"""The tiny base models as Hugging Face folders: pretrained once, then taken from a cache."""

import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from importlib import resources
from pathlib import Path

from client_kit._quiet import without_progress_bars
from client_kit.pocket.recipes import ModelRecipe
from client_kit.pocket.world import World

_SOURCES = ("pretraining.py", "tokenizers.py")


def base_model(recipe: ModelRecipe, world: World, *, seed: int, cache: Path | None = None) -> Path:
    """Folder of the pretrained model and its tokenizer; pretrained now (under a CPU-minute) unless it is cached.

    cache: None means `$XDG_CACHE_HOME/semantic-consensus/pocket`. The folder appears whole or not at all, and two
    processes never pretrain the same model at the same time: the second waits and takes what the first made.
    """
    from filelock import FileLock  # noqa: PLC0415 - comes with torch, which the base install lacks

    parent = default_cache() if cache is None else cache
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f"{recipe.name}-{recipe_digest(recipe, world, seed=seed)[:16]}"
    if not folder.is_dir():
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                _build(recipe, world, seed, folder)
    return folder


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/semantic-consensus/pocket`, by default under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "semantic-consensus" / "pocket"


def recipe_digest(recipe: ModelRecipe, world: World, *, seed: int) -> str:
    """SHA-256 over everything that the weights depend on: code, recipe, the world's sentences and the seed."""
    package = resources.files("client_kit.pocket")
    parts = [package.joinpath(name).read_text(encoding="utf-8") for name in _SOURCES]
    parts.append(json.dumps({"recipe": asdict(recipe), "seed": seed, "topics": [asdict(t) for t in world.topics]}))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _build(recipe: ModelRecipe, world: World, seed: int, folder: Path) -> None:
    from client_kit.pocket.pretraining import pretrain  # noqa: PLC0415 - reaches torch

    building_folder = tempfile.TemporaryDirectory(dir=folder.parent, prefix=".building-")
    with without_progress_bars(), building_folder as building:
        pretrain(recipe, world, seed=seed, folder=Path(building) / "model")
        (Path(building) / "model").rename(folder)
