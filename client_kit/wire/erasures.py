"""What is left of answers that were erased."""

from datetime import datetime

from client_kit.wire.base import WireModel
from client_kit.wire.limits import Digest, Name


class ErasedRound(WireModel):
    """What was erased of one participant in one round."""

    round: int
    participant: Name
    answers: int
    """Deleted."""
    labels: int
    """Pseudo-labels of this round whose texts were withheld with them: nobody else said the very same."""
    erased_at: datetime
    """The last of them."""
    count: int | None = None
    """Answers that the participant sealed; none where it sealed nothing in this round."""
    digest: Digest | None = None
    """Of what it sealed: whoever keeps a copy can prove what it was."""


class Erasure(WireModel):
    """All that was erased of a participant so far, oldest round first."""

    participant: Name
    rounds: list[ErasedRound]
