"""Examples as tokens, and a model's loss on them, without a trainer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from client_kit.rendering import encode_answered
from client_kit.training.base import Example

if TYPE_CHECKING:
    import torch


IGNORED = -100
"""Label of tokens that carry no loss."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One example as token ids, the completion from `start` on."""

    ids: tuple[int, ...]
    start: int

    @property
    def labels(self) -> list[int]:
        """The ids, IGNORED on the prompt."""
        return [*[IGNORED] * min(self.start, len(self.ids)), *self.ids[self.start :]]


def encode(tokenizer: Any, example: Example, max_length: int | None) -> Tokens:  # noqa: ANN401 - transformers' zoo
    """Token ids: a dialogue where the tokenizer has a chat template, else prompt and completion joined."""
    whole, start = encode_answered(tokenizer, example.prompt, example.completion, example.turns)
    return Tokens(tuple(whole[:max_length]), start)


def encode_all(tokenizer: Any, examples: Sequence[Example], max_length: int | None) -> list[Tokens]:  # noqa: ANN401
    """All examples as tokens, in their order."""
    return [encode(tokenizer, example, max_length) for example in examples]


def batch(tokens: Sequence[Tokens], pad: int, device: Any) -> "dict[str, torch.Tensor]":  # noqa: ANN401 - torch's
    """Tensors of shape (examples, longest), padded at the end. Labels are IGNORED outside of the completions."""
    import torch  # noqa: PLC0415

    longest = max(len(one.ids) for one in tokens)
    rows = [[*one.ids, *[pad] * (longest - len(one.ids))] for one in tokens]
    labels = [[*one.labels, *[IGNORED] * (longest - len(one.ids))] for one in tokens]
    mask = [[1] * len(one.ids) + [0] * (longest - len(one.ids)) for one in tokens]
    return {
        "input_ids": torch.tensor(rows, device=device),
        "attention_mask": torch.tensor(mask, device=device),
        "labels": torch.tensor(labels, device=device),
    }


def example_losses(model: Any, tensors: "dict[str, torch.Tensor]") -> "torch.Tensor":  # noqa: ANN401
    """Mean negative log-likelihood per token of each example's completion, in nats, of shape (examples,)."""
    from torch.nn.functional import cross_entropy  # noqa: PLC0415

    inputs = {name: value for name, value in tensors.items() if name != "labels"}
    ends = prompt_ends(model, tensors["labels"], tensors["attention_mask"])
    logits = model(**inputs, **ends, use_cache=False).logits[:, :-1].float()
    labels = tensors["labels"][:, 1:]
    losses = cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
    return losses.sum(dim=1) / (labels != IGNORED).sum(dim=1).clamp(min=1)


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


def validation_loss(
    model: Any,  # noqa: ANN401 - of transformers or peft
    tokenizer: Any,  # noqa: ANN401
    examples: Sequence[Example],
    max_length: int | None,
    batch_size: int,
) -> float:
    """The mean over examples of `example_losses`. The model is left in the mode that it was in."""
    import torch  # noqa: PLC0415

    training = model.training
    model.eval()
    with torch.no_grad():
        losses: list[float] = [
            loss
            for part in _batches(encode_all(tokenizer, examples, max_length), batch_size)
            for loss in example_losses(model, batch(part, pad_id(tokenizer), model.device)).tolist()
        ]
    model.train(training)
    return sum(losses) / len(losses)


def pad_id(tokenizer: Any) -> int:  # noqa: ANN401
    """What fills up short examples; any token will do, since it is masked."""
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)


def _batches(tokens: Sequence[Tokens], size: int) -> Iterator[Sequence[Tokens]]:
    return (tokens[start : start + size] for start in range(0, len(tokens), size))
