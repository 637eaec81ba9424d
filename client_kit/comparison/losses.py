"""Loss of a model or an adapter on examples, by forward passes only."""

from collections.abc import Sequence
from pathlib import Path

from client_kit.training.base import Example
from client_kit.training.measuring import batch, encode, pad_id
from client_kit.training.models import load_model, load_tokenizer


def mean_loss(folder: Path, examples: Sequence[Example]) -> float:
    """Mean negative log-likelihood of the completions' tokens, in nats; the prompts are read and not counted."""
    import torch  # noqa: PLC0415 - heavy, and of the extra `train`

    tokenizer = load_tokenizer(folder)
    model = load_model(folder).eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for example in examples:
            tokens = encode(tokenizer, example, max_length=None)
            tensors = batch([tokens], pad_id(tokenizer), model.device)
            loss = model(input_ids=tensors["input_ids"], labels=tensors["labels"]).loss
            counted = len(tokens.ids) - tokens.start
            total, count = total + float(loss) * counted, count + counted
    return total / count if count else 0.0
