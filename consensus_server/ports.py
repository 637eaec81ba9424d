"""What the use cases ask of the outside. Each port has one conformance suite in `tests/contract`."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float32, Int64

from client_kit.vocabulary import AppealOutcome, EventKind, Role, RoundState
from consensus_server.core.appeals import Appeal
from consensus_server.core.audit import Act, Head
from consensus_server.core.budgets import Amount, Budget
from consensus_server.core.contradictions.findings import Finding
from consensus_server.core.encoders import EncoderIdentity
from consensus_server.core.erasures import ErasedRound
from consensus_server.core.federations import Federation, Manifest, Participant, Prompt, Terms
from consensus_server.core.inference import Question, Reply
from consensus_server.core.labels import AnswerFate, ClusterContest, ParticipantTraffic, RoundCard
from consensus_server.core.panel_memory import UpstreamMemory
from consensus_server.core.privacy import PrivacyStatement
from consensus_server.core.pulling import Endpoint, Pull, PullClaim, PullStatus
from consensus_server.core.reliability import Reliability
from consensus_server.core.rounds import Answer, AnswerKey, Event, Round
from consensus_server.core.signing import Signed, SigningKey
from consensus_server.core.tokens import Invitation, Operator, Token


class Encoder(Protocol):
    """Turns texts into unit vectors that lie close where the texts mean the same."""

    @property
    def identity(self) -> EncoderIdentity: ...

    @property
    def stand_in(self) -> bool:
        """True for an encoder that knows no meaning and exists for tests."""
        ...

    def encode_with_openings(
        self, texts: Sequence[str]
    ) -> tuple[Float32[np.ndarray, "texts dimension"], Float32[np.ndarray, "texts dimension"]]:
        """Vectors of the texts, and of their openings: what fits into the first window of the encoder.

        Rows are of unit length and in the order of `texts`; zeros for a text without content. Equal sets of texts give
        equal bytes, whatever their order. One pass gives both: relevance and copies are measured on openings, where texts
        of unlike length are alike.
        """
        ...


class Contradictions(Protocol):
    """Tells which answers to a prompt cannot both be right, or may not be."""

    @property
    def identity(self) -> str:
        """Name and version of everything that a finding depends on. Equal identities give equal findings."""
        ...

    def between(self, texts: Sequence[str], prompt: str) -> list[Finding]:
        """The strongest finding of every two of `texts` that differ, by their places (i, j), i < j, in that order.

        A text and a copy of it never differ. What is found of two texts depends on neither the others nor their order.
        Raises ComparisonFailed (`core.errors`) where a model cannot be asked: no finding is not "they agree".
        """
        ...


class EmbeddingStore(Protocol):
    """One vector per content digest and encoder."""

    def get(self, encoder: str, digests: Iterable[str]) -> Mapping[str, Float32[np.ndarray, " dimension"]]:
        """The stored vectors among `digests`; missing ones are left out."""
        ...

    def put(self, encoder: str, vectors: Mapping[str, Float32[np.ndarray, " dimension"]]) -> None:
        """Store vectors. A digest that is held keeps its first vector: what was decided can be decided again."""
        ...


class FeatureStore(Protocol):
    """What was once found out about texts, by what found it out: kind and version. Values are text."""

    def get(self, kind: str, version: str, digests: Iterable[str]) -> Mapping[str, str]:
        """The stored values among `digests`, of one text or of several together; missing ones are left out."""
        ...

    def put(self, kind: str, version: str, values: Mapping[str, str]) -> None:
        """Store values. A digest that is held keeps its first value: what was decided can be decided again."""
        ...


class SpendingStore(Protocol):
    """What callers of panels have spent or reserved of their budgets. Safe to use from many threads and processes."""

    def reserve(self, caller: str, began: int, amount: Amount, budget: Budget) -> Amount | None:
        """Take the amount from the budget of the span that began then; or take nothing, and say what is spent or reserved.

        Spans that began before are forgotten.
        """
        ...

    def settle(self, caller: str, began: int, difference: Amount) -> None:
        """Count so much more, or less, than was reserved; nothing where the span is over and forgotten."""
        ...


class PanelMemoryStore(Protocol):
    """How the upstreams of panels stood on past questions; nothing of any question or answer. It raises StoreUnavailable."""

    def of(self, panel: str) -> tuple[UpstreamMemory, ...]:
        """All that is remembered, by upstream, version and encoder; of an unknown panel nothing."""
        ...

    def add(self, panel: str, stood: Sequence[UpstreamMemory], *, fading: float) -> None:
        """Add one question's `total`, `weight` and `questions` to what is remembered of each, once that has faded.

        fading: what is left of the former `total` and `weight`, 0..1. Atomic: of two servers neither loses what the other adds.
        """
        ...

    def forget(self, panel: str) -> int:
        """Delete all that is remembered of a panel; how many rows that was."""
        ...


class NeighbourIndex(Protocol):
    """Finds pairs of close vectors in a pool too large for a full matrix."""

    def pairs_within(
        self, vectors: Float32[np.ndarray, "answers dimension"], similarity: float
    ) -> Int64[np.ndarray, "pairs 2"]:
        """All pairs i < j with cosine at least `similarity` (-1..1), sorted. Exact: nothing is left out."""
        ...


class Clock(Protocol):
    """Time, so that tests can hold it still."""

    def now(self) -> datetime:
        """Aware, in UTC."""
        ...


class IdentityProvider(Protocol):
    """Who vouches for people and machines, by tokens that it signs."""

    def claims(self, token: str) -> Mapping[str, Any]:
        """What a token says that the provider signed. Raises IdentityRefused for any other, NotReady while its keys cannot be had."""
        ...


class Upstream(Protocol):
    """An inference API that answers questions of a panel. Its methods run on one event loop."""

    @property
    def name(self) -> str: ...

    async def ask(self, question: Question) -> Reply:
        """Its reply, without reasoning blocks and never empty. Ends when it is cancelled.

        Raises UpstreamFailed (`core.inference`), whose message holds no secret.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class Store(Protocol):
    """Everything that the service remembers, except vectors. Safe to use from many threads and processes."""

    def reading(self) -> AbstractContextManager["Transaction"]:
        """One consistent view. Write nothing through it."""
        ...

    def writing(self) -> AbstractContextManager["Transaction"]:
        """All or nothing: what was written is durable when the block ends, and gone when it raises."""
        ...

    def scrub(self) -> bool:
        """Let nothing that was deleted stay in a file of the database, as far as that is in its hands; False where it has to wait."""
        ...


class Transaction(Protocol):
    """What one transaction can reach."""

    @property
    def prompt_sets(self) -> "PromptSetStore": ...

    @property
    def federations(self) -> "FederationStore": ...

    @property
    def participants(self) -> "ParticipantStore": ...

    @property
    def operators(self) -> "OperatorStore": ...

    @property
    def signing_keys(self) -> "SigningKeyStore": ...

    @property
    def tokens(self) -> "TokenStore": ...

    @property
    def invitations(self) -> "InvitationStore": ...

    @property
    def audit(self) -> "AuditStore": ...

    @property
    def erasures(self) -> "ErasureStore": ...

    @property
    def rounds(self) -> "RoundStore": ...

    @property
    def events(self) -> "EventStore": ...

    @property
    def submissions(self) -> "SubmissionStore": ...

    @property
    def labels(self) -> "LabelStore": ...

    @property
    def reliabilities(self) -> "ReliabilityStore": ...

    @property
    def appeals(self) -> "AppealStore": ...

    @property
    def traffic(self) -> "TrafficStore": ...

    @property
    def pulls(self) -> "PullStore": ...

    @property
    def parameters(self) -> "ParameterStore": ...


class PromptSetStore(Protocol):
    """Prompt sets by digest. They never change."""

    def add(self, manifest: Manifest, prompts: Sequence[Prompt]) -> None:
        """Raises AlreadyExists when the digest is held."""
        ...

    def manifests(self) -> tuple[Manifest, ...]:
        """All of them, by name, version and digest."""
        ...

    def manifest(self, digest: str) -> Manifest | None: ...

    def prompts(self, digest: str) -> tuple[Prompt, ...]:
        """In the order of `prompt_id`, by code points."""
        ...

    def known(self, digest: str, prompt_ids: Collection[str]) -> frozenset[str]:
        """Those of `prompt_ids` that are in the set."""
        ...


class FederationStore(Protocol):
    """Federations by name. They never change."""

    def add(self, terms: Terms, *, encoder: str, at: datetime) -> Federation:
        """Raises AlreadyExists when the name is taken."""
        ...

    def all(self) -> tuple[Federation, ...]:
        """By name."""
        ...

    def get(self, name: str, *, lock: bool = False) -> Federation | None:
        """lock: until the end of the transaction nobody else gets it locked."""
        ...


class ParticipantStore(Protocol):
    """Participants. Their tokens are in `TokenStore`."""

    def add(self, federation: Federation, name: str, role: Role, *, token_hash: str, at: datetime) -> Participant:
        """Active. token_hash: kept beside, and of no effect. Raises AlreadyExists when the federation has one of this name."""
        ...

    def of(self, federation: Federation) -> tuple[Participant, ...]:
        """By name."""
        ...

    def get(self, federation: Federation, name: str, *, lock: bool = False) -> Participant | None: ...

    def set_active(self, participant: Participant, *, active: bool) -> None: ...

    def set_certificates(self, participant: Participant, fingerprints: Collection[str]) -> None:
        """Bind the participant to these certificates alone; none: to no certificate."""
        ...

    def seen(self, at: Mapping[int, datetime]) -> None:
        """Note when participants were last heard of, by their key; an earlier moment than the noted one changes nothing."""
        ...

    def last_seen(self) -> tuple[datetime | None, ...]:
        """When each active participant of the server was last heard of; None: never."""
        ...


class SigningKeyStore(Protocol):
    """Public keys of participants. At most one of each signs; those before it are kept with their time."""

    def add(self, participant: Participant, key: str, *, at: datetime) -> None:
        """The one that signs from now on; the one before it must have ended. Raises AlreadyExists for one that was there before."""
        ...

    def end(self, participant: Participant, *, at: datetime) -> None:
        """The key that signs now signs no more."""
        ...

    def of(self, participant: Participant) -> tuple[SigningKey, ...]:
        """Oldest first."""
        ...

    def current(self, federation: Federation) -> Mapping[str, str]:
        """The keys that sign now, by participant."""
        ...


class OperatorStore(Protocol):
    """Operators of the server, by name."""

    def add(self, name: str, *, at: datetime) -> Operator:
        """Raises AlreadyExists when the name is taken."""
        ...

    def all(self) -> tuple[Operator, ...]:
        """By name."""
        ...

    def get(self, name: str, *, lock: bool = False) -> Operator | None:
        """lock: until the end of the transaction nobody else gets it locked."""
        ...

    def remove(self, operator: Operator) -> None:
        """Forget an operator, and its tokens."""
        ...


class TokenStore(Protocol):
    """Hashes of tokens, and what each is for."""

    def add(self, token: Token) -> None: ...

    def find(self, digest: str, *, lock: bool = False) -> Token | None:
        """By SHA-256 of the token, also after its expiry. lock: until the end of the transaction nobody ends it."""
        ...

    def of(self, holder: Participant | Operator) -> tuple[Token, ...]:
        """Oldest first, also those that have expired."""
        ...

    def end(self, token: Token, *, at: datetime | None = None) -> bool:
        """Let it end at a moment, if it does not end before; None: forget it. False where it is not there any more."""
        ...

    def used(self, digest: str, at: datetime) -> None:
        """Note a use; one that is not there is passed over."""
        ...


class AuditStore(Protocol):
    """Who did what: one chain for the server, which only grows, without gaps and forks."""

    def add(self, act: Act) -> None:
        """It is chained at the end of the transaction, whatever the number of processes."""
        ...

    def head(self) -> Head:
        """The last line."""
        ...

    def lines(self) -> Iterator[str]:
        """From the first, without newlines."""
        ...


class InvitationStore(Protocol):
    """Invitations by the hash of their code."""

    def add(self, federation: Federation, invitation: Invitation) -> None: ...

    def find(self, digest: str) -> Invitation | None:
        """By SHA-256 of the code, also one that was used or has expired."""
        ...

    def of(self, federation: Federation) -> tuple[Invitation, ...]:
        """Oldest first, also those that were used or have expired."""
        ...

    def used(self, invitation: Invitation, *, at: datetime, by: str) -> None: ...

    def remove(self, invitation: Invitation) -> None: ...


class RoundStore(Protocol):
    """Rounds, with their attendance counted at the moment of reading, and the leases of those that aggregate."""

    def add(self, federation: Federation, *, round_seconds: float) -> Round:
        """A draft whose number is one more than the last, from 1."""
        ...

    def of(self, federation: Federation) -> tuple[Round, ...]:
        """By number."""
        ...

    def last_number(self, federation: Federation) -> int:
        """Number of the newest, 0 before the first."""
        ...

    def get(self, federation: Federation, number: int, *, lock: bool = False) -> Round | None:
        """lock: until the end of the transaction nobody else gets it locked."""
        ...

    def save(self, round_: Round) -> Round:
        """Write all but the key and the attendance; ends a lease and its progress unless it aggregates. Answers as read again."""
        ...

    def open_rounds(self) -> tuple[tuple[str, int], ...]:
        """(federation, number) of every round that takes answers."""
        ...

    def claim(self, lease: str, *, now: datetime, until: datetime) -> Round | None:
        """Take the oldest round that is closed, or aggregates under a lease that has expired; None when there is none.

        At most one caller gets a round, whatever the number of processes. Each claim is counted in `Round.claims`,
        until the round is closed again.
        """
        ...

    def give_back(self, round_: Round, lease: str, *, now: datetime) -> bool:
        """End the lease in order: another may claim at once, and this claim is not counted. False when it was lost."""
        ...

    def renew(self, round_: Round, lease: str, *, until: datetime) -> bool:
        """Prolong the lease; False when it is no longer this one."""
        ...

    def count_by_state(self) -> Mapping[RoundState, int]: ...


class EventStore(Protocol):
    """The history of each round."""

    def add(self, round_: Round, kind: EventKind, at: datetime) -> Event:
        """The round must be locked: its events are numbered without gaps."""
        ...

    def after(self, round_: Round, event_id: int) -> tuple[Event, ...]:
        """Those with a greater id, in order."""
        ...


@dataclass(frozen=True, slots=True)
class SealedSubmission:
    """What a participant sealed."""

    count: int
    digest: str
    sealed_at: datetime
    privacy: PrivacyStatement | None = None
    taught_through: int = 0
    """Newest round whose labels the answering model was trained on; 0: none."""
    carried_from: int | None = None
    """Round whose answers stand for this one too."""
    signed: Signed | None = None
    """By the participant; None: it did not sign."""


@dataclass(frozen=True, slots=True)
class PooledAnswer:
    """One answer of a sealed submission."""

    prompt_id: str
    participant: str
    sample: int
    text: str
    digest: str


class SubmissionStore(Protocol):
    """Answers by round, participant, prompt and sample."""

    def held(
        self, round_: Round, participant: Participant, prompt_ids: Collection[str] | None = None
    ) -> Mapping[AnswerKey, str]:
        """Content digests by (prompt_id, sample), in that order; of `prompt_ids` only where given."""
        ...

    def count(self, round_: Round, participant: Participant) -> int: ...

    def add(self, round_: Round, participant: Participant, answers: Sequence[tuple[Answer, str]]) -> None:
        """Store answers with their content digests; none of their keys may be held."""
        ...

    def remove(self, round_: Round, participant: Participant, keys: Collection[AnswerKey]) -> None:
        """Forget the answers with these (prompt_id, sample)."""
        ...

    def seal(self, round_: Round, participant: Participant, sealed: SealedSubmission, *, late: bool = False) -> None:
        """late: after the end of the round; kept apart, and in no pool of it."""
        ...

    def sealed(self, round_: Round, participant: Participant, *, late: bool = False) -> SealedSubmission | None: ...

    def seals(self, round_: Round, *, late: bool = False) -> Mapping[str, SealedSubmission]:
        """What was sealed in a round, or late to it, by participant in the order of names."""
        ...

    def carry(self, source: Round, round_: Round, participant: Participant) -> None:
        """The participant's answers of round `source` are its answers of `round_` too."""
        ...

    def first_hand_before(self, round_: Round, participant: str) -> int | None:
        """Number of the newest earlier round in which a participant sealed first-hand answers; None where it never did."""
        ...

    def pooled(self, round_: Round, prompt_id: str | None = None) -> Iterator[PooledAnswer]:
        """All answers of sealed submissions, or those to one prompt, in the order of prompt_id, participant and sample."""
        ...


class Said(NamedTuple):
    """What was answered to a prompt."""

    prompt_id: str
    digest: str
    """Of the text."""


class ErasureStore(Protocol):
    """Deletes what participants answered, and remembers that it did. The federation must be locked."""

    def forget(self, round_: Round, participant: Participant) -> list[Said]:
        """Delete the participant's answers and parameters of a round, and what was written in its appeals; what the answers said."""
        ...

    def still_said(self, federation: Federation, said: Collection[Said]) -> set[Said]:
        """Those that an answer which is held in the federation gives word for word."""
        ...

    def forget_vectors(self, digests: Collection[str]) -> None:
        """Delete the vectors of texts that no answer of any federation gives."""
        ...

    def rewrite(self, round_: Round, record: "LabelRecord") -> None:
        """Put another line and other contests in the place of a published label's."""
        ...

    def note(self, round_: Round, participant: Participant, at: datetime, *, answers: int, labels: int) -> None:
        """Remember how many more were deleted and withheld."""
        ...

    def of(
        self, federation: Federation, *, participant: Participant | None = None, round_: Round | None = None
    ) -> tuple[ErasedRound, ...]:
        """What was erased, by round and participant; of one of these only where given."""
        ...


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """One published pseudo-label and what became of the answers to its prompt."""

    prompt_id: str
    line: str
    """Canonical JSON without the newline: the very characters that the round's digest is made of."""
    fates: tuple[AnswerFate, ...]
    contests: tuple[ClusterContest, ...] = ()


class LabelStore(Protocol):
    """What published rounds gave back. Written once, never changed."""

    def publish(self, round_: Round, records: Iterable[LabelRecord], card: RoundCard) -> None: ...

    def lines(self, round_: Round, *, after: str, limit: int) -> tuple[tuple[str, str], ...]:
        """(prompt_id, line) of up to `limit` labels with a prompt_id greater than `after`, in its order."""
        ...

    def get(self, round_: Round, prompt_id: str) -> LabelRecord | None: ...

    def fates(self, round_: Round, *, after: str, limit: int) -> tuple[tuple[str, tuple[AnswerFate, ...]], ...]:
        """(prompt_id, what became of its answers) of up to `limit` prompts after `after`, in the order of prompt_id."""
        ...

    def card(self, round_: Round) -> RoundCard | None: ...

    def sign(self, round_: Round, signed: Signed) -> None:
        """Keep the server's signature of a round. Once for each."""
        ...

    def signature(self, round_: Round) -> Signed | None:
        """None for a round that no server signed."""
        ...


class ReliabilityStore(Protocol):
    """How participants came out of published rounds. Written once, with the labels."""

    def add(self, round_: Round, rows: Iterable[Reliability]) -> None:
        """One row for each participant, who must be known."""
        ...

    def of(self, round_: Round) -> tuple[Reliability, ...]:
        """By participant's name."""
        ...

    def before(self, federation: Federation, number: int) -> Mapping[str, tuple[tuple[int, Reliability], ...]]:
        """By participant: (round, row) of the published rounds before `number`, oldest first."""
        ...


class AppealStore(Protocol):
    """Appeals by number within their federation."""

    def add(self, round_: Round, participant: Participant, gate: str, text: str, at: datetime) -> Appeal:
        """The federation must be locked. Raises AlreadyExists where the participant appealed in this round already."""
        ...

    def of(self, federation: Federation) -> tuple[Appeal, ...]:
        """By number."""
        ...

    def get(self, federation: Federation, number: int) -> Appeal | None: ...

    def resolve(self, federation: Federation, number: int, outcome: AppealOutcome, note: str, at: datetime) -> None: ...

    def exemptions(self, federation: Federation) -> tuple[tuple[str, str], ...]:
        """(participant, gate) of the pairs whose last resolved appeal was upheld, sorted."""
        ...


@dataclass(frozen=True, slots=True)
class TrafficCount:
    """Bytes to add to what is counted for a participant in a round."""

    federation: str
    number: int
    participant: str
    received_bytes: int
    """From the participant to the server."""
    sent_bytes: int
    """From the server to the participant."""


class TrafficStore(Protocol):
    """Bytes on the wire by round and participant."""

    def add(self, counts: Iterable[TrafficCount]) -> None:
        """Counts for rounds or participants that do not exist are dropped."""
        ...

    def of(self, round_: Round) -> tuple[ParticipantTraffic, ...]:
        """By participant's name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateFile:
    """What one participant sent on the parameter path, as it came."""

    participant: str
    digest: str
    """SHA-256 of `content`."""
    rank: int
    examples: int
    content: bytes
    """safetensors."""


@dataclass(frozen=True, slots=True)
class AggregateFile:
    """What goes back on the parameter path."""

    recipient: str
    """A participant; empty: everybody who has no file of its own."""
    digest: str
    """SHA-256 of `content`."""
    content: bytes
    """safetensors."""


class ParameterStore(Protocol):
    """Files of the parameter path: one update per participant and round, and what was made of them."""

    def held(self, round_: Round, participant: Participant) -> str | None:
        """Digest of the participant's update."""
        ...

    def keep(self, round_: Round, participant: Participant, file: UpdateFile) -> None:
        """In place of the one that is held."""
        ...

    def remove(self, round_: Round, participant: Participant) -> None:
        """Forget the participant's update, where one is held."""
        ...

    def sealed(self, round_: Round) -> Iterator[UpdateFile]:
        """Updates of sealed submissions, by participant."""
        ...

    def publish(self, round_: Round, files: Iterable[AggregateFile]) -> None: ...

    def aggregate(self, round_: Round, recipient: str) -> AggregateFile | None:
        """The recipient's own file, or the one for everybody else."""
        ...


class PullStore(Protocol):
    """Participants that the server itself asks, and how far it has come with each."""

    def set_endpoint(self, participant: Participant, endpoint: Endpoint | None) -> None:
        """How to ask it from now on; None: ask it no more."""
        ...

    def endpoint(self, participant: Participant) -> Endpoint | None: ...

    def claim(self, lease: str, *, now: datetime, until: datetime) -> PullClaim | None:
        """Take a participant that is to be asked in an open round, has not sealed, and that no worker asks or waits for.

        At most one caller gets it, whatever the number of processes; None when there is none.
        """
        ...

    def renew(self, round_: Round, participant: Participant, lease: str, *, until: datetime) -> bool:
        """Prolong the lease; False when it is no longer this one."""
        ...

    def save(
        self, round_: Round, participant: Participant, lease: str, pull: Pull, *, next_try: datetime | None = None
    ) -> bool:
        """Write how far it has come, if the lease is still this one. next_try: ends the lease until then."""
        ...

    def tokens(self, round_: Round, participant: Participant) -> int:
        """Of the answers that are held, as far as they were counted."""
        ...

    def of(self, round_: Round) -> tuple[PullStatus, ...]:
        """By participant's name."""
        ...
