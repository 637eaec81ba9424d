"""One run of TRL's SFTTrainer: all weights, or an adapter."""

from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback, set_seed
from trl import SFTConfig

from client_kit.training.base import Example
from client_kit.training.loading import load_model, load_tokenizer, peft_config
from client_kit.training.running import arguments, callbacks, run
from client_kit.training.task import Outcome, Task
from client_kit.training.weighted import WeightedSFTTrainer


def train_supervised(task: Task) -> Outcome:
    """Do the task in this process. Raises TrainingError."""
    # A new adapter is drawn at random, so the seed comes before the model.
    set_seed(task.seed)
    tokenizer = load_tokenizer(task.model)
    chat = tokenizer.chat_template is not None
    trainer = WeightedSFTTrainer(
        model=load_model(task.model, task.settings),
        args=SFTConfig(**arguments(task), completion_only_loss=True),
        train_dataset=Dataset.from_list(rows(task.examples, chat=chat)),
        eval_dataset=Dataset.from_list(rows(task.validation, chat=chat)) if task.validation else None,
        processing_class=tokenizer,
        peft_config=peft_config(task.settings, task.model),
        callbacks=callbacks(task),
    )
    trainer.remove_callback(PrinterCallback)  # it prints every logged loss; the report has them
    trainer.check_examples(task.settings.max_length, task.settings.reft)
    return run(trainer, task)


def rows(examples: Sequence[Example], *, chat: bool) -> list[dict[str, Any]]:
    """Prompt-completion rows as TRL reads them, conversational or plain."""
    if not chat:
        return [{"prompt": one.prompt, "completion": one.completion, "weight": one.weight} for one in examples]
    return [
        {
            "prompt": [{"role": "user", "content": example.prompt}],
            "completion": [{"role": "assistant", "content": example.completion}],
            "weight": example.weight,
        }
        for example in examples
    ]
