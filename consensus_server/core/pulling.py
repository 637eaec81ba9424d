"""Participants that the server itself asks: how, and how far it has come. Frozen records; the store keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from client_kit.vocabulary import PullState
from consensus_server.core.rounds import AnswerKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """How a participant is asked; `client_kit.wire.Endpoint` says what each field means. It holds no address and no key."""

    upstream: str
    temperature: float = 0.0
    top_p: float | None = None
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    samples: int = 1
    seed: int = 0
    concurrency: int = 4
    attempts: int = 3
    tokens_per_round: int | None = None
    training_rights: bool = False


@dataclass(frozen=True, slots=True)
class Attempts:
    """One answer that was asked for in vain."""

    prompt_id: str
    sample: int
    count: int
    reason: str
    """Of the last attempt: a `core.inference.Failure`, or why the answer policy dropped what was said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """What is kept of asking one participant in one round, beside its answers."""

    state: PullState = PullState.ASKING
    outages: int = 0
    """Times in a row that the upstream as a whole could not be used."""
    reason: str | None = None
    """Why it waits, why prompts are missing, or why it failed. Fit for every member; no text of anybody."""
    failures: tuple[Attempts, ...] = ()

    def attempts(self) -> Mapping[AnswerKey, Attempts]:
        """By what was asked for."""
        return {(each.prompt_id, each.sample): each for each in self.failures}


@dataclass(frozen=True, slots=True, kw_only=True)
class PullStatus:
    """How far the server has come with one participant in a round, for the members of the federation."""

    participant: str
    upstream: str
    state: PullState
    answered: int
    """Answers that are held."""
    given_up: int
    """Answers that are asked for no more."""
    tokens: int
    """Of the answers that are held, as the upstream counted them."""
    reason: str | None = None
    next_try_at: datetime | None = None
    """When the upstream is tried again, while it is out."""


@dataclass(frozen=True, slots=True)
class PullClaim:
    """A participant that this worker alone may ask in a round, as long as its lease lasts."""

    federation: str
    number: int
    participant: str
    endpoint: Endpoint
    lease: str
    pull: Pull = field(default_factory=Pull)
