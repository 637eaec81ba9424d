"""Appeals: a participant says that a gate wrongly rejected its answers, and an operator decides.

A published round never changes. An upheld appeal exempts the participant from the gate in the rounds that are
aggregated from then on, until an operator rejects it after all.
"""

from dataclasses import dataclass
from datetime import datetime

from client_kit.vocabulary import AppealOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeal:
    """One participant against one gate in one round."""

    number: int
    """Within its federation, from 1."""
    participant: str
    round: int
    gate: str
    text: str
    """Why the participant thinks that the gate was wrong."""
    created_at: datetime
    outcome: AppealOutcome | None = None
    """None while nobody has decided."""
    note: str = ""
    """The operator's reason."""
    resolved_at: datetime | None = None
