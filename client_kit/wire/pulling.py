"""Pull mode: participants that the server itself asks, through an upstream of its panels file."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from client_kit.vocabulary import PullState
from client_kit.wire.base import Request, WireModel
from client_kit.wire.limits import MAX_SAMPLES, Name


class Endpoint(Request):
    """How the server asks a participant. Address, model and key stand in the server's panels file, under this name."""

    upstream: Name
    """Name of an upstream in the server's panels file."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 512
    """Longest answer, in tokens of the model."""
    stop: Annotated[tuple[str, ...], Field(max_length=4)] = ()
    samples: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] = 1
    """Answers per prompt."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Every answer has a seed of its own, made of this, its prompt and its sample."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 4
    """Most requests at the same time."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """Attempts after which an answer is given up."""
    tokens_per_round: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """Tokens after which no new request begins in a round; what there is by then is sealed. Null: no limit."""
    training_rights: bool = False
    """The operator states: the model's licence, and the terms of who runs it, let others train on its answers."""


class PullStatus(WireModel):
    """One participant that the server asks in a round."""

    participant: Name
    upstream: Name
    state: PullState
    answered: int
    """Answers that are held."""
    given_up: int
    """Answers that are asked for no more."""
    tokens: int
    """Of the answers that are held, as the upstream counted them."""
    reason: str | None = None
    """Why it waits, why answers are missing, or why it failed."""
    next_try_at: datetime | None = None
    """When the upstream is tried again, while it is out."""


class PullList(WireModel):
    """The participants that the server asks in a round."""

    items: list[PullStatus]
