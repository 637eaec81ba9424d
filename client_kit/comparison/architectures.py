"""Figures of published architectures, for the cost model; and those of a model folder's `config.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from client_kit.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Architecture:
    """A decoder with grouped attention and a gated feed-forward part, without biases (Llama's and its kin's form)."""

    layers: int
    width: int
    heads: int
    key_value_heads: int
    head_width: int
    feed_forward: int
    vocabulary: int
    tied: bool = False
    """Whether input and output embeddings are one matrix."""
    head_norms: bool = False
    """Whether queries and keys are normalised in each head, as in Qwen3."""

    def matrices(self, targets: str) -> list[tuple[int, int]]:
        """(in, out) of every adapted matrix of one layer; targets: `qv`, `attention` or `all-linear`."""
        queries, keys = self.heads * self.head_width, self.key_value_heads * self.head_width
        attention = {
            "q": (self.width, queries),
            "k": (self.width, keys),
            "v": (self.width, keys),
            "o": (queries, self.width),
        }
        wide = [(self.width, self.feed_forward), (self.width, self.feed_forward), (self.feed_forward, self.width)]
        known = {
            "qv": [attention["q"], attention["v"]],
            "attention": [*attention.values()],
            "all-linear": [*attention.values(), *wide],
        }
        if targets not in known:
            raise ConfigurationError(f"there is no target set {targets!r}; known are {', '.join(known)}")
        return known[targets]

    @property
    def parameters(self) -> int:
        """All numbers of the model."""
        linear = sum(inner * outer for inner, outer in self.matrices("all-linear"))
        norms = 2 * self.width + (2 * self.head_width if self.head_norms else 0)
        embeddings = self.vocabulary * self.width * (1 if self.tied else 2)
        return self.layers * (linear + norms) + embeddings + self.width


TARGETS: Final = ("qv", "attention", "all-linear")

ARCHITECTURES: Final[Mapping[str, Architecture]] = MappingProxyType(
    {
        "Qwen/Qwen3-0.6B": Architecture(28, 1024, 16, 8, 128, 3072, 151_936, tied=True, head_norms=True),
        "meta-llama/Llama-3.2-1B": Architecture(16, 2048, 32, 8, 64, 8192, 128_256, tied=True),
        "meta-llama/Llama-3.2-3B": Architecture(28, 3072, 24, 8, 128, 8192, 128_256, tied=True),
        "meta-llama/Llama-2-7b-hf": Architecture(32, 4096, 32, 32, 128, 11_008, 32_000),
        "meta-llama/Llama-3.1-8B": Architecture(32, 4096, 32, 8, 128, 14_336, 128_256),
        "Qwen/Qwen3-8B": Architecture(36, 4096, 32, 8, 128, 12_288, 151_936, head_norms=True),
        "meta-llama/Llama-3.1-70B": Architecture(80, 8192, 64, 8, 128, 28_672, 128_256),
        "meta-llama/Llama-3.1-405B": Architecture(126, 16_384, 128, 8, 128, 53_248, 128_256),
    }
)
"""From each model's published `config.json`."""


def architecture(name: str) -> Architecture:
    """By published name, or read from a folder with a `config.json`. Raises ConfigurationError."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    file = Path(name) / "config.json" if Path(name).is_dir() else Path(name)
    if not file.is_file():
        raise ConfigurationError(
            f"{name} is neither a model of the table ({', '.join(ARCHITECTURES)}) nor a folder with a config.json"
        )
    return _from_config(json.loads(file.read_text(encoding="utf-8")), file)


def _from_config(config: Mapping[str, object], file: Path) -> Architecture:
    if config.get("model_type") not in {"llama", "mistral", "qwen3"}:
        raise ConfigurationError(
            f"{file} is of model type {config.get('model_type')!r}; llama, mistral and qwen3 are known"
        )

    def number(key: str, default: int | None = None) -> int:
        value = config.get(key, default)
        if not isinstance(value, int):
            raise ConfigurationError(f"{file} has no number {key}")
        return value

    width, heads = number("hidden_size"), number("num_attention_heads")
    return Architecture(
        layers=number("num_hidden_layers"),
        width=width,
        heads=heads,
        key_value_heads=number("num_key_value_heads", heads),
        head_width=number("head_dim", width // heads),
        feed_forward=number("intermediate_size"),
        vocabulary=number("vocab_size"),
        tied=bool(config.get("tie_word_embeddings", False)),
        head_norms=config.get("model_type") == "qwen3",
    )
