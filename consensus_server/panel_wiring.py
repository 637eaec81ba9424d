"""From the panels file to panels that answer, and to the asking of participants."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar

import structlog

from client_kit.certificates import ClientCertificate
from client_kit.errors import ConfigurationError, MissingExtra
from client_kit.generation.openai_compatible import InferenceApi
from client_kit.wire import Refusals
from client_kit.wire.digests import canonical_json
from consensus_server.backends.upstreams import OpenAIUpstream, cleaned, seed_of_answer
from consensus_server.core.asking import Adaptive
from consensus_server.core.budgets import SPANS, Budget, Price, Tariff
from consensus_server.core.consensus.rules import rule_named
from consensus_server.core.panel_memory import LEAST_ANSWERS
from consensus_server.http_api import translate
from consensus_server.panel_settings import (
    BudgetSettings,
    PanelSettings,
    PanelsFile,
    UpstreamSettings,
    WatchedPanels,
    load_panels,
    upstream_key,
)
from consensus_server.ports import Clock, Encoder, PanelMemoryStore, Store, Upstream
from consensus_server.service.budgets import Budgets
from consensus_server.service.contradictions import pinned
from consensus_server.service.fan_out import WaitLimits
from consensus_server.service.inference import Inference
from consensus_server.service.panel_memory import MemoryTerms, PanelMemory
from consensus_server.service.panels import Panel, PanelCaller, Panels
from consensus_server.service.pulling import Pulling
from consensus_server.service.submissions import Submissions
from consensus_server.settings import Settings, SettingsError

T = TypeVar("T")

_log = structlog.get_logger("consensus_server.panels")


def build_inference(
    settings: Settings,
    encoder: Callable[[], Encoder | None],
    budgets: Budgets | None = None,
    memories: PanelMemoryStore | None = None,
) -> Inference:
    """The panels of the file that the settings name, as it is and as it becomes; without one, none.

    budgets: keeps those of callers. memories: keeps what panels remember; None: no panel has a memory. Raises SettingsError.
    """
    if settings.panels_file is None:
        return Inference(Panels(), encoder)
    watched, upstreams = WatchedPanels(settings.panels_file), _Upstreams()

    def panels(file: PanelsFile) -> Panels:
        return _panels(file, upstreams.of(file, {name for panel in file.panels.values() for name in panel.reached}))

    memory = None if memories is None else PanelMemory(memories)
    return Inference(panels(watched.file), encoder, budgets, memory, renewed=partial(_renewed, watched, panels))


def upstream_names(settings: Settings) -> frozenset[str]:
    """Upstreams of the file that the settings name; none without one. Raises SettingsError."""
    return frozenset() if settings.panels_file is None else frozenset(load_panels(settings.panels_file).upstreams)


def build_pulling(settings: Settings, store: Store, clock: Clock, submissions: Submissions) -> Pulling | None:
    """What asks participants through the upstreams of the file; None where the settings name none. Raises SettingsError."""
    if settings.panels_file is None:
        return None
    watched, upstreams = WatchedPanels(settings.panels_file), _Upstreams()
    return Pulling(
        store,
        clock,
        submissions,
        upstreams.of(watched.file, watched.file.upstreams),
        renewed=partial(_renewed, watched, lambda file: upstreams.of(file, file.upstreams)),
        clean=cleaned,
        seed=seed_of_answer,
        lease_seconds=settings.lease_seconds,
    )


def _renewed(watched: WatchedPanels, build: Callable[[PanelsFile], T]) -> T | None:
    """What the file says now, where it has changed and can be used; what is wrong with it is logged once."""
    try:
        file = watched.changed()
        built = None if file is None else build(file)
    except SettingsError as error:
        _log.error("the panels file has changed and cannot be used; the one before stays in use", cause=str(error))
        return None
    if file is not None:
        _log.info("the panels file has changed and is in use", panels=sorted(file.panels), callers=sorted(file.callers))
    return built


class _Upstreams:
    """Those of a panels file. One whose settings and key stay goes on, with what it has learnt of its API's pace."""

    def __init__(self) -> None:
        self._built: dict[str, tuple[tuple[UpstreamSettings, str | None], Upstream]] = {}

    def of(self, file: PanelsFile, names: Collection[str]) -> dict[str, Upstream]:
        """Those of these names, for one event loop; what is left out is forgotten, since whoever asked it closes it.

        Raises SettingsError for a key that is not there, whoever is asked.
        """
        made_of = {name: (each, upstream_key(name, each)) for name, each in file.upstreams.items()}
        kept = {name: built for name, built in self._built.items() if name in names and made_of.get(name) == built[0]}
        missing = {name: each for name, each in file.upstreams.items() if name in names and name not in kept}
        new = build_upstreams(file.model_copy(update={"upstreams": missing}))
        self._built = kept | {name: (made_of[name], upstream) for name, upstream in new.items()}
        return {name: upstream for name, (_, upstream) in self._built.items()}


def build_upstreams(file: PanelsFile) -> dict[str, Upstream]:
    """Every upstream of a panels file, for one event loop. Raises SettingsError for a key that is not there."""
    try:
        return {name: build_upstream(name, each) for name, each in file.upstreams.items()}
    except (ConfigurationError, MissingExtra) as error:
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


def _panels(file: PanelsFile, upstreams: Mapping[str, Upstream]) -> Panels:
    callers = (
        PanelCaller(
            name,
            caller.token_hash,
            frozenset(file.panels if caller.panels == "all" else caller.panels),
            _budget(caller.budget),
            caller.expires,
        )
        for name, caller in file.callers.items()
    )
    return Panels(tuple(_panel(name, each, file, upstreams) for name, each in file.panels.items()), tuple(callers))


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
        adaptive=_adaptive(settings),
        samples=settings.samples,
        fallback=None if settings.fallback is None else upstreams[settings.fallback],
        fallback_on_abstention=settings.fallback_on_abstention,
        tariffs={each: _tariff(file.upstreams[each]) for each in settings.reached},
        memory=memory_terms(settings, file),
    )


def memory_terms(settings: PanelSettings, file: PanelsFile) -> MemoryTerms | None:
    """How a panel remembers; None where it does not, where there is nobody to compare, and where its rule trusts nobody."""
    if settings.memory is None or len(settings.upstreams) == 1 or not rule_named(settings.policy.rule).round_wide:
        return None
    versions = {name: _digest(_asked_for(file.upstreams[name])) for name in settings.upstreams}
    return MemoryTerms(half_life_questions=settings.memory.half_life_questions, versions=versions)


def _asked_for(upstream: UpstreamSettings) -> dict[str, object]:
    """What an answer of an upstream depends on."""
    return upstream.model_dump(mode="json", include={"base_url", "model", "api", "extra_body", "omit"})


def _digest(content: object) -> str:
    return sha256(canonical_json(content).encode()).hexdigest()


def _budget(settings: BudgetSettings | None) -> Budget | None:
    if settings is None:
        return None
    seconds = next(seconds for seconds, name in SPANS.items() if name == settings.per)
    return Budget(tokens=settings.tokens, money=settings.money, seconds=seconds)


def _adaptive(settings: PanelSettings) -> Adaptive | None:
    if settings.strategy == "all":
        return None
    usual = settings.hedge_seconds == "usual"
    return Adaptive(
        first=settings.first,
        lead=settings.lead,
        order=settings.order,
        hedge_seconds=None if isinstance(settings.hedge_seconds, str) else settings.hedge_seconds,
        hedge_late=usual,
    )


def _tariff(settings: UpstreamSettings) -> Tariff:
    price = settings.price_per_million
    known = None if price is None else Price(prompt=price.prompt, completion=price.completion)
    told = settings.token_limit_field not in settings.omit
    return Tariff(price=known, reserve_tokens=settings.reserve_tokens, tells_limit=told)


_DECIDING = {"quorum", "policy", "equivalence", "refusals"}
_ASKING = {"strategy", "first", "lead", "order", "samples", "fallback", "fallback_on_abstention"}


def _asking(settings: PanelSettings, file: PanelsFile) -> dict[str, Any]:
    """How it asks, where the file says, and remembers: a panel that does neither keeps the fingerprint that it had before it could."""
    remembers = memory_terms(settings, file) is not None and len(settings.upstreams) >= LEAST_ANSWERS
    memory = settings.model_dump(mode="json", include={"memory"}) if remembers else {}
    return settings.model_dump(mode="json", include=_ASKING, exclude_defaults=True) | memory


def _fingerprint(settings: PanelSettings, file: PanelsFile) -> str:
    """Of everything in the file that an answer depends on; keys and limits of time are none of it."""
    asked = {name: _asked_for(file.upstreams[name]) for name in settings.reached}
    made_of = [settings.model_dump(mode="json", include=_DECIDING) | _asking(settings, file), asked]
    return f"fp_{_digest(made_of)[:12]}"
