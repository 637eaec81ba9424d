"""What a participant reports while it works: one record per step, for a person, a log or a runner."""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from json import dumps, loads

from client_kit.generation.losses import Lost


class Step(StrEnum):
    """What a participant is doing, or has done."""

    STARTED = "started"
    QUEUED = "queued"
    """Waits for a compute slot of this machine."""
    TRAINING = "training"
    TRAINED = "trained"
    RETURNED = "returned"
    """The training was discarded, since the validation loss rose: the model before it goes on."""
    EVALUATED = "evaluated"
    ANSWERING = "answering"
    """`done` of `total` answers are generated."""
    LEFT_OUT = "left_out"
    """A prompt that the model cannot be asked."""
    ALARM = "alarm"
    """The model's answers have lost variety."""
    SUBMITTED = "submitted"
    CARRIED = "carried"
    """Nothing has changed: the sealed answers of an earlier round stand for this one."""
    WAITING = "waiting"
    AGGREGATING = "aggregating"
    """The server makes pseudo-labels: `done` of `total` texts, questions or answers, as `detail` says."""
    LABELLED = "labelled"
    """Pseudo-labels are here: `done` labels, `total` prompts."""
    MISSED = "missed"
    """The round ended without this participant, or failed; it goes on with the next."""
    RUNNING = "running"
    """A run of a comparison."""
    RAN = "ran"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of one participant."""

    participant: str
    step: Step
    round: int = 0
    """From 1; one more than the last round for the training after it, 0 before the first."""
    done: int = 0
    total: int = 0
    detail: str = ""
    seconds: float = 0.0
    """How long the step took, where it is over."""
    lost: Lost = field(default_factory=dict)
    """Of a submission: what is not in it as the model said it."""

    def to_json(self) -> str:
        """One line."""
        return dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> "Progress":
        """The record of such a line. Raises ValueError for anything else."""
        try:
            fields = loads(line)
            return cls(**{**fields, "step": Step(fields["step"])})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no progress record: {line[:80]!r}") from error


Observer = Callable[[Progress], None]
"""Is told every step as it happens."""


def ignore(_: Progress) -> None:
    """The observer that does nothing."""


def print_record(progress: Progress) -> None:
    """The observer that writes each step to standard output, a line at once, for the process that reads them."""
    sys.stdout.write(progress.to_json() + "\n")
    sys.stdout.flush()
