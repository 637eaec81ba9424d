"""Files of judged answers: one JSON object per line, plain or gzip; docs/label-quality.md describes them.

Each line has `prompt_id, prompt, model, output` and either `preference`, what the answer is worth, 0..1 (null or -1 where
it is unknown), or `gold`, the right answer, with the `equivalence` by which an output equals it: it is then worth 1 or
0. One of both must be there, be it null. `equivalence` is also how the prompt's pools are clustered. Every model answers
every prompt once.
"""

import gzip
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from consensus_server.core.consensus.meaning.equivalences import EQUIVALENCES, KEYS
from consensus_server.core.consensus.meaning.units import agree


class AnswerFileError(ValueError):
    """The file cannot be used. The message names the file, the line, what is wrong and what would do."""


@dataclass(frozen=True, slots=True)
class JudgedAnswers:
    """A file that was read whole and found in order."""

    name: str
    prompt_ids: tuple[str, ...]
    prompts: tuple[str, ...]
    models: tuple[str, ...]
    """Sorted."""
    outputs: tuple[tuple[str, ...], ...]
    """By prompt, then model."""
    preferences: Float64[np.ndarray, "prompts models"]
    """0..1; nan where unknown."""
    equivalences: tuple[str, ...]
    """By prompt: when two answers mean the same."""
    by_gold: bool = False
    """Whether some answers are right or wrong by a key: no judge, who could favour length, has spoken there."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What all lines of a prompt say alike."""

    prompt: str
    equivalence: str
    gold: str | None


def read_files(paths: Sequence[Path], prompts: int | None = None) -> list[JudgedAnswers]:
    """Read each file once; those that bear the same name are called by the shortest path that tells them apart.

    prompts: as in `read_judged_answers`. Raises AnswerFileError.
    """
    files = {Path(os.path.abspath(path)): path for path in paths}  # noqa: PTH100 - links keep their names
    called = _distinct_names(list(files))
    return [replace(read_judged_answers(files[each], prompts), name=called[each]) for each in files]


def _distinct_names(files: Sequence[Path]) -> dict[Path, str]:
    """Of different absolute paths: the last parts of each, as few as no other one ends with."""

    def ending(file: Path, parts: int) -> str:
        return Path(*file.parts[-parts:]).as_posix()

    return {
        file: next(
            ending(file, parts)
            for parts in range(1, len(file.parts) + 1)
            if [ending(each, parts) for each in files].count(ending(file, parts)) == 1
        )
        for file in files
    }


def read_judged_answers(path: Path, prompts: int | None = None) -> JudgedAnswers:
    """Read and check a file. prompts: use the first so many; None: all. Raises AnswerFileError."""
    questions: dict[str, _Question] = {}
    answers: dict[tuple[str, str], tuple[str, float]] = {}
    for number, row in rows_of_file(path):
        where = f"{path} line {number}"
        prompt_id, model, output = (text_of(row, name, where) for name in ("prompt_id", "model", "output"))
        question = _question(row, where)
        if questions.setdefault(prompt_id, question) != question:
            raise AnswerFileError(
                f"{where}: prompt_id {prompt_id!r} stood before with another prompt, gold or equivalence."
            )
        if (prompt_id, model) in answers:
            raise AnswerFileError(f"{where}: {model!r} answered {prompt_id!r} before; keep one answer of each model.")
        answers[prompt_id, model] = output, _worth(row, question, output, where)
    if not answers:
        raise AnswerFileError(
            f"{path} has no answers; it needs lines with prompt_id, prompt, model, output, and preference or gold."
        )
    return _table(path, dict(list(questions.items())[:prompts]), answers)


def _question(row: dict[str, Any], where: str) -> _Question:
    equivalence, gold = row.get("equivalence", "semantic"), row.get("gold")
    if equivalence not in EQUIVALENCES:
        raise AnswerFileError(f"{where}: equivalence is {equivalence!r}; known are {', '.join(EQUIVALENCES)}.")
    if "preference" not in row and "gold" not in row:
        raise AnswerFileError(
            f"{where} has neither preference nor gold; write preference: null where nobody judged the answer."
        )
    if gold is not None:
        _check_gold(text_of(row, "gold", where), equivalence, where)
        if not np.isnan(_preference(row.get("preference"), where)):
            raise AnswerFileError(f"{where} has both preference and gold; keep one.")
    return _Question(text_of(row, "prompt", where), equivalence, gold)


def _check_gold(gold: str, equivalence: str, where: str) -> None:
    if equivalence not in KEYS:
        raise AnswerFileError(f"{where}: gold needs an equivalence that can tell right from wrong: {', '.join(KEYS)}.")
    if KEYS[equivalence](gold) is None:
        raise AnswerFileError(
            f"{where}: gold {gold!r} states no {equivalence}; write the bare answer, such as 42 or B."
        )


def _worth(row: dict[str, Any], question: _Question, output: str, where: str) -> float:
    """0..1; nan where unknown."""
    if question.gold is None:
        return _preference(row.get("preference"), where)
    key = KEYS[question.equivalence]
    return float(agree(key(output), key(question.gold)))


def _table(
    path: Path, questions: dict[str, _Question], answers: dict[tuple[str, str], tuple[str, float]]
) -> JudgedAnswers:
    models = tuple(sorted({model for _, model in answers}))
    missing = [(p, m) for p in questions for m in models if (p, m) not in answers]
    if missing:
        raise AnswerFileError(
            f"{path}: {missing[0][1]!r} has no answer to {missing[0][0]!r} ({len(missing)} answers are missing); "
            "leave out the models or prompts that are not complete."
        )
    table = [[answers[p, m] for m in models] for p in questions]
    return JudgedAnswers(
        name=path.name,
        prompt_ids=tuple(questions),
        prompts=tuple(question.prompt for question in questions.values()),
        models=models,
        outputs=tuple(tuple(output for output, _ in row) for row in table),
        preferences=np.array([[preference for _, preference in row] for row in table], dtype=np.float64),
        equivalences=tuple(question.equivalence for question in questions.values()),
        by_gold=any(question.gold is not None for question in questions.values()),
    )


def rows_of_file(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number of the line, object) of each line of a JSONL or JSONL.gz file that is not empty. Raises AnswerFileError."""
    try:
        content = path.read_bytes()
        lines = (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).split(b"\n")
    except (OSError, EOFError, zlib.error) as error:
        raise AnswerFileError(f"{path} cannot be read: {error}. Give a JSONL or JSONL.gz file.") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise AnswerFileError(f"{path} line {number} is no JSON: {error}.") from error
            if not isinstance(row, dict):
                raise AnswerFileError(f"{path} line {number} is no JSON object.")
            yield number, row


def text_of(row: dict[str, Any], name: str, where: str) -> str:
    """A field that must be a text. where: of the row, for the message. Raises AnswerFileError."""
    value = row.get(name)
    if not isinstance(value, str):
        raise AnswerFileError(f"{where}: {name} is {value!r}; it must be a text.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise AnswerFileError(
            f"{where}: {name} has half of a character, {value[error.start]!a} at {error.start}; write all of the "
            "character (two escapes in JSON), or \\ufffd in its place."
        ) from None
    return value


def _preference(value: object, where: str) -> float:
    if value is None or value == -1:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise AnswerFileError(f"{where}: preference is {value!r}; it must be a number from 0 to 1, or null.")
    return float(value)
