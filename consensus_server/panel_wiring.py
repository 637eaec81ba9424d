"""From the panels file to panels that answer, and to the asking of participants."""

from collections.abc import Callable, Mapping
from hashlib import sha256

from client_kit.certificates import ClientCertificate
from client_kit.errors import MissingExtra
from client_kit.generation.openai_compatible import InferenceApi
from client_kit.wire import Refusals
from client_kit.wire.digests import canonical_json
from consensus_server.backends.upstreams import OpenAIUpstream, cleaned, seed_of_answer
from consensus_server.core.consensus.rules import rule_named
from consensus_server.http_api import translate
from consensus_server.panel_settings import PanelSettings, PanelsFile, UpstreamSettings, load_panels, upstream_key
from consensus_server.ports import Clock, Encoder, PanelMemoryStore, Store, Upstream
from consensus_server.service.contradictions import pinned
from consensus_server.service.fan_out import WaitLimits
from consensus_server.service.inference import Inference, Panel, PanelCaller
from consensus_server.service.panel_memory import MemoryTerms, PanelMemory
from consensus_server.service.pulling import Pulling
from consensus_server.service.submissions import Submissions
from consensus_server.settings import Settings, SettingsError


def build_inference(
    settings: Settings, encoder: Callable[[], Encoder | None], memories: PanelMemoryStore | None = None
) -> Inference:
    """The panels of the file that the settings name; without one, none. Raises SettingsError.

    memories: what panels remember is kept there; None: no panel has a memory.
    """
    file = PanelsFile() if settings.panels_file is None else load_panels(settings.panels_file)
    upstreams = build_upstreams(file)
    panels = [_panel(name, panel, file, upstreams) for name, panel in file.panels.items()]
    callers = [
        PanelCaller(name, caller.token_hash, frozenset(file.panels if caller.panels == "all" else caller.panels))
        for name, caller in file.callers.items()
    ]
    return Inference(panels, callers, encoder, None if memories is None else PanelMemory(memories))


def upstream_names(settings: Settings) -> frozenset[str]:
    """Upstreams of the file that the settings name; none without one. Raises SettingsError."""
    return frozenset() if settings.panels_file is None else frozenset(load_panels(settings.panels_file).upstreams)


def build_pulling(settings: Settings, store: Store, clock: Clock, submissions: Submissions) -> Pulling | None:
    """What asks participants through the upstreams of the file; None where the settings name none. Raises SettingsError."""
    if settings.panels_file is None:
        return None
    return Pulling(
        store,
        clock,
        submissions,
        build_upstreams(load_panels(settings.panels_file)),
        clean=cleaned,
        seed=seed_of_answer,
        lease_seconds=settings.lease_seconds,
    )


def build_upstreams(file: PanelsFile) -> dict[str, Upstream]:
    """Every upstream of a panels file, for one event loop. Raises SettingsError for a key that is not there."""
    try:
        return {name: build_upstream(name, each) for name, each in file.upstreams.items()}
    except MissingExtra as error:
        raise SettingsError(str(error)) from None


def build_upstream(name: str, settings: UpstreamSettings) -> Upstream:
    """One upstream, for one event loop. Raises SettingsError for a key that is not there, MissingExtra, ConfigurationError."""
    return OpenAIUpstream(name, _inference_api(name, settings))


def _inference_api(name: str, settings: UpstreamSettings) -> InferenceApi:
    return InferenceApi(
        base_url=settings.base_url,
        model=settings.model,
        api_key=upstream_key(name, settings),
        api=settings.api,
        concurrency=settings.concurrency,
        timeout_seconds=settings.timeout_seconds,
        retries=settings.retries,
        token_limit_field=settings.token_limit_field,
        extra_body=settings.extra_body,
        omit=settings.omit,
        client_certificate=ClientCertificate.named(settings.client_certificate, settings.client_key),
    )


def _panel(name: str, settings: PanelSettings, file: PanelsFile, upstreams: Mapping[str, Upstream]) -> Panel:
    return Panel(
        name=name,
        upstreams=tuple(upstreams[each] for each in settings.upstreams),
        limits=WaitLimits(
            quorum=settings.quorum,
            deadline_seconds=settings.deadline_seconds,
            patience_seconds=settings.patience_seconds,
            drop_refusals=settings.refusals is Refusals.DROP,
        ),
        policy=pinned(translate.policy(settings.policy)),
        equivalence=settings.equivalence,
        fingerprint=_fingerprint(settings, file),
        on_abstention=settings.on_abstention,
        memory=memory_terms(settings, file),
    )


def memory_terms(settings: PanelSettings, file: PanelsFile) -> MemoryTerms | None:
    """How a panel remembers; None where it does not, or where its rule trusts nobody."""
    if settings.memory is None or not rule_named(settings.policy.rule).round_wide:
        return None
    versions = {name: _digest(_asked_for(file.upstreams[name])) for name in settings.upstreams}
    return MemoryTerms(half_life_questions=settings.memory.half_life_questions, versions=versions)


def _asked_for(upstream: UpstreamSettings) -> dict[str, object]:
    """What an answer of an upstream depends on."""
    return upstream.model_dump(mode="json", include={"base_url", "model", "api", "extra_body", "omit"})


def _digest(content: object) -> str:
    return sha256(canonical_json(content).encode()).hexdigest()


def _fingerprint(settings: PanelSettings, file: PanelsFile) -> str:
    """Of everything in the file that an answer depends on; keys and limits of time are none of it."""
    asked = {name: _asked_for(file.upstreams[name]) for name in settings.upstreams}
    made_of = [
        settings.model_dump(mode="json", include={"quorum", "policy", "equivalence", "refusals", "memory"}),
        asked,
    ]
    return f"fp_{_digest(made_of)[:12]}"
