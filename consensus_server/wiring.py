"""Names to implementations: settings in, a server's parts out. Libraries of models are loaded with the encoder."""

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network

import structlog
from fastapi import FastAPI

from consensus_server.backends.clock import LOOK_SECONDS, SteadyClock, SystemClock
from consensus_server.backends.encoders import EmbeddingsApi, EncoderError, known_identity, load_encoder
from consensus_server.backends.encoders.embeddings_api import read_key
from consensus_server.backends.neighbours.faiss_flat import FaissNeighbours
from consensus_server.backends.projections import umap_plane
from consensus_server.backends.store import DatabaseUrlError, NewerSchema, SqlStore, open_store
from consensus_server.comparison_wiring import build_comparisons
from consensus_server.core.encoders import EncoderIdentity
from consensus_server.http_api.app import create_app
from consensus_server.http_api.bodies import BodyLimits
from consensus_server.http_api.context import MESSAGE_BYTES, ApiContext, ApiOptions, EncoderState, UseCases
from consensus_server.http_api.metrics import Metrics
from consensus_server.http_api.traffic import TrafficLedger
from consensus_server.identity_wiring import build_identities
from consensus_server.panel_wiring import build_inference, build_pulling, upstream_names
from consensus_server.ports import Clock, EmbeddingStore, Encoder
from consensus_server.service.access import Access
from consensus_server.service.aggregation import Aggregation
from consensus_server.service.appeals import Appeals
from consensus_server.service.budgets import Budgets
from consensus_server.service.bundles import Bundles
from consensus_server.service.contradictions import Comparisons
from consensus_server.service.endpoints import Endpoints
from consensus_server.service.erasures import Erasures
from consensus_server.service.federations import Federations
from consensus_server.service.inspection import Inspection
from consensus_server.service.invitations import Invitations
from consensus_server.service.operators import Operators
from consensus_server.service.parameters import Parameters
from consensus_server.service.participants import Participants
from consensus_server.service.prompt_sets import PromptSets
from consensus_server.service.pseudo_labels import PseudoLabels
from consensus_server.service.pulling import Pulling
from consensus_server.service.rejections import Rejections
from consensus_server.service.reliability import Reliabilities
from consensus_server.service.round_signatures import RoundSignatures
from consensus_server.service.rounds import Rounds
from consensus_server.service.signing_keys import SigningKeys
from consensus_server.service.submissions import Submissions
from consensus_server.service.supervising import Supervisor
from consensus_server.service.traffic import Traffic
from consensus_server.service.worker import AggregationWorker
from consensus_server.settings import Settings, SettingsError, names_in, signing_key


class EncoderSlot:
    """Where the encoder will be. It is loaded in a thread, so that the port opens at once."""

    def __init__(self, load: Callable[[], Encoder], known: Callable[[], EncoderIdentity | None] = lambda: None) -> None:
        """known: the identity of what `load` loads, where that is known beforehand."""
        self._load = load
        self._known = known
        self._identified: EncoderIdentity | None = None
        self._done = threading.Event()
        self._encoder: Encoder | None = None
        self._failure: str | None = None

    def start(self) -> None:
        """Begin to load, without waiting. A failure is logged and shown by `state`."""
        threading.Thread(target=self._fill, name="encoder-loading", daemon=True).start()

    def load_now(self) -> None:
        """Load in this thread. Raises what the loading raises."""
        self._encoder = self._load()
        self._done.set()

    def identify(self) -> None:
        """Learn the identity, and load for it only where it is not known beforehand. Raises what the loading raises."""
        self._identified = self._known()
        if self._identified is None:
            self.load_now()

    def wait(self) -> Encoder | None:
        """The encoder once it is loaded; None where that failed."""
        self._done.wait()
        return self._encoder

    def loaded(self) -> Encoder | None:
        """The encoder; None while it loads, and where that failed."""
        return self._encoder

    def identity(self) -> EncoderIdentity | None:
        """None while it loads, and where that failed."""
        return self._encoder.identity if self._encoder else self._identified

    def known_digest(self) -> str | None:
        """Of the identity, as far as it is known without loading."""
        identity = self.identity() or self._known()
        return None if identity is None else identity.digest

    def state(self) -> EncoderState:
        """For readiness."""
        encoder = self._encoder
        if encoder is None:
            return EncoderState(failure=self._failure)
        return EncoderState(identity=encoder.identity, stand_in=encoder.stand_in)

    def _fill(self) -> None:
        log = structlog.get_logger("consensus_server.encoder")
        try:
            self._encoder = self._load()
        except EncoderError as error:
            self._failure = str(error)
            log.error("the encoder cannot be loaded; correct the cause and start the server again", cause=str(error))  # noqa: TRY400 - the cause says it all
        except Exception as error:
            self._failure = f"{type(error).__name__}; see the log"
            log.exception("the encoder cannot be loaded; correct the cause and start the server again")
        else:
            log.info("encoder loaded", name=self._encoder.identity.name, digest=self._encoder.identity.digest)
            if self._encoder.stand_in:
                log.warning("THE ENCODER IS A STAND-IN that knows no meaning: its pseudo-labels are for tests only")
        finally:
            self._done.set()


@dataclass(frozen=True, slots=True)
class Server:
    """The parts of one server, over one database. Close it in the end."""

    settings: Settings
    store: SqlStore
    clock: Clock
    encoder: EncoderSlot
    comparisons: Comparisons
    use_cases: UseCases
    metrics: Metrics
    ledger: TrafficLedger
    threads: Supervisor

    def close(self) -> None:
        """Give the database's connections back."""
        self.store.close()


def build_server(settings: Settings, token: str, *, patience_seconds: float = 0.0) -> Server:
    """Use cases over the database of the settings, which is brought to the newest schema first.

    token: the server operator's. patience_seconds: how long to wait for a PostgreSQL that is starting. The encoder is not loaded: see
    EncoderSlot. Raises SettingsError, and StoreUnavailable where the database cannot be used.
    """
    settings.make_data_dir()
    try:
        store = open_store(settings.database, patience_seconds=patience_seconds)
    except DatabaseUrlError as error:
        raise SettingsError(f"CONSENSUS_DATABASE_URL (or --database-url): {error}") from None
    except NewerSchema as error:
        raise SettingsError(f"CONSENSUS_DATABASE_URL (or --data-dir): {error}.") from None
    try:
        return _server_over(store, settings, token)
    except BaseException:
        store.close()
        raise


def _server_over(store: SqlStore, settings: Settings, token: str) -> Server:
    clock = _clock(store)
    encoder = EncoderSlot(lambda: load_configured_encoder(settings, store.embeddings), lambda: _known_encoder(settings))
    metrics = Metrics()
    comparisons = build_comparisons(settings, store.features)
    use_cases = _use_cases(store, clock, encoder, comparisons, token, settings)
    threads = Supervisor()
    metrics.watch_threads(threads.restarts)
    metrics.watch_rounds(use_cases.rounds.count_by_state)
    metrics.watch_participants(use_cases.participants.count_by_presence)
    ledger = TrafficLedger(use_cases.traffic.add, on_bytes=metrics.count_bytes)
    return Server(settings, store, clock, encoder, comparisons, use_cases, metrics, ledger, threads)


def _clock(store: SqlStore) -> Clock:
    if store.clock is None:
        return SteadyClock(SystemClock().now)
    return SteadyClock(store.clock, look_seconds=LOOK_SECONDS)


def load_configured_encoder(settings: Settings, store: EmbeddingStore) -> Encoder:
    """The encoder that the settings name. Raises EncoderError.

    store: keeps what an endpoint's model is recognised by.
    """
    return load_encoder(
        settings.encoder,
        threads=settings.encoder_threads or None,
        prefix=settings.encoder_prefix,
        tokens=settings.encoder_tokens or None,
        api=_embeddings_api(settings),
        store=store,
    )


def _known_encoder(settings: Settings) -> EncoderIdentity | None:
    return known_identity(settings.encoder, prefix=settings.encoder_prefix, tokens=settings.encoder_tokens or None)


def _embeddings_api(settings: Settings) -> EmbeddingsApi | None:
    if not settings.encoder_url or not settings.encoder_dimension:
        return None
    return EmbeddingsApi(
        settings.encoder_url,
        settings.encoder_dimension,
        key=_embeddings_key(settings),
        revision=settings.encoder_revision,
    )


def _embeddings_key(settings: Settings) -> str | None:
    """By name only, so that it stands in no list of processes and in no settings."""
    if settings.encoder_key_file is not None:
        return read_key(settings.encoder_key_file)
    if not settings.encoder_key_variable:
        return None
    key = os.environ.get(settings.encoder_key_variable)
    if not key:
        raise EncoderError(
            f"the variable {settings.encoder_key_variable}, which CONSENSUS_ENCODER_KEY_VARIABLE names, is not set."
        )
    return key


def _use_cases(  # noqa: PLR0917 - the parts of a server
    store: SqlStore, clock: Clock, encoder: EncoderSlot, comparisons: Comparisons, token: str, settings: Settings
) -> UseCases:
    labels = PseudoLabels(store, clock)
    return UseCases(
        access=Access(store, token, clock, build_identities(settings, clock)),
        prompt_sets=PromptSets(store, clock),
        federations=Federations(store, clock, encoder.identity, comparisons),
        participants=Participants(store, clock),
        erasures=Erasures(store, clock),
        signing_keys=SigningKeys(store, clock),
        operators=Operators(store, clock),
        invitations=Invitations(store, clock),
        rounds=Rounds(store, clock, comparisons),
        round_signatures=RoundSignatures(store, clock, lambda: signing_key(settings).public),
        bundles=Bundles(store, clock),
        submissions=Submissions(store, clock),
        endpoints=Endpoints(store, clock, lambda: upstream_names(settings)),
        pseudo_labels=labels,
        parameters=Parameters(store, clock, labels),
        traffic=Traffic(store),
        reliabilities=Reliabilities(store, clock),
        rejections=Rejections(store, clock),
        appeals=Appeals(store, clock),
        inspection=Inspection(store, store.embeddings, clock, {"umap": umap_plane}, comparisons),
    )


def build_api(server: Server, *, health_only: bool = False) -> FastAPI:
    """The HTTP API over a server's use cases. Its context is `app.state.context`. Raises SettingsError."""
    context = ApiContext(
        server.use_cases,
        encoder=server.encoder.state,
        database=server.store.check,
        threads=server.threads.troubled,
        metrics=server.metrics,
        ledger=server.ledger,
        options=_api_options(server.settings),
        inference=build_inference(
            server.settings,
            server.encoder.loaded,
            Budgets(server.store.spendings, server.clock),
            server.store.panel_memories,
        ),
    )
    return create_app(context, health_only=health_only)


def _api_options(settings: Settings) -> ApiOptions:
    patience = settings.idle_seconds, settings.body_seconds
    return ApiOptions(
        body_limits=BodyLimits(settings.wire_bytes, settings.body_bytes, *patience),
        parameter_limits=BodyLimits(settings.parameter_bytes, settings.parameter_bytes, *patience),
        message_limits=BodyLimits(
            min(settings.wire_bytes, MESSAGE_BYTES), min(settings.body_bytes, MESSAGE_BYTES), *patience
        ),
        memory_bytes=settings.request_memory_bytes,
        requests_at_once=settings.requests_at_once,
        cors_origins=names_in(settings.cors_origins),
        trusted_proxies=tuple(map(ip_network, names_in(settings.trusted_proxies))),
        requests_per_second=settings.requests_per_second,
        request_burst=settings.request_burst,
        poll_seconds=settings.poll_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
        traffic_seconds=settings.traffic_seconds,
        threads=settings.threads,
    )


def run_worker(server: Server, stop: threading.Event) -> None:
    """Aggregate closed rounds until `stop` is set. Waits for the encoder first; returns where it cannot be loaded."""
    encoder = server.encoder.wait()
    if encoder is not None:
        build_worker(server, encoder).run(stop)


def pulling_of(server: Server) -> Pulling | None:
    """What asks the participants that are endpoints; None where the settings name no panels file. Raises SettingsError."""
    return build_pulling(server.settings, server.store, server.clock, server.use_cases.submissions)


def run_puller(server: Server, pulling: Pulling, stop: threading.Event) -> None:
    """Ask until `stop` is set."""
    asyncio.run(pulling.run(stop, poll_seconds=server.settings.poll_seconds))


def build_worker(server: Server, encoder: Encoder) -> AggregationWorker:
    """A worker over a server's database."""
    aggregation = Aggregation(
        server.store,
        server.store.embeddings,
        encoder,
        server.clock,
        lease_seconds=server.settings.lease_seconds,
        neighbours=FaissNeighbours(),
        comparisons=server.comparisons,
        before_publishing=server.ledger.flush,
        on_published=server.metrics.count_round,
        signing_key=signing_key(server.settings),
    )
    return AggregationWorker(
        aggregation,
        server.use_cases.rounds,
        poll_seconds=server.settings.poll_seconds,
        on_aggregated=lambda done: server.metrics.aggregation.labels(done.result.value).observe(done.seconds),
        sweep=server.use_cases.erasures.sweep,
    )
