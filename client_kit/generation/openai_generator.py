"""A participant's generator behind any inference API that speaks OpenAI's: a provider, vLLM, Ollama, llama.cpp."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from client_kit.errors import ConsensusError
from client_kit.generation.answer_cache import AnswerCache, answer_key
from client_kit.generation.base import Generation, Sampling
from client_kit.generation.openai_compatible import OpenAICaller, Reply
from client_kit.generation.seeds import answer_seed
from client_kit.generation.spending import Budget, Tokens, at_most, estimate
from client_kit.wire import Prompt

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

_log = logging.getLogger(__name__)

Job = tuple[Prompt, int]
"""A prompt and the number of the sample."""


class OpenAICompatibleGenerator:
    """Asks an endpoint, several prompts at a time, and never twice for what the cache holds.

    caller: it is closed with the generator. cache: left open. budget: counts what answers take; refuses beyond a limit.
    source: what else says which model answers, where the endpoint's address and name do not (a digest of weights).
    """

    def __init__(
        self,
        caller: OpenAICaller,
        *,
        cache: AnswerCache | None = None,
        budget: Budget | None = None,
        source: Mapping[str, Any] | None = None,
    ) -> None:
        self._caller = caller
        self._cache = cache
        self._budget = budget or Budget()
        self._source = _source(caller) if source is None else source
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[Generation]:
        """Yield answers as they come. After a failure no new request begins; answers under way are still yielded."""
        missing: list[Job] = []
        for job in ((prompt, sample) for prompt in prompts for sample in range(sampling.samples)):
            if (held := self._held(job, sampling)) is None:
                missing.append(job)
            else:
                yield held
        if missing:
            self._budget.check(estimate(missing, sampling), answers=len(missing))
            yield from self._asked(missing, sampling)

    def close(self) -> None:
        """Close the connections and end the thread that held them."""
        if self._portal is not None:
            self._portal.call(self._caller.close)
            self._portal = None
        self._stack.close()

    def _asked(self, jobs: Sequence[Job], sampling: Sampling) -> Iterator[Generation]:
        """The answers come from an event loop in a thread of its own, which goes on asking while the caller works."""
        answers: SimpleQueue[Generation | None] = SimpleQueue()
        asking = self._open_portal().start_task_soon(self._answer_all, jobs, sampling, answers.put)
        asking.add_done_callback(lambda _: answers.put(None))
        try:
            while (answer := answers.get()) is not None:
                yield answer
            asking.result()
        finally:
            asking.cancel()

    async def _answer_all(self, jobs: Sequence[Job], sampling: Sampling, put: Callable[[Generation], None]) -> None:
        left, failures = iter(jobs), list[ConsensusError]()

        async def work() -> None:
            for job in left:
                if failures:
                    return
                try:
                    put(await self._answer(job, sampling))
                except ConsensusError as error:
                    failures.append(error)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._caller.endpoint.concurrency, len(jobs))):
                group.create_task(work())
        if failures:
            raise failures[0]

    async def _answer(self, job: Job, sampling: Sampling) -> Generation:
        prompt, sample = job
        most = at_most(prompt, sampling)
        self._budget.reserve(most, prompt.prompt_id)
        taken = Tokens()
        try:
            reply = await self._caller.ask(
                prompt.prompt, self._options(job, sampling), prompt_id=prompt.prompt_id, allow_empty=True
            )
            taken = _taken(reply, most)
        finally:
            self._budget.settle(most, taken)
        if not reply.text.strip():
            _log.warning("prompt %s: the model answered with nothing (%s)", prompt.prompt_id, reply.finish_reason.value)
        answer = Generation(
            prompt.prompt_id, sample, reply.text, reply.finish_reason, reply.prompt_tokens, reply.completion_tokens
        )
        if self._cache is not None:
            self._cache.put(answer_key(self._source, prompt, sample, sampling), answer)
        return answer

    def _options(self, job: Job, sampling: Sampling) -> dict[str, Any]:
        """Fields of one request. The seed is the answer's own, so that order and company do not matter."""
        prompt, sample = job
        options = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": answer_seed(sampling.seed, prompt.prompt_id, sample),
            self._caller.endpoint.token_limit_field: sampling.max_tokens,
        }
        return options | ({"stop": list(sampling.stop)} if sampling.stop else {})

    def _held(self, job: Job, sampling: Sampling) -> Generation | None:
        if self._cache is None:
            return None
        return self._cache.get(answer_key(self._source, *job, sampling), *job)

    def _open_portal(self) -> "BlockingPortal":
        """The thread with the event loop; started when the first prompt is asked."""
        if self._portal is None:
            from anyio.from_thread import start_blocking_portal  # noqa: PLC0415  comes with `openai`

            self._portal = self._stack.enter_context(start_blocking_portal(name="generation"))
        return self._portal


def _source(caller: OpenAICaller) -> dict[str, Any]:
    """Which model answers, and how it is asked: what an answer in the cache is known by."""
    endpoint = caller.endpoint
    return {
        "base_url": endpoint.base_url.rstrip("/"),
        "model": endpoint.model,
        "api": endpoint.api,
        "extra_body": dict(endpoint.extra_body),
    }


def _taken(reply: Reply, most: Tokens) -> Tokens:
    """What an answer took, at most: requests that broke off may have been billed, and not every endpoint counts."""
    counted = Tokens(
        most.prompt if reply.prompt_tokens is None else reply.prompt_tokens,
        most.completion if reply.completion_tokens is None else reply.completion_tokens,
    )
    return sum([most] * (reply.requests - 1), counted)
