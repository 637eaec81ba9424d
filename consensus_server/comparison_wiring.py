"""From the settings to what tells contradictions: models on this machine, and the upstreams of the panels file as judges."""

from collections.abc import Collection, Mapping
from functools import cache, partial
from types import MappingProxyType

from client_kit.errors import ConfigurationError, MissingExtra
from consensus_server.backends.contradictions import Judge, NliModel, SecondTier, short_name
from consensus_server.core.errors import ComparisonFailed
from consensus_server.panel_settings import UpstreamSettings, load_panels
from consensus_server.panel_wiring import build_upstream
from consensus_server.ports import Contradictions, FeatureStore, Upstream
from consensus_server.service.contradictions import Comparisons, Makers
from consensus_server.settings import Settings, SettingsError, names_in

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
        JUDGE + name: cache(partial(_judge, JUDGE + name, name, each, features)) for name, each in upstreams.items()
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


def _judge(name: str, upstream: str, settings: UpstreamSettings, features: FeatureStore | None) -> Contradictions:
    made_of = settings.model_dump(mode="json", include=_OF_A_REPLY)
    return SecondTier(name, Judge(upstream, made_of, partial(_connected, upstream, settings)), features)


def _connected(name: str, settings: UpstreamSettings) -> Upstream:
    try:
        return build_upstream(name, settings)
    except (ConfigurationError, MissingExtra, SettingsError) as error:
        raise ComparisonFailed(f"the judge {name}: {error}") from error
