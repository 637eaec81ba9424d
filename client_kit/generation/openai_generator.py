"""A participant's generator behind any inference API that speaks OpenAI's: a provider, vLLM, Ollama, llama.cpp."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from client_kit.errors import ConsensusError, GenerationError, PromptRefused
from client_kit.generation.answer_cache import AnswerCache, answer_key
from client_kit.generation.base import Generation, Sampling
from client_kit.generation.dialects import MEANINGS, Meaning, Situation
from client_kit.generation.openai_compatible import OpenAICaller, Reply
from client_kit.generation.seeds import answer_seed
from client_kit.generation.spending import Budget, Tokens, at_most, estimate
from client_kit.wire import Prompt

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

_log = logging.getLogger(__name__)

_MOST_AT_FIRST = 5
"""Replies of no known dialect, before any answer, after which no more is asked."""
_MOST_IN_A_ROW = 20
"""The same in the middle of a run: the endpoint has become something else."""

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
        self._left_out: dict[str, GenerationError] = {}
        """Why there is no answer, by its key: what cost its prompt once is not asked again."""
        self._has_answered = False
        """Whether the endpoint is known to give completions."""
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[Generation]:
        """Yield answers as they come.

        A failure of the endpoint ends it: no new request begins, answers under way are still yielded. A failure that
        costs its prompt only is raised when all others are answered, and again by the next call for that prompt, which
        asks for nothing.
        """
        missing: list[Job] = []
        for job in ((prompt, sample) for prompt in prompts for sample in range(sampling.samples)):
            if (held := self._held(job, sampling)) is not None:
                self._has_answered = True
                yield held
            elif self._key(job, sampling) not in self._left_out:
                missing.append(job)
        if missing:
            self._budget.check(estimate(missing, sampling), answers=len(missing))
            yield from self._asked(missing, sampling)
            self._tell_what_is_missing(missing, sampling)
        self._raise_for_a_prompt(prompts, sampling)

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
        doubtful: dict[str, GenerationError] = {}
        """Since the last answer, by key."""

        async def work() -> None:
            for job in left:
                if failures or len(doubtful) >= (_MOST_IN_A_ROW if self._has_answered else _MOST_AT_FIRST):
                    return
                try:
                    put(await self._answer(job, sampling))
                    self._has_answered = True
                    self._leave_out(doubtful)
                except ConsensusError as error:
                    if (meaning := _meaning(error)) is None or not isinstance(error, GenerationError):
                        failures.append(error)
                    else:
                        (doubtful if meaning.doubtful else self._left_out)[self._key(job, sampling)] = error

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._caller.endpoint.concurrency, len(jobs))):
                group.create_task(work())
        if not self._has_answered or len(doubtful) >= _MOST_IN_A_ROW:
            failures.extend(doubtful.values())  # nobody is answered any more: it is the address, or the request
        if failures:
            raise failures[0]
        self._leave_out(doubtful)

    def _leave_out(self, doubtful: dict[str, GenerationError]) -> None:
        """The endpoint answers others: what was in doubt was the prompt's fault."""
        self._left_out |= {key: _refused(error) for key, error in doubtful.items()}
        doubtful.clear()

    def _tell_what_is_missing(self, jobs: Sequence[Job], sampling: Sampling) -> None:
        """One line: how many answers there will not be, and why."""
        keys = (self._key(job, sampling) for job in jobs)
        reasons = Counter(self._left_out[key].situation for key in keys if key in self._left_out)
        if reasons:
            counted = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
            _log.warning("%d of %d answers are left out: %s", reasons.total(), len(jobs), counted)

    def _raise_for_a_prompt(self, prompts: Sequence[Prompt], sampling: Sampling) -> None:
        for job in ((prompt, sample) for prompt in prompts for sample in range(sampling.samples)):
            if (error := self._left_out.get(self._key(job, sampling))) is not None:
                raise error

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
            self._cache.put(self._key(job, sampling), answer)
        return answer

    def _options(self, job: Job, sampling: Sampling) -> dict[str, Any]:
        """Fields of one request. The seed is the answer's own, so that order and company do not matter."""
        prompt, sample = job
        options = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p if sampling.top_p < 1.0 else None,  # all tokens: nothing to ask for
            "seed": answer_seed(sampling.seed, prompt.prompt_id, sample),
            self._caller.endpoint.token_limit_field: sampling.max_tokens,
            "stop": list(sampling.stop) or None,
        }
        return {name: value for name, value in options.items() if value is not None}

    def _held(self, job: Job, sampling: Sampling) -> Generation | None:
        if self._cache is None:
            return None
        return self._cache.get(self._key(job, sampling), *job)

    def _key(self, job: Job, sampling: Sampling) -> str:
        return answer_key(self._source, *job, sampling)

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
        **({"omit": sorted(endpoint.omit)} if endpoint.omit else {}),
    }


def _meaning(error: ConsensusError) -> Meaning | None:
    """What a failure means for its prompt; None for one that says nothing of it."""
    situation = getattr(error, "situation", "")
    meaning = MEANINGS[Situation(situation)] if situation else None
    return None if meaning is None or meaning.prompt is None else meaning


def _refused(error: GenerationError) -> GenerationError:
    """A failure of this prompt alone, as whoever asks for many knows it: the endpoint gives it no answer."""
    refused = PromptRefused(error.message, prompt_id=error.prompt_id)
    refused.situation, refused.__cause__ = error.situation, error
    return refused


def _taken(reply: Reply, most: Tokens) -> Tokens:
    """What an answer took, at most: requests that broke off may have been billed, and not every endpoint counts."""
    counted = Tokens(
        most.prompt if reply.prompt_tokens is None else reply.prompt_tokens,
        most.completion if reply.completion_tokens is None else reply.completion_tokens,
    )
    return sum([most] * (reply.requests - 1), counted)
