"""How participants came out of a round: reliability, rejected answers, appeals."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from client_kit.vocabulary import AppealOutcome
from client_kit.wire.base import Request, WireModel
from client_kit.wire.limits import MAX_APPEAL_CHARS, NUL_FREE, Digest, Name, PromptId


class Reliability(WireModel):
    """One participant in one published round. Operators see all, participants themselves."""

    participant: Name
    mean: float
    """Mean standardised centrality of its admitted answers; 0 is the middle of the pools."""
    prompts: int
    """Prompts with an admitted answer of it; 0: nothing of it was admitted, and mean and weight say nothing of it."""
    refused: int = 0
    """Answers of it that gates kept out."""
    prior_mean: float
    """Its reputation: the mean over earlier rounds, older ones counting less."""
    prior_prompts: float
    """Prompts behind the reputation when the round began; 0 for a newcomer."""
    reliability: Annotated[float, Field(ge=-1, le=1)]
    """From the round and the reputation together; 0 is the middle of the pool."""
    weight: float
    """Weight of its vote in the support of others: 1 in the middle; where eight answer, at most 12 times another's."""
    newcomer: bool
    """It had no reputation: it began in the middle of the pool."""
    drifted: bool
    """Its answers stand far from its reputation: somebody should look."""


class ReliabilityList(WireModel):
    """Reliability in a round, by participant; empty where the policy decides each pool by itself."""

    items: list[Reliability]


class Rejection(WireModel):
    """One answer that a gate kept out of its pool."""

    prompt_id: PromptId
    participant: Name
    sample: int
    digest: Digest
    gate: str
    measured: float | None = None
    """What the gate measured, where it measures something."""
    limit: float | None = None
    """What the gate held the measured value against."""
    reason: str
    """Why the gate rejected it, in a sentence."""


class RejectionPage(WireModel):
    """Rejected answers, in the order of `prompt_id`. A page may be short, or empty, and not the last."""

    items: list[Rejection]
    next_cursor: str | None = None
    """Send as `cursor` to go on; none on the last page."""


class AppealCreate(Request):
    """A participant says that a gate wrongly rejected its answers."""

    gate: Annotated[str, Field(min_length=1, max_length=32), NUL_FREE]
    text: Annotated[str, Field(min_length=1, max_length=MAX_APPEAL_CHARS), NUL_FREE]
    """Why."""


class AppealResolution(Request):
    """An operator's word on an appeal. The last one counts."""

    outcome: AppealOutcome
    note: Annotated[str, Field(max_length=MAX_APPEAL_CHARS), NUL_FREE] = ""
    """The reason; the participant reads it."""


class Appeal(WireModel):
    """An appeal of one participant against one gate in one round."""

    number: int
    """Within the federation, from 1."""
    participant: Name
    round: int
    gate: str
    text: str
    created_at: datetime
    outcome: AppealOutcome | None = None
    """None while nobody has decided."""
    note: str = ""
    resolved_at: datetime | None = None


class AppealList(WireModel):
    """Appeals of a federation, oldest first."""

    items: list[Appeal]
