"""Federations, their participants and the prompts that they answer. Frozen records; the store keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from client_kit.vocabulary import Role
from consensus_server.core.consensus.records import Policy
from consensus_server.core.parameters.updates import ParameterPlan


@dataclass(frozen=True, slots=True)
class Prompt:
    """One public prompt."""

    prompt_id: str
    prompt: str
    topic: str | None = None
    equivalence: str | None = None
    """One of `client_kit.wire.Equivalence`; None: as the manifest says."""
    question: str | None = None
    """Prompts with one value ask the same question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a prompt set is, beside its prompts."""

    name: str
    version: str
    digest: str
    prompt_count: int
    description: str
    licence: str
    language: str
    topics: Mapping[str, int]
    """Number of prompts by topic."""
    equivalence: str = "semantic"


@dataclass(frozen=True, slots=True)
class AnswerPolicy:
    """What participants do to their own answers before they submit them; refusals the server drops too."""

    truncated: str = "trim"
    refusals: str = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the operator decides when a federation begins. Nothing of it changes afterwards."""

    name: str
    prompt_set: str
    """Digest."""
    policy: Policy = field(default_factory=Policy)
    answers: AnswerPolicy = field(default_factory=AnswerPolicy)
    quorum: int = 2
    round_seconds: float = 86_400.0
    samples_per_prompt: int = 1
    max_answer_chars: int = 32_768
    contributors_only: bool = False
    parameters: ParameterPlan | None = None
    requires_training_rights: bool = False
    late: str = "refuse"
    """`refuse`, or `carry`: what is sealed after the end of a round counts in the next one."""
    answers_kept_days: int | None = None
    """After the end of a round; None: until a participant or an operator erases them."""
    signatures: str = "optional"
    """`required`: only seals that their participants signed."""
    refusals_told_by: str | None = None
    """What tells refusals on the server, pinned at creation; None: it tells none, as where they are kept."""
    retired_clusterer: str | None = None
    """Of a federation of version 0.1.0: what found its clusters, where that was not average linkage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation:
    """A federation as the store keeps it."""

    id: int
    """Key in the store; never leaves the server."""
    terms: Terms
    encoder: str
    """Digest of the encoder's identity, pinned at creation."""
    created_at: datetime

    @property
    def name(self) -> str:
        return self.terms.name

    @property
    def undecidable(self) -> str | None:
        """Why no round of it can be decided any more, fit for every member; None where rounds can be."""
        clusterer = self.terms.retired_clusterer
        return clusterer and (
            f"Federation {self.name} agreed on the clusterer {clusterer!r}, and this version decides rounds by average "
            "linkage only. What was published stays. To go on, the server's operator creates a new federation."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A participant as the store keeps it. Its token is kept as a hash, elsewhere."""

    id: int
    """Key in the store; never leaves the server."""
    federation: str
    name: str
    role: Role
    active: bool
    created_at: datetime
    certificates: frozenset[str] = frozenset()
    """SHA-256 of the client certificates of which its requests must show one; none: they need none."""
    seen_at: datetime | None = field(default=None, compare=False)
    """When it was last heard of, roughly; None: never."""
