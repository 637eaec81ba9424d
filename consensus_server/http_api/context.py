"""What the routes work with: use cases and the state of this process. Made by `consensus_server.wiring`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from fastapi import Request

from consensus_server.core.encoders import EncoderIdentity
from consensus_server.core.rounds import Event, Round
from consensus_server.http_api.bodies import BodyLimits
from consensus_server.http_api.memory import MemoryBudget
from consensus_server.http_api.metrics import Metrics
from consensus_server.http_api.polling import SharedPoll
from consensus_server.http_api.rate_limit import RateLimiter
from consensus_server.http_api.traffic import TrafficLedger
from consensus_server.service.access import SERVER_OPERATOR, Access, Caller
from consensus_server.service.appeals import Appeals
from consensus_server.service.bundles import Bundles
from consensus_server.service.endpoints import Endpoints
from consensus_server.service.erasures import Erasures
from consensus_server.service.federations import Federations
from consensus_server.service.inference import Inference
from consensus_server.service.inspection import Inspection
from consensus_server.service.invitations import Invitations
from consensus_server.service.operators import Operators
from consensus_server.service.parameters import Parameters
from consensus_server.service.participants import Participants
from consensus_server.service.prompt_sets import PromptSets
from consensus_server.service.pseudo_labels import PseudoLabels
from consensus_server.service.rejections import Rejections
from consensus_server.service.reliability import Reliabilities
from consensus_server.service.round_signatures import RoundSignatures
from consensus_server.service.rounds import Rounds
from consensus_server.service.signing_keys import SigningKeys
from consensus_server.service.submissions import Submissions
from consensus_server.service.traffic import Traffic

MESSAGE_BYTES = 1024 * 1024
"""JSON grows twentyfold when it is read: more than any message needs would cost more than any message is worth."""

READY_SECONDS = 1.0
"""How old the state of the database may be that readiness tells."""

CALLER_SECONDS = 0.75
"""How often it is looked whether the token of a waiting request still holds: streams end well within 2 s of its end."""


@dataclass(frozen=True, slots=True)
class UseCases:
    """Everything that a caller can ask for."""

    access: Access
    prompt_sets: PromptSets
    federations: Federations
    participants: Participants
    erasures: Erasures
    signing_keys: SigningKeys
    operators: Operators
    invitations: Invitations
    rounds: Rounds
    round_signatures: RoundSignatures
    bundles: Bundles
    submissions: Submissions
    endpoints: Endpoints
    pseudo_labels: PseudoLabels
    parameters: Parameters
    traffic: Traffic
    reliabilities: Reliabilities
    rejections: Rejections
    appeals: Appeals
    inspection: Inspection


@dataclass(frozen=True, slots=True)
class EncoderState:
    """How far the encoder is."""

    identity: EncoderIdentity | None = None
    """None until it is loaded."""
    stand_in: bool = False
    failure: str | None = None
    """Why it cannot be loaded; it stays so until the server is started again."""


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """What an operator can choose about the API."""

    body_limits: BodyLimits = field(default_factory=BodyLimits)
    parameter_limits: BodyLimits = field(default_factory=BodyLimits)
    message_limits: BodyLimits = field(default_factory=lambda: BodyLimits(MESSAGE_BYTES, MESSAGE_BYTES))
    """Of a body that is one JSON message, unless the server's operator sends it."""
    memory_bytes: int = 512 * 1024 * 1024
    """Most bytes that the requests under way hold, all together."""
    requests_at_once: int = 100
    """Requests of one caller that may be under way at the same time."""
    cors_origins: tuple[str, ...] = ()
    """Pages that browsers let ask this server."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Whose word counts for the certificate of a caller."""
    requests_per_second: float = 100.0
    request_burst: int = 400
    poll_seconds: float = 0.25
    """How often a round is looked at while somebody waits for it."""
    heartbeat_seconds: float = 10.0
    traffic_seconds: float = 1.0
    threads: int = 40
    """Use cases that run at the same time."""

    @property
    def caller_bytes(self) -> int:
        """Most bytes that the requests of one caller hold: a quarter of all, or two of the largest bodies."""
        return min(self.memory_bytes, max(self.memory_bytes // 4, 2 * self.parameter_limits.wire_bytes))


class ApiContext:
    """One server's use cases, counters and waiting rooms."""

    def __init__(
        self,
        use_cases: UseCases,
        *,
        encoder: Callable[[], EncoderState],
        database: Callable[[], str],
        threads: Callable[[], list[str]],
        metrics: Metrics,
        ledger: TrafficLedger,
        options: ApiOptions,
        inference: Inference,
    ) -> None:
        """database: `ok`, or what is wrong, fit to be shown; may block. threads: names of those that do not work."""
        self.use_cases = use_cases
        self.encoder = encoder
        self.threads = threads
        self.database: SharedPoll[None, str] = SharedPoll(lambda _: database(), READY_SECONDS)
        """What `database` says, asked at most once a second however many ask."""
        self.metrics = metrics
        self.options = options
        self.rate_limiter = RateLimiter(options.requests_per_second, options.request_burst)
        self.memory = MemoryBudget(options.memory_bytes, options.caller_bytes, options.requests_at_once)
        self.ledger = ledger
        self.inference = inference
        self.rounds: SharedPoll[tuple[str, int], Round] = SharedPoll(self._round, options.poll_seconds)
        self.last_rounds: SharedPoll[str, int] = SharedPoll(self._last_round, options.poll_seconds)
        """Number of a federation's newest round, 0 before the first."""
        self.callers: SharedPoll[Caller, None] = SharedPoll(use_cases.access.check, CALLER_SECONDS)
        """Raises Unauthenticated once a token has ended: for who waits."""
        self.look_seconds = min(options.poll_seconds, CALLER_SECONDS)
        """How often who waits looks."""
        self.events: SharedPoll[tuple[str, int], tuple[Event, ...]] = SharedPoll(self._events, options.poll_seconds)
        self.stopping = asyncio.Event()
        """Set when the server is about to end: whoever waits is answered now."""

    def _round(self, key: tuple[str, int]) -> Round:
        """Read as the server's operator: whether a caller may see it is checked once, before it waits."""
        return self.use_cases.rounds.get(SERVER_OPERATOR, *key)

    def _last_round(self, federation: str) -> int:
        return self.use_cases.rounds.last_number(SERVER_OPERATOR, federation)

    def _events(self, key: tuple[str, int]) -> tuple[Event, ...]:
        return self.use_cases.rounds.events_after(SERVER_OPERATOR, *key)


def context_of(request: Request) -> ApiContext:
    """The context of the app that serves this request."""
    context: ApiContext = request.app.state.context
    return context
