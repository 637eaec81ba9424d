"""Files of existing answers as a round takes them; `client_kit.answer_files` says what their lines hold."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from client_kit.answer_files import COLUMNS, ModelAnswer, read_model_answers
from client_kit.errors import ConfigurationError, MissingExtra
from client_kit.wire.limits import MAX_ANSWER_CHARS, MAX_PROMPT_CHARS

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_PROMPT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")


@dataclass(frozen=True, slots=True)
class AnswerFile:
    """A file of answers that was read whole and found in order."""

    prompts: Mapping[str, str]
    """Prompt by prompt_id."""
    outputs: Mapping[str, Mapping[str, str]]
    """Model -> prompt_id -> its answer."""
    preferences: Mapping[tuple[str, str], float]
    """(prompt_id, model) -> judged preference, 0..1, where there is a valid one. Never sent."""
    too_long: tuple[tuple[str, str], ...] = ()
    """(prompt_id, model) of the answers that no federation takes, for their length; they are in no other field."""
    ignored: tuple[str, ...] = ()
    """Columns that are not looked at."""

    @property
    def judged(self) -> bool:
        """Whether any answer has a valid judgement."""
        return bool(self.preferences)


def read_answer_file(path: Path) -> AnswerFile:
    """Read and check a file. Raises FaultyFile naming the file, the line, what is wrong and what would do."""
    prompts: dict[str, str] = {}
    outputs: dict[str, dict[str, str]] = {}
    preferences: dict[tuple[str, str], float] = {}
    too_long: list[tuple[str, str]] = []
    read = read_model_answers(path, _check)
    for answer in read.answers:
        prompts[answer.prompt_id] = answer.prompt
        given = outputs.setdefault(answer.model, {})
        if len(answer.output) > MAX_ANSWER_CHARS:
            too_long.append((answer.prompt_id, answer.model))
            continue
        given[answer.prompt_id] = answer.output
        if answer.preference is not None:
            preferences[answer.prompt_id, answer.model] = answer.preference
    return AnswerFile(prompts, outputs, preferences, tuple(too_long), read.ignored)


def _check(answer: ModelAnswer) -> None:
    """Raises ValueError for what the service cannot store, and for further samples."""
    if answer.sample:
        raise ValueError(f"sample is {answer.sample}; a replay takes one answer of a model to a prompt, sample 0")
    if not answer.prompt:
        raise ValueError("prompt is empty")
    for name in COLUMNS:
        if "\x00" in getattr(answer, name):
            raise ValueError(f"{name} holds a NUL character, which databases cannot store; remove it")
    if len(answer.prompt) > MAX_PROMPT_CHARS:
        raise ValueError(f"prompt has {len(answer.prompt):,} characters; at most {MAX_PROMPT_CHARS:,} can be sent")


def draw_models(models: Collection[str], count: int, seed: int) -> list[str]:
    """Panel 0 of a seed: numpy.random.default_rng([seed, K, 0]).choice(sorted(models), K, replace=False), sorted.

    Raises ConfigurationError where there are fewer than `count` models.
    """
    try:
        import numpy as np  # noqa: PLC0415 - not in the base install
    except ImportError as error:
        raise MissingExtra("drawing models", "server") from error
    if seed < 0:
        raise ConfigurationError(f"--seed is {seed}; it must be 0 or more")
    if not 1 <= count <= len(models):
        raise ConfigurationError(f"--models asks for {count} models; the file has {len(models)}")
    drawn = np.random.default_rng([seed, count, 0]).choice(sorted(models), count, replace=False)
    return sorted(str(model) for model in drawn)


def named_models(models: Collection[str], wanted: Sequence[str]) -> list[str]:
    """The models that were asked for by name, sorted. Raises ConfigurationError for one that the file has not."""
    unknown = sorted(set(wanted) - set(models))
    if unknown:
        raise ConfigurationError(
            f"the file has no answers of {', '.join(map(repr, unknown))}; it has {', '.join(sorted(models))}"
        )
    return sorted(set(wanted))


def wire_names(models: Collection[str]) -> dict[str, str]:
    """Participant name by model: the model's own name where the wire allows it, else a readable form with a digest."""
    return {model: _fit(model, _NAME, lower=True) for model in sorted(models)}


def wire_prompt_ids(prompt_ids: Collection[str]) -> dict[str, str]:
    """Prompt id on the wire by prompt_id of the file, in the same way."""
    return {prompt_id: _fit(prompt_id, _PROMPT_ID, lower=False) for prompt_id in sorted(prompt_ids)}


def _fit(name: str, pattern: re.Pattern[str], *, lower: bool) -> str:
    if pattern.fullmatch(name):
        return name
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", name.lower() if lower else name).strip("._-")[:40]
    return "-".join(part for part in (readable, sha256(name.encode()).hexdigest()[:12]) if part)
