"""What is left of a participant's answers once they are erased: how many there were, and what was sealed over them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedRound:
    """What was erased of one participant in one round."""

    round: int
    participant: str
    answers: int
    """Deleted."""
    labels: int
    """Pseudo-labels of this round whose texts were withheld with them."""
    erased_at: datetime
    """The last of them."""
    count: int | None = None
    """Answers that the participant sealed; None where it sealed nothing in this round."""
    digest: str | None = None
    """Of what it sealed: whoever keeps a copy can prove what it was."""
