"""Answers that exist already: for tests, and for participants whose generations lie in a file. No model is asked."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from client_kit.errors import FaultyFile, GenerationError
from client_kit.generation.base import Generation, Sampling
from client_kit.generation.given_answers import read_given_answers
from client_kit.wire import FinishReason, Prompt

_log = logging.getLogger(__name__)


class ScriptedGenerator:
    """Gives the answers it was given.

    answers: a text, or one text per sample, by prompt_id. They are reported as finished, without token counts.
    """

    def __init__(self, answers: Mapping[str, str | Sequence[str]]) -> None:
        self._answers = {
            prompt_id: (texts,) if isinstance(texts, str) else tuple(texts) for prompt_id, texts in answers.items()
        }
        _log.warning("answers come from a script of %d prompts, not from a model", len(self._answers))

    @classmethod
    def from_file(cls, file: Path) -> Self:
        """Read JSONL with `prompt_id`, `text` and, where there are several, `sample` (0, 1, ...).

        Raises FaultyFile that names the line.
        """
        texts: dict[str, dict[int, str]] = {}
        for answer in read_given_answers(file).answers:
            texts.setdefault(answer.prompt_id, {})[answer.sample] = answer.text
        return cls({prompt_id: _in_order(file, prompt_id, samples) for prompt_id, samples in texts.items()})

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[Generation]:
        """Yield the scripted answers in the order of the prompts. Raises GenerationError where the script has none."""
        for prompt in prompts:
            texts = self._answers.get(prompt.prompt_id, ())
            if len(texts) < sampling.samples:
                raise GenerationError(
                    f"the script has {len(texts)} answers to it, and {sampling.samples} are asked for; add them, "
                    "or leave the prompt out",
                    prompt_id=prompt.prompt_id,
                )
            for sample, text in enumerate(texts[: sampling.samples]):
                yield Generation(prompt.prompt_id, sample, text, FinishReason.STOP)

    def close(self) -> None:
        """Nothing is held."""


def _in_order(file: Path, prompt_id: str, samples: Mapping[int, str]) -> list[str]:
    if sorted(samples) != list(range(len(samples))):
        raise FaultyFile(f"{file}: the samples of prompt {prompt_id} are {sorted(samples)}, not 0, 1, ...")
    return [samples[number] for number in range(len(samples))]
