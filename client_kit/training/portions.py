"""A portion of a run: where transformers pauses, and from where it goes on. Imported with a training, not before: heavy."""

from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import get_last_checkpoint


class PauseCallback(TrainerCallback):  # type: ignore[misc]  # untyped there
    """Ends a training before its last step, with a checkpoint that has everything that the next portion needs."""

    def __init__(self, steps: int) -> None:
        """steps: of the run, that are to be done by then."""
        self._steps = steps

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # noqa: ANN401 - transformers'
    ) -> None:
        """Save and stop, once it is time."""
        del args, kwargs
        if state.global_step >= self._steps:
            control.should_save = control.should_training_stop = True


def train_until(trainer: Trainer, steps: int, checkpoints: Path) -> None:
    """Train from the last checkpoint, where there is one, until `steps` steps are done.

    A checkpoint of so many steps is taken as it is: who wrote it was killed before the model was saved, and transformers would
    train a step too many.
    """
    last = get_last_checkpoint(str(checkpoints))
    state = None if last is None else TrainerState.load_from_json(str(Path(last) / TRAINER_STATE_NAME))
    if state is None or state.global_step < steps:
        trainer.train(resume_from_checkpoint=last)
        return
    trainer.state = state
    trainer._load_from_checkpoint(state.best_model_checkpoint or last)  # noqa: SLF001 - what `train` begins with
