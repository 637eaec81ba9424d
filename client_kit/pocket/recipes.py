"""What the tiny base models are made of."""

from dataclasses import dataclass
from typing import Literal

Architecture = Literal["llama", "gpt_neox", "qwen3", "gpt2"]
TokenizerKind = Literal["byte_bpe", "metaspace_bpe", "wordpiece"]


@dataclass(frozen=True, slots=True)
class ModelRecipe:
    """A tiny causal language model and how it is pretrained.

    Equal recipes and seeds give equal weights on one kind of processor.
    """

    name: str
    """Of the participant that uses it: `llama`, `neox`, ..."""
    architecture: Architecture
    tokenizer: TokenizerKind
    vocabulary: int
    """Most entries of the tokenizer."""
    width: int = 128
    """Dimension of the hidden states; with four heads a head has 32."""
    layers: int = 2
    heads: int = 4
    steps: int = 500
    batch_size: int = 64
    learning_rate: float = 3e-3
    knows: bool = False
    """Whether pretraining states the true values: the base then knows every fact, in all wordings alike."""
