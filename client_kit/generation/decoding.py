"""How tokens are drawn and when an answer ends, each row of a batch on its own. Needs torch and transformers."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, StoppingCriteria


class GumbelNoise(LogitsProcessor):  # type: ignore[misc]
    """Adds Gumbel noise to logits, each row from a generator of its own.

    argmax(logits + G), G independent standard Gumbel, is a draw from softmax(logits) (Gumbel 1954; Maddison et al. 2014,
    "A* Sampling", section 2), so greedy decoding over noisy logits samples. A row's draws depend on its seed alone,
    whereas `do_sample=True` draws for the whole batch from one stream.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._rows = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, _: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """scores: (rows, vocabulary), in any float type."""
        uniform = torch.stack([torch.rand(scores.shape[-1], generator=row) for row in self._rows])
        noise = -torch.log(-torch.log(uniform.clamp(min=1e-20, max=1 - 1e-7)))
        noisy: torch.FloatTensor = scores.float() + noise.to(scores.device)  # type: ignore[assignment]
        return noisy


class StopTexts(StoppingCriteria):  # type: ignore[misc]
    """Ends a row when its answer contains one of the texts.

    Looks at decoded text. Transformers' own criterion takes the vocabulary apart instead, which fails with tokenizers
    that do not know the letters it probes with (word-level ones: "substring not found" in 5.19).
    """

    def __init__(self, tokenizer: Any, texts: Sequence[str], width: int) -> None:  # noqa: ANN401
        """width: tokens of the padded prompts, which are not searched."""
        self._tokenizer = tokenizer
        self._texts = tuple(texts)
        self._width = width
        self._tail = max(len(text.encode()) for text in texts) + 8
        """Tokens that are enough to hold the longest text, since a token is hardly ever shorter than a byte."""

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: object) -> torch.BoolTensor:  # noqa: ARG002
        """input_ids: (rows, tokens so far). Returns (rows,)."""
        tails = input_ids[:, self._width :][:, -self._tail :]
        decoded = self._tokenizer.batch_decode(tails, skip_special_tokens=True)
        ended = [any(text in answer for text in self._texts) for answer in decoded]
        return torch.tensor(ended, dtype=torch.bool, device=input_ids.device)  # type: ignore[return-value]
