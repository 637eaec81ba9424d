"""One run of TRL's DPOTrainer: completions become likelier than the answers that they are preferred to."""

from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback, set_seed
from trl import DPOConfig, DPOTrainer

from client_kit.training import lora_sb
from client_kit.training.base import Example
from client_kit.training.loading import load_model, load_tokenizer, peft_config
from client_kit.training.running import arguments, callbacks, run
from client_kit.training.task import Outcome, Task


def train_preferences(task: Task) -> Outcome:
    """Do the task in this process. Raises TrainingError.

    What is held fast to is the model that training begins from: under an adapter its base, or a copy of an adapter that
    is there already; under full training the model with its log-probabilities computed beforehand, so that no second
    copy lies in memory.
    """
    lora_sb.refuse(task.model, "training on preferences")
    set_seed(task.seed)
    tokenizer = load_tokenizer(task.model)
    adapter = peft_config(task.settings, task.model)
    model = load_model(task.model, task.settings)
    trainer = DPOTrainer(
        model=model,
        args=DPOConfig(**arguments(task), beta=task.beta, precompute_ref_log_probs=adapter is None),
        train_dataset=Dataset.from_list(_rows(task.examples, chat=tokenizer.chat_template is not None)),
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=callbacks(task),
    )
    trainer.remove_callback(PrinterCallback)  # it prints every logged loss; the report has them
    return run(trainer, task)


def _rows(examples: Sequence[Example], *, chat: bool) -> list[dict[str, Any]]:
    """Prompt, chosen and rejected as TRL reads them, conversational or plain."""
    texts = [{"prompt": one.prompt, "chosen": one.completion, "rejected": one.rejected} for one in examples]
    if not chat:
        return [dict(row) for row in texts]
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    return [{name: [{"role": roles[name], "content": text}] for name, text in row.items()} for row in texts]
