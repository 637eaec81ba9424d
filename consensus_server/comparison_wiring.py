"""From the settings to what tells contradictions: models on this machine, and the upstreams of the panels file as judges."""

import logging
from collections.abc import Collection, Mapping
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType

from client_kit.errors import ConfigurationError, MissingExtra
from consensus_server.backends.contradictions import Judge, NliModel, SecondTier, short_name
from consensus_server.core.errors import ComparisonFailed
from consensus_server.panel_settings import UpstreamSettings, load_panels
from consensus_server.panel_wiring import build_upstream
from consensus_server.ports import Contradictions, FeatureStore, Upstream
from consensus_server.service.contradictions import Comparisons, Makers
from consensus_server.settings import Settings, SettingsError, names_in

_log = logging.getLogger(__name__)

NLI = "nli:"
JUDGE = "judge:"
"""Before the name of a model or an upstream, in a policy."""
_OF_A_REPLY = {"model", "api", "extra_body", "omit"}
"""What a judge's reply depends on. The address is none of it: the same model may move."""


def build_comparisons(settings: Settings, features: FeatureStore | None, asked: Collection[str] = ()) -> Comparisons:
    """Nothing is read before a policy names a model.

    features: keeps verdicts. asked: what policies say, where whoever says it may name any model or folder of this machine.
    Raises SettingsError for two models of one name and, asked for its models, for a panels file that cannot be used.
    """
    own = {each: each.removeprefix(NLI) for each in asked if each.startswith(NLI)}
    paths = _by_name(names_in(settings.nli_models)) | _by_name(own.values()) | own
    return Comparisons(cache(partial(_models, settings, features, paths)))


def _models(settings: Settings, features: FeatureStore | None, paths: Mapping[str, str]) -> Makers:
    threads = settings.encoder_threads or None
    made = {path: cache(partial(_nli, path, threads, features)) for path in paths.values()}
    makers = {name: made[path] for name, path in paths.items()}
    upstreams = {} if settings.panels_file is None else load_panels(settings.panels_file).upstreams
    judges = {
        JUDGE + name: cache(partial(_judge, settings.panels_file, name, each, features))
        for name, each in upstreams.items()
    }
    return MappingProxyType(makers | judges)


def _by_name(paths: Collection[str]) -> dict[str, str]:
    """Folders and names on the hub, by the name in a policy."""
    named = {NLI + short_name(each): each for each in paths}
    if len(named) < len(set(paths)):
        raise SettingsError("CONSENSUS_NLI_MODELS: two models have one name; policies could not tell them apart.")
    return named


def _nli(path: str, threads: int | None, features: FeatureStore | None) -> Contradictions:
    return SecondTier(NLI + short_name(path), NliModel(path, threads=threads), features)


def _judge(
    file: Path | None, upstream: str, settings: UpstreamSettings, features: FeatureStore | None
) -> Contradictions:
    judge = Judge(upstream, _made_of(settings), partial(_connected, file, upstream, settings))
    return SecondTier(JUDGE + upstream, judge, features)


def _made_of(settings: UpstreamSettings) -> dict[str, object]:
    return settings.model_dump(mode="json", include=_OF_A_REPLY)


def _as_it_is_now(file: Path | None, name: str, before: UpstreamSettings) -> UpstreamSettings:
    """The upstream as the panels file has it now, where it is the same model still; else as it was when the server began.

    Verdicts are pinned to the model, so another one under the same name becomes a judge when the server begins again.
    """
    try:
        now = None if file is None else load_panels(file).upstreams.get(name)
    except SettingsError as error:
        _log.warning("the panels file cannot be used; the judge %s is asked as before: %s", name, error)
        return before
    if now is None or _made_of(now) != _made_of(before):
        _log.warning("the panels file has no judge %s of this model any more; it is asked as before", name)
        return before
    return now


def _connected(file: Path | None, name: str, settings: UpstreamSettings) -> Upstream:
    try:
        return build_upstream(name, _as_it_is_now(file, name, settings))
    except (ConfigurationError, MissingExtra, SettingsError) as error:
        raise ComparisonFailed(f"the judge {name}: {error}") from error
