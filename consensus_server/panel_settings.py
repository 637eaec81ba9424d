"""The panels file: which upstream APIs there are, which of them answer together, and who may ask.

YAML, named by `CONSENSUS_PANELS_FILE`. Errors name the line. It holds no secret: keys are named by environment
variable or file, callers by the hash of their token.
"""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    model_validator,
)

from client_kit.certificates import ClientCertificate
from client_kit.errors import ConfigurationError
from client_kit.settings import LocalPath
from client_kit.settings_files import load_settings, read_secret
from client_kit.vocabulary import OnAbstention
from client_kit.wire import ConsensusPolicy, Refusals
from client_kit.wire.limits import Digest, Name
from consensus_server.core.asking import Order
from consensus_server.core.consensus.errors import UnknownEquivalence
from consensus_server.core.consensus.meaning.equivalences import check_equivalence
from consensus_server.core.consensus.records import Policy
from consensus_server.core.errors import UnknownRule
from consensus_server.service.contradictions import pinned
from consensus_server.service.federations import check_policy, rule_of_today
from consensus_server.settings import SettingsError

SCHEMA_COMMAND = "consensus-server panel schema"

SINGLE_QUESTION = ConsensusPolicy(guards=False, reliability=False)
"""The default: guards and reliability judge an upstream by the other prompts of a round, and a question has none."""

Seconds = Annotated[float, Field(gt=0, le=3_600, allow_inf_nan=False)]


def _known(kind: str) -> AfterValidator:
    """Refuses a name that the file gives to no upstream, or to no panel."""

    def check(name: str, info: ValidationInfo) -> str:
        known = (info.context or {}).get(f"{kind}s", [name])
        if name not in known:
            raise ValueError(f"there is no {kind} {name!r}; there are {', '.join(sorted(known)) or 'none'}")
        return name

    return AfterValidator(check)


def _for_single_questions(given: Any) -> Any:  # noqa: ANN401 - whatever the file holds
    """A policy that says nothing of guards and reliability has none."""
    return {"guards": False, "reliability": False} | given if isinstance(given, dict) else given


def _known_policy(given: ConsensusPolicy) -> ConsensusPolicy:
    policy = given.model_copy(update={"rule": rule_of_today(given.rule)})
    try:
        core = Policy(**policy.model_dump(exclude={"calibration"}))
        check_policy(core)
        pinned(core)
    except UnknownRule as error:
        raise ValueError(error.detail) from None
    return policy


def _known_equivalence(name: str) -> str:
    try:
        check_equivalence(name)
    except UnknownEquivalence as error:
        raise ValueError(str(error)) from None
    return name


class PanelModel(BaseModel):
    """A part of the file. Unknown fields are refused: a misspelt option must not pass unnoticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class PriceSettings(PanelModel):
    """Money for a million tokens, in a currency of your own."""

    prompt: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Of what is sent."""
    completion: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Of what comes back."""


class UpstreamSettings(PanelModel):
    """An inference API that speaks OpenAI's: a provider, vLLM, Ollama, llama.cpp."""

    base_url: Annotated[str, Field(pattern=r"^https?://")]
    """Address up to and including `/v1`."""
    model: Annotated[str, Field(min_length=1)]
    """Name of the model there."""
    api: Literal["chat", "completions"] = "chat"
    """`chat` for models tuned to converse, `completions` for base models."""
    api_key_env: Annotated[str, Field(min_length=1)] | None = None
    """Environment variable with the key."""
    api_key_file: LocalPath | None = None
    """File with the key. Neither: the upstream asks for none."""
    concurrency: Annotated[int, Field(ge=1, le=1_024)] = 16
    """Most requests at the same time, over all panels; fewer while the upstream is overloaded."""
    timeout_seconds: Seconds = 60.0
    """Longest wait for one request."""
    retries: Annotated[int, Field(ge=0, le=10)] = 1
    """Repetitions of one request after a broken connection or HTTP status 408, 409, 429 or 5xx, as time allows."""
    token_limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"  # noqa: S105  a field
    """What the upstream calls the limit on tokens."""
    extra_body: dict[str, JsonValue] = {}
    """Further fields of every request, as the upstream defines them. No secrets."""
    omit: Annotated[tuple[str, ...], Field(exclude_if=lambda value: not value)] = ()
    """Fields that are never sent, because the upstream refuses them: `[seed, top_p]`."""
    price_per_million: PriceSettings | None = None
    """What its tokens cost: for budgets in money, and for panels that ask the cheapest first."""
    reserve_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 1_024
    """Tokens of an answer that a budget reserves where the request sets no `max_tokens`."""
    client_certificate: LocalPath | None = None
    """Shown to the upstream: certificate in PEM. Neither set: CONSENSUS_CLIENT_CERTIFICATE."""
    client_key: LocalPath | None = None
    """Its private key, without a password, where it stands in a file of its own."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.api_key_env is not None and self.api_key_file is not None:
            raise ValueError("api_key_env and api_key_file are both set; name one source of the key")
        ClientCertificate.named(self.client_certificate, self.client_key)
        return self


class MemorySettings(PanelModel):
    """How a panel learns from its questions which upstreams to trust."""

    half_life_questions: Annotated[float, Field(ge=20, le=1_000_000, allow_inf_nan=False)] = 500.0
    """Questions of an upstream after which one counts half."""


class PanelSettings(PanelModel):
    """Upstreams that answer together, and how their answers become one."""

    upstreams: Annotated[list[Annotated[Name, _known("upstream")]], Field(min_length=1)]
    quorum: Annotated[int, Field(ge=1)] = 2
    """Answers without which there is none."""
    deadline_seconds: Seconds = 30.0
    """Longest wait for the upstreams."""
    patience_seconds: Annotated[float, Field(ge=0, le=3_600, allow_inf_nan=False)] | None = None
    """Longest wait for the others once the quorum has answered; null: until the deadline."""
    policy: Annotated[ConsensusPolicy, BeforeValidator(_for_single_questions), AfterValidator(_known_policy)] = (
        SINGLE_QUESTION
    )
    """How the answers become one, as in a federation; `guards` and `reliability` are off unless it says otherwise."""
    equivalence: Annotated[str, AfterValidator(_known_equivalence)] = "semantic"
    """When two answers mean the same: `semantic`, or another that prompt sets know."""
    on_abstention: Annotated[OnAbstention, BeforeValidator(lambda given: "null" if given is None else given)] = (
        OnAbstention.NULL
    )
    """What a client gets where the panel abstains, unless its request says otherwise: no content (`null`), the reason as `text`, or an
    `error` of status 422."""
    refusals: Refusals = Refusals.DROP
    """Drop: a refusal (English) has no vote, ends no wait and is never the answer. Keep: it is an answer like others."""
    memory: MemorySettings | None = MemorySettings()
    """How the panel learns from its questions which upstreams to trust; null: it does not. It keeps two sums for each upstream, and
    nothing of a question or an answer. Rules that trust nobody, such as `cluster_medoid`, learn nothing."""

    strategy: Literal["all", "adaptive"] = "all"
    """`all` at once, or `adaptive`: `first` of them, and others as long as these might change the answer."""
    first: Annotated[int, Field(ge=1)] = 4
    """Adaptive: so many are asked at once; at least the quorum."""
    lead: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 3.0
    """Adaptive: nobody else is asked once the leading meaning has so many votes more than the next."""
    order: Order = Order.LISTED
    """Adaptive: who is asked first: as `listed`, the `cheapest`, the `fastest` so far, or the most `reliable` on earlier questions."""
    hedge_seconds: Seconds | Literal["usual"] | None = None
    """Adaptive: wait for an upstream after which the next one is asked meanwhile; `usual`: what 95 % of its latest replies took."""
    samples: Annotated[int, Field(ge=1, le=32)] = 1
    """Answers of each upstream. Several upstreams spread their vote over them; of a single upstream, each answer has one."""
    fallback: Annotated[Name, _known("upstream")] | None = None
    """Upstream, none of the panel's, that is asked where the quorum is missed, and whose answer stands then."""
    fallback_on_abstention: bool = False
    """The fallback is asked where the panel abstains, too."""

    @property
    def reached(self) -> list[str]:
        """Names of all upstreams that it may ask."""
        return [*self.upstreams, *([] if self.fallback is None else [self.fallback])]

    @property
    def turns(self) -> int:
        """How many have a vote."""
        return self.samples if len(self.upstreams) == 1 else len(self.upstreams)

    @model_validator(mode="after")
    def _as_the_strategy_has_it(self) -> Self:
        if self.strategy == "all":
            fields = ("first", "hedge_seconds", "lead", "order")
            if said := [name for name in fields if getattr(self, name) != type(self).model_fields[name].default]:
                raise ValueError(f"{', '.join(said)}: for strategy: adaptive only; here all are asked at once")
            return self
        if "first" in self.model_fields_set and self.first > self.turns:
            raise ValueError(f"first is {self.first}, but there are only {self.turns} to ask")
        if self.quorum > self.first:
            raise ValueError(
                f"the quorum is {self.quorum}, but first is {self.first}: nothing could be decided of these"
            )
        return self

    @model_validator(mode="after")
    def _fallback_apart(self) -> Self:
        if self.fallback in self.upstreams:
            raise ValueError(f"the fallback {self.fallback} answers in the panel already; name another upstream")
        if self.fallback is None and self.fallback_on_abstention:
            raise ValueError("fallback_on_abstention is set, but there is no fallback")
        return self

    @model_validator(mode="after")
    def _within_reach(self) -> Self:
        if twice := {name for name in self.upstreams if self.upstreams.count(name) > 1}:
            raise ValueError(f"each upstream has one vote; named twice: {', '.join(sorted(twice))}")
        if self.quorum > self.turns:
            raise ValueError(f"the quorum is {self.quorum}, but there are only {self.turns} upstreams")
        return self


class BudgetSettings(PanelModel):
    """What a caller may spend; begun anew with each minute, hour or day of UTC."""

    tokens: Annotated[int, Field(ge=0, lt=2**53)] | None = None
    """Prompt and completion tokens of all upstreams."""
    money: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """By `price_per_million` of the upstreams."""
    per: Literal["minute", "hour", "day"] = "day"
    """How long it has to last."""

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if self.tokens is None and self.money is None:
            raise ValueError("a budget limits tokens, money or both")
        return self


class CallerSettings(PanelModel):
    """Somebody who may ask panels."""

    token_hash: Digest
    """As `consensus-server panel token` prints it. The token itself stands nowhere."""
    panels: list[Annotated[Name, _known("panel")]] | Literal["all"] = "all"
    budget: BudgetSettings | None = None
    """Most that its requests may cost; reserved before upstreams are asked."""
    expires: date | None = None
    """The first day, in UTC, on which the token holds no more; left out: it holds until it is taken out of the file."""


class PanelsFile(PanelModel):
    """The whole file."""

    upstreams: dict[Name, UpstreamSettings] = {}
    """Inference APIs, by names of your own."""
    panels: dict[Name, PanelSettings] = {}
    """Upstreams that answer together. The name of a panel is the `model` that a client asks for."""
    callers: dict[Name, CallerSettings] = {}
    """Who may ask, by name: the lines that `consensus-server panel token NAME` prints."""

    @model_validator(mode="before")
    @classmethod
    def _names_for_references(cls, data: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - whatever the file holds
        """What panels and callers refer to, so that the error for a wrong name has its own line."""
        if isinstance(data, dict) and info.context is not None:
            info.context.update({part: set(data.get(part) or ()) for part in ("upstreams", "panels")})
        return data

    @model_validator(mode="after")
    def _priced(self) -> Self:
        """What asks the cheapest first, or counts money, knows what each costs."""
        for name, panel in self.panels.items():
            if panel.order is Order.CHEAPEST and (unpriced := self._unpriced([name])):
                raise ValueError(
                    f"panel {name} asks the cheapest first, but price_per_million is missing in {unpriced}"
                )
        for name, caller in self.callers.items():
            counted = caller.budget is not None and caller.budget.money is not None
            panels = list(self.panels) if caller.panels == "all" else caller.panels
            if counted and (unpriced := self._unpriced(panels)):
                raise ValueError(f"caller {name} has a budget in money, but price_per_million is missing in {unpriced}")
        return self

    def _unpriced(self, panels: list[str]) -> str:
        """Upstreams of these panels without a price."""
        asked = {each for name in panels for each in self.panels[name].reached}
        return ", ".join(sorted(each for each in asked if self.upstreams[each].price_per_million is None))

    @model_validator(mode="after")
    def _tokens_differ(self) -> Self:
        hashes = [caller.token_hash for caller in self.callers.values()]
        if len(set(hashes)) < len(hashes):
            raise ValueError("two callers have the same token_hash; issue each a token of its own")
        return self


def load_panels(path: Path) -> PanelsFile:
    """Read and check a panels file. Raises SettingsError that names file, line and field of every fault."""
    try:
        return load_settings(path, PanelsFile, fields_told_by=SCHEMA_COMMAND)
    except ConfigurationError as error:
        raise SettingsError(str(error)) from None


class WatchedPanels:
    """A panels file that may change while a server runs."""

    def __init__(self, path: Path) -> None:
        """Reads it. Raises SettingsError."""
        self._path = path
        self.file = load_panels(path)
        self._seen = self._state(self.file)

    def changed(self) -> PanelsFile | None:
        """The file as it is now, where it or a file with a key has changed since the last look; None where none has.

        Raises SettingsError, once for each change, where it cannot be used; `file` stays the one before.
        """
        now = self._state(self.file)
        if now == self._seen:
            return None
        self._seen = now
        file = load_panels(self._path)
        for name, upstream in file.upstreams.items():
            upstream_key(name, upstream)
        self.file, self._seen = file, self._state(file)
        return file

    def _state(self, file: PanelsFile) -> tuple[object, ...]:
        """What changes with the contents. A mounted volume exchanges a link, so the file behind it is looked at."""
        keys = (each.api_key_file for each in file.upstreams.values())
        return tuple(_stamp(path) for path in (self._path, *keys) if path is not None)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def upstream_key(name: str, settings: UpstreamSettings) -> str | None:
    """The key of an upstream, None where it asks for none. Raises SettingsError that names the source."""
    if settings.api_key_env is None and settings.api_key_file is None:
        return None
    try:
        return read_secret(
            settings.api_key_env,
            settings.api_key_file,
            what=f"the key of the upstream {name}",
            issued_by="its provider issues it",
        )
    except ConfigurationError as error:
        raise SettingsError(str(error)) from None
