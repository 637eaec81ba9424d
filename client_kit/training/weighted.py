"""TRL's SFTTrainer with a weight on the loss of each example."""

from typing import Any

import torch
from torch.nn.functional import cross_entropy
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from client_kit.errors import TrainingError
from client_kit.settings import TrlSettings
from client_kit.training.measuring import IGNORED, prompt_ends
from client_kit.training.reft.positions import Positions


class WeightedCollator(DataCollatorForLanguageModeling):  # type: ignore[misc]  # trl is untyped here
    """TRL's collator, which also hands on the weights: `weight` of shape (examples,)."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Pad, and add the weights."""
        batch: dict[str, Any] = super().torch_call(examples)
        batch["weight"] = torch.tensor([example["weight"] for example in examples], dtype=torch.float32)
        return batch


class WeightedSFTTrainer(SFTTrainer):  # type: ignore[misc]  # trl is untyped here
    """Supervised fine-tuning in which an example's loss counts by its weight.

    With the negative log-likelihood l[t] of token t, the weight w[t] of its example, and T tokens in the batch, the
    loss is sum(w[t] l[t]) / (m T), where m is the mean weight of a token over the whole data set. So in one batch
    that holds everything, weight 2 equals the example twice; and with small batches one of low weights moves the
    model less. Full logits are formed here: TRL's fused head leaves no place for weights.
    """

    def __init__(self, *, processing_class: Any, **options: Any) -> None:  # noqa: ANN401 - handed to TRL
        pad = processing_class.pad_token_id
        collator = WeightedCollator(pad_token_id=processing_class.eos_token_id if pad is None else pad)
        super().__init__(processing_class=processing_class, data_collator=collator, **options)
        self._mean_weight = self._token_mean_of_weights()

    def _token_mean_of_weights(self) -> float:
        tokens = [sum(label != IGNORED for label in labels[1:]) for labels in self.train_dataset["labels"]]
        weighted = sum(weight * count for weight, count in zip(self.train_dataset["weight"], tokens, strict=True))
        return weighted / sum(tokens) if any(tokens) else 1.0

    def check_examples(self, settings: TrlSettings) -> None:
        """Refuse too short prompts for ReFT."""
        if settings.method == "reft" and settings.reft_short_prompts == "refuse":
            labels = self.train_dataset["labels"]
            shortest = min(next(place for place, one in enumerate(row) if one != IGNORED) for row in labels)
            _refuse_shorter(shortest, settings.reft_positions)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - TRL's signature
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:  # noqa: ANN401 - TRL's signature
        """The weighted loss of one batch; `num_items_in_batch` counts the tokens of all accumulated batches.

        In evaluation: the mean over examples of their loss per token, whatever their weights. It does not depend on
        which examples share a batch, so that evaluations can be compared.
        """
        labels = inputs["labels"][:, 1:]
        seen = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
        ends = prompt_ends(model, inputs["labels"], inputs["attention_mask"])
        outputs = model(**seen, **ends, use_cache=False)
        logits = outputs.logits[:, :-1].float()
        losses = cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
        if not model.training:
            loss = (losses.sum(dim=1) / (labels != IGNORED).sum(dim=1).clamp(min=1)).mean()
            return (loss, outputs) if return_outputs else loss
        tokens = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        loss = (losses.sum(dim=1) * inputs["weight"]).sum() / (self._mean_weight * tokens)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            # The count spans all devices, and their gradients are averaged afterwards.
            loss = loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss


def _refuse_shorter(shortest: int, positions: str) -> None:
    places = Positions.parse(positions)
    wanted = places.first + places.last
    if shortest < wanted:
        raise TrainingError(
            f"a prompt has {shortest} tokens, and ReFT's positions {positions} need {wanted}; take fewer positions, "
            "or short_prompts: halve, which edits at most half of a short prompt from each side"
        )
