"""One run of a TRL trainer in this process, which may be one of several."""

from client_kit.training.task import Outcome, Task


def perform_here(task: Task) -> Outcome:
    """Do the task in this process. Raises TrainingError."""
    if task.beta is None:
        from client_kit.training.supervised import train_supervised  # noqa: PLC0415 - heavy, here and below

        return train_supervised(task)
    from client_kit.training.preferences import train_preferences  # noqa: PLC0415

    return train_preferences(task)
