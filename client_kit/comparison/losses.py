"""Loss of a model or an adapter on examples, by forward passes only."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from client_kit.training.base import Example
from client_kit.training.loading import load_model, load_tokenizer
from client_kit.training.sft_settings import SFTSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def mean_loss(folder: Path, examples: Sequence[Example]) -> float:
    """Mean negative log-likelihood of the completions' tokens, in nats; the prompts are read and not counted."""
    import torch  # noqa: PLC0415 - heavy, and of the extra `train`

    tokenizer = load_tokenizer(folder)
    model = load_model(folder, SFTSettings(device="cpu")).eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for example in examples:
            prompt, whole = _tokens(tokenizer, example)
            labels = [-100] * len(prompt) + whole[len(prompt) :]
            loss = model(input_ids=torch.tensor([whole]), labels=torch.tensor([labels])).loss
            counted = len(whole) - len(prompt)
            total, count = total + float(loss) * counted, count + counted
    return total / count if count else 0.0


def _tokens(tokenizer: "PreTrainedTokenizerBase", example: Example) -> tuple[list[int], list[int]]:
    """Of the prompt, and of prompt and completion together, as training sees them."""
    if tokenizer.chat_template is None:
        prompt = tokenizer(example.prompt)["input_ids"]
        return prompt, tokenizer(example.prompt + example.completion)["input_ids"] + [tokenizer.eos_token_id]
    asked = [{"role": "user", "content": example.prompt}]
    said = [*asked, {"role": "assistant", "content": example.completion}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    return prompt, tokenizer.apply_chat_template(said, return_dict=False)
