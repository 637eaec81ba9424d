"""Answers from a vLLM server: one that the kit starts, watches and stops, or one that runs already.

A LoRA adapter that was trained meanwhile is loaded into the running server; new weights of a whole model restart it. A
server that dies is started again, and asked for what is missing.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from client_kit import egress
from client_kit.errors import ConfigurationError, EndpointUnreachable, EngineFailed, UnknownModel
from client_kit.generation.answer_cache import AnswerCache
from client_kit.generation.base import Generation, Sampling
from client_kit.generation.openai_compatible import InferenceApi, OpenAICaller
from client_kit.generation.openai_generator import OpenAICompatibleGenerator
from client_kit.generation.spending import Budget
from client_kit.generation.vllm_process import VLLMServer
from client_kit.generation.vllm_weights import Weights, weights
from client_kit.proxies import environment_explained, http_options
from client_kit.wire import Prompt

_log = logging.getLogger(__name__)

_RESTARTS = 3
"""Of a server that dies, while one set of prompts is answered."""

_LOAD_SECONDS = 300.0
"""Longest wait for an adapter to be loaded."""

_PROBE = "The"
"""Asked of the base and of its adapter once it is loaded."""


class VLLMServerGenerator:
    """Asks a server like any endpoint. One that dies is revived, and asked for what is missing."""

    def __init__(
        self,
        ask: Callable[[], OpenAICompatibleGenerator],
        *,
        has_died: Callable[[], bool],
        has_forgotten: Callable[[], bool] = lambda: False,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        """ask: the way to a server that is ready, revived if it has died, with its adapter loaded.

        has_forgotten: of a server that does not know the model, whether that is an adapter which `ask` loads again.
        release: called in the end.
        """
        self._ask = ask
        self._has_died = has_died
        self._has_forgotten = has_forgotten
        self._release = release
        self._asking = ask()

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[Generation]:
        """Yield answers as they come, each once. Raises EngineFailed where the server keeps dying."""
        given: set[tuple[str, int]] = set()
        samples = range(sampling.samples)
        for restarts in range(_RESTARTS + 1):
            left = [p for p in prompts if any((p.prompt_id, sample) not in given for sample in samples)]
            try:
                for answer in self._asking.generate(left, sampling):
                    if (key := (answer.prompt_id, answer.sample)) not in given:
                        given.add(key)
                        yield answer
            except UnknownModel:
                if restarts == _RESTARTS or not self._has_forgotten():
                    raise
                _log.warning("the vLLM server has lost the adapter, as when it was restarted; it is loaded again")
            except EndpointUnreachable as error:
                if not self._has_died():
                    raise
                if restarts == _RESTARTS:
                    raise EngineFailed(
                        f"the vLLM server died {restarts + 1} times. Look into its log; lower concurrency or "
                        "max_model_len where its memory does not suffice",
                        prompt_id=error.prompt_id,
                    ) from error
                _log.warning("the vLLM server died; it is started again, and asked for what is missing")
            else:
                return
            self._asking.close()
            self._asking = self._ask()

    def close(self) -> None:
        """Close the connections. The server is its source's."""
        self._asking.close()
        self._release()


class VLLMServerSource:
    """A participant's generators behind one server, which stays up between rounds."""

    def __init__(
        self,
        endpoint: InferenceApi,
        *,
        work: Path,
        attach: bool = False,
        engine_args: Mapping[str, Any] | None = None,
        start_seconds: float = 900.0,
        keep_running: bool = True,
        cache: AnswerCache | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Nothing is started before a generator is opened.

        endpoint: the base model as `model`, and how it is asked; with `attach` also the server's address and key,
            otherwise both come from the server that is started.
        work: folder for the server's log. engine_args, start_seconds: as VLLMServer has them.
        keep_running: False stops the server whenever a generator is closed: for machines whose memory holds either the
            server or a training.
        """
        self._endpoint = endpoint
        self._attach = attach
        self._log_file = work / "vllm.log"
        self._engine_args = dict(engine_args or {})
        self._start_seconds = start_seconds
        self._keep_running = keep_running
        self._cache = cache
        self._budget = budget
        self.server: VLLMServer | None = None
        """The server that was started here, while it should run."""
        self._loaded: str | None = None
        """Name of the adapter in the server."""

    def open(self, model: Path | None = None) -> VLLMServerGenerator:
        """The generator of the model trained meanwhile, or of the base; the server is ready."""
        base = self._endpoint.model
        wanted = Weights(base) if self._attach and model is None else weights(base, model)
        release = (lambda: None) if self._keep_running else self.close
        return VLLMServerGenerator(
            lambda: self._ready(wanted), has_died=self._has_died, has_forgotten=self._forget, release=release
        )

    def close(self) -> None:
        """Stop the server that was started here."""
        self._loaded = None
        if self.server is not None:
            self.server.stop()
            self.server = None

    def _ready(self, wanted: Weights) -> OpenAICompatibleGenerator:
        if self._attach:
            self._refuse_other_weights(wanted)
        elif self.server is None or not self.server.healthy() or not _fits(self.server, wanted):
            self._start(wanted)
        return self._generator(wanted, self._load(wanted))

    def _start(self, wanted: Weights) -> None:
        self.close()
        self.server = VLLMServer(
            wanted, log=self._log_file, engine_args=self._engine_args, start_seconds=self._start_seconds
        )
        self.server.start()

    def _has_died(self) -> bool:
        return self.server is not None and not self.server.healthy()

    def _forget(self) -> bool:
        """Whether an adapter was loaded: it is not taken for loaded any more."""
        held, self._loaded = self._loaded, None
        return held is not None

    def _refuse_other_weights(self, wanted: Weights) -> None:
        if wanted.base != self._endpoint.model:
            raise ConfigurationError(
                f"the vLLM server at {self._endpoint.base_url} runs already and cannot take the weights in {wanted.base}: "
                "train with method: lora, or remove base_url, so that a server is started and restarted here"
            )

    def _load(self, wanted: Weights) -> str | None:
        """Name of the adapter in the server, loaded now unless it is there; None without one."""
        if wanted.adapter is None:
            return None
        name = f"{wanted.adapter.name}-{wanted.digest()[:12]}"
        if name != self._loaded:
            self._order("load_lora_adapter", {"lora_name": name, "lora_path": str(wanted.adapter.absolute())})
            before, self._loaded = self._loaded, name
            if before is not None:
                self._order("unload_lora_adapter", {"lora_name": before}, also_well="cannot be found")
            self._probe(wanted, name)
        return name

    def _probe(self, wanted: Weights, name: str) -> None:
        """Tell where the adapter changes nothing: its words and their probabilities are the base's to the last digit."""
        said = [self._said(model) for model in (wanted.base, name)]
        if said[0] is not None and said[0] == said[1]:
            _log.warning(
                "the adapter %s answers a probe exactly as the base %s does: the server may not apply it, or nothing was learned. "
                "Compare the folder that the server sees with %s", name, wanted.base, wanted.adapter,
            )  # fmt: skip

    def _said(self, model: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Text and log-probabilities of a probe; None where the server does not give them."""
        body = {"model": model, "prompt": _PROBE, "max_tokens": 8, "temperature": 0, "logprobs": 1}
        try:
            response = self._post("completions", body)
            choice = response.json()["choices"][0]
            return choice["text"], choice["logprobs"]["token_logprobs"]
        except (ValueError, LookupError, TypeError, EngineFailed):
            return None

    def _post(self, action: str, body: Mapping[str, Any]) -> httpx.Response:
        url, key = self._address()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            with environment_explained():
                way = http_options(url, self._endpoint.client_certificate)
                recorded = egress.hooks(egress.Kind.MODEL_SERVER)
                client = httpx.Client(headers=headers, timeout=_LOAD_SECONDS, event_hooks=recorded, **way)
            with client:
                return client.post(f"{url}/{action}", json=body)
        except httpx.HTTPError as error:
            raise EngineFailed(f"the vLLM server at {url} cannot be reached ({error}). Check that it runs") from error

    def _order(self, action: str, body: dict[str, str], also_well: str = "already been loaded") -> None:
        """Load or unload an adapter. also_well: words of an answer by which the server is as it should be."""
        url = self._address()[0]
        response = self._post(action, body)
        if not response.is_success and also_well not in response.text:
            raise EngineFailed(
                f"the vLLM server at {url} refuses {action} ({response.status_code}: {response.text[:300]}). A server that "
                "you started needs --enable-lora, --max-lora-rank and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and must "
                "see the adapter's folder"
            )

    def _generator(self, wanted: Weights, adapter: str | None) -> OpenAICompatibleGenerator:
        url, key = self._address()
        endpoint = replace(self._endpoint, base_url=url, api_key=key, model=adapter or wanted.base)
        # An address changes with every start, and a name says little of weights.
        source = {"weights": wanted.digest(), "api": endpoint.api, "extra_body": dict(endpoint.extra_body)}
        source |= {"omit": sorted(endpoint.omit)} if endpoint.omit else {}
        return OpenAICompatibleGenerator(OpenAICaller(endpoint), cache=self._cache, budget=self._budget, source=source)

    def _address(self) -> tuple[str, str | None]:
        if self.server is not None:
            return self.server.url, self.server.key
        return self._endpoint.base_url.rstrip("/"), self._endpoint.api_key


def _fits(server: VLLMServer, wanted: Weights) -> bool:
    return server.weights.base == wanted.base and wanted.rank <= server.adapter_rank
