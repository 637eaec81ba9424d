"""Files of judged answers: one JSON object per line, plain or gzip; docs/label-quality.md describes them.

Each line has `prompt_id, prompt, model, output` and either `preference`, what the answer is worth, 0..1 (null or -1 where
it is unknown), or `gold`, the right answer, with the `equivalence` by which an output equals it: it is then worth 1 or
0. One of both must be there, be it null. `equivalence` is also how the prompt's pools are clustered. Every model answers
every prompt once, or with each `sample`; models and prompts with gaps can be left out. Prompts of one `question` are one pool.
"""

import gzip
import json
import os
import re
import zlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float64

from consensus_server.core.consensus.meaning.equivalences import EQUIVALENCES, KEYS
from consensus_server.core.consensus.meaning.units import agree
from consensus_server.evaluation.complete import complete_part


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a file is read, and how."""

    prompts: int | None = None
    """So many prompts, drawn by `seed`; None: all. Files are often sorted by where prompts come from."""
    seed: int = 7
    scale: tuple[float, float] = (0.0, 1.0)
    """The least and the greatest preference; they are read as 0 and 1."""
    least_models: int | None = None
    """Leave out models and prompts with gaps, and keep so many models at least; None: refuse a file with gaps."""


class AnswerFileError(ValueError):
    """The file cannot be used. The message names the file, the line, what is wrong and what would do."""


_ALL: Final = Wanted()
_Answers = dict[tuple[str, str, int], tuple[str, float]]
"""(text, worth) by prompt, model and sample."""
_KIND: Final = re.compile(r"[\w.-]{1,63}")


@dataclass(frozen=True, slots=True)
class JudgedAnswers:
    """A file that was read whole and found in order."""

    name: str
    prompt_ids: tuple[str, ...]
    prompts: tuple[str, ...]
    models: tuple[str, ...]
    """Sorted."""
    outputs: tuple[tuple[str, ...], ...]
    """By prompt, then column."""
    preferences: Float64[np.ndarray, "prompts columns"]
    """0..1; nan where unknown."""
    equivalences: tuple[str, ...]
    """By prompt: when two answers mean the same."""
    by_gold: bool = False
    """Whether some answers are right or wrong by a key: no judge, who could favour length, has spoken there."""
    kinds: tuple[str, ...] = ()
    """By prompt: the kind of task, as the file says, else the equivalence."""
    left_out: tuple[int, int] = (0, 0)
    """Models and prompts that were left out because of gaps."""
    questions: tuple[str | None, ...] = ()
    """By prompt: prompts of one question ask the same in other words."""
    samples: int = 1
    """Answers of each model to each prompt; a model has so many columns, one after another."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names: of the models, or of their samples."""
        if self.samples == 1:
            return self.models
        return tuple(f"{model} #{sample}" for model in self.models for sample in range(self.samples))

    @property
    def by_rounds(self) -> bool:
        """Whether pools are more than one answer of each model to one prompt."""
        return self.samples > 1 or any(question is not None for question in self.questions)


@dataclass(frozen=True, slots=True)
class _Question:
    """What all lines of a prompt say alike."""

    prompt: str
    equivalence: str
    gold: str | None
    kind: str
    question: str | None


def read_files(paths: Sequence[Path], wanted: Wanted = _ALL) -> list[JudgedAnswers]:
    """Read each file once; those that bear the same name are called by the shortest path that tells them apart.

    Raises AnswerFileError.
    """
    files = {Path(os.path.abspath(path)): path for path in paths}  # noqa: PTH100 - links keep their names
    called = _distinct_names(list(files))
    return [replace(read_judged_answers(files[each], wanted), name=called[each]) for each in files]


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


def read_judged_answers(path: Path, wanted: Wanted = _ALL) -> JudgedAnswers:
    """Read and check a file. Raises AnswerFileError."""
    questions: dict[str, _Question] = {}
    answers: _Answers = {}
    for number, row in rows_of_file(path):
        where = f"{path} line {number}"
        prompt_id, model, output = (text_of(row, name, where) for name in ("prompt_id", "model", "output"))
        question = _question(row, where, wanted.scale)
        if questions.setdefault(prompt_id, question) != question:
            raise AnswerFileError(
                f"{where}: prompt_id {prompt_id!r} stood before with another prompt, gold, equivalence, kind or question."
            )
        sample = _sample(row, where)
        if (prompt_id, model, sample) in answers:
            raise AnswerFileError(
                f"{where}: {model!r} answered {prompt_id!r} before; keep one answer of each model, or number them: "
                "sample 0, 1, ..."
            )
        answers[prompt_id, model, sample] = output, _worth(row, question, output, where, wanted.scale)
    if not answers:
        raise AnswerFileError(
            f"{path} has no answers; it needs lines with prompt_id, prompt, model, output, and preference or gold."
        )
    return _table(path, questions, answers, wanted)


def _drawn(prompt_ids: Sequence[str], wanted: Wanted) -> list[str]:
    """The prompts to use, in the order of the file."""
    if wanted.prompts is None or wanted.prompts >= len(prompt_ids):
        return list(prompt_ids)
    rng = np.random.default_rng([wanted.seed, len(prompt_ids)])
    return [prompt_ids[at] for at in np.sort(rng.choice(len(prompt_ids), wanted.prompts, replace=False)).tolist()]


def _question(row: dict[str, Any], where: str, scale: tuple[float, float]) -> _Question:
    equivalence, gold = row.get("equivalence", "semantic"), row.get("gold")
    if equivalence not in EQUIVALENCES:
        raise AnswerFileError(f"{where}: equivalence is {equivalence!r}; known are {', '.join(EQUIVALENCES)}.")
    if "preference" not in row and "gold" not in row:
        raise AnswerFileError(
            f"{where} has neither preference nor gold; write preference: null where nobody judged the answer."
        )
    if gold is not None:
        _check_gold(text_of(row, "gold", where), equivalence, where)
        if not np.isnan(_preference(row.get("preference"), where, scale)):
            raise AnswerFileError(f"{where} has both preference and gold; keep one.")
    kind = row.get("kind", equivalence)
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise AnswerFileError(
            f"{where}: kind is {kind!r}; it must be a name of letters, digits, dots, hyphens and underscores."
        )
    return _Question(
        text_of(row, "prompt", where),
        equivalence,
        gold,
        kind,
        None if row.get("question") is None else text_of(row, "question", where),
    )


def _check_gold(gold: str, equivalence: str, where: str) -> None:
    if equivalence not in KEYS:
        raise AnswerFileError(f"{where}: gold needs an equivalence that can tell right from wrong: {', '.join(KEYS)}.")
    if KEYS[equivalence](gold) is None:
        raise AnswerFileError(
            f"{where}: gold {gold!r} states no {equivalence}; write the bare answer, such as 42 or B."
        )


def _worth(row: dict[str, Any], question: _Question, output: str, where: str, scale: tuple[float, float]) -> float:
    """0..1; nan where unknown."""
    if question.gold is None:
        return _preference(row.get("preference"), where, scale)
    key = KEYS[question.equivalence]
    return float(agree(key(output), key(question.gold)))


def _table(path: Path, questions: dict[str, _Question], answers: _Answers, wanted: Wanted) -> JudgedAnswers:
    models = tuple(sorted({model for _, model, _ in answers}))
    samples = sorted({sample for _, _, sample in answers})
    ids, left_out = list(questions), (0, 0)
    if wanted.least_models is not None:
        ids, models, left_out = _complete(path, ids, models, samples, answers, wanted.least_models)
    ids = _drawn(ids, wanted)
    missing = [(p, m) for p in ids for m in models for s in samples if (p, m, s) not in answers]
    if missing:
        raise AnswerFileError(
            f"{path}: {missing[0][1]!r} has no answer to {missing[0][0]!r} ({len(missing)} answers are missing); "
            "--drop-incomplete leaves out the models and prompts that are not complete."
        )
    table = [[answers[p, m, s] for m in models for s in samples] for p in ids]
    used = [questions[p] for p in ids]
    return JudgedAnswers(
        name=path.name,
        prompt_ids=tuple(ids),
        prompts=tuple(question.prompt for question in used),
        models=models,
        outputs=tuple(tuple(output for output, _ in row) for row in table),
        preferences=np.array([[preference for _, preference in row] for row in table], dtype=np.float64),
        equivalences=tuple(question.equivalence for question in used),
        by_gold=any(question.gold is not None for question in used),
        kinds=tuple(question.kind for question in used),
        questions=tuple(question.question for question in used),
        samples=len(samples),
        left_out=left_out,
    )


def _complete(  # noqa: PLR0917 - a table and how much of it must stay
    path: Path,
    ids: Sequence[str],
    models: Sequence[str],
    samples: Sequence[int],
    answers: Container[tuple[str, str, int]],
    least_models: int,
) -> tuple[list[str], tuple[str, ...], tuple[int, int]]:
    """Prompts and models without gaps, and how many of each are left out. Raises AnswerFileError where nothing is left."""
    given = np.array([[all((p, m, s) in answers for s in samples) for m in models] for p in ids], dtype=bool)
    prompts_stay, models_stay = complete_part(given, least_models)
    if not prompts_stay.any():
        raise AnswerFileError(f"{path}: no {least_models} models answered a prompt in common; a smaller panel may do.")
    kept = list(compress(ids, prompts_stay)), tuple(compress(models, models_stay))
    return *kept, (len(models) - len(kept[1]), len(ids) - len(kept[0]))


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


def _sample(row: dict[str, Any], where: str) -> int:
    """Which of several answers of a model this is."""
    value = row.get("sample", 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise AnswerFileError(f"{where}: sample is {value!r}; it must be a whole number from 0 on.")
    return value


def _preference(value: object, where: str, scale: tuple[float, float]) -> float:
    """0..1; nan where unknown."""
    low, high = scale
    if value is None or value == -1:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise AnswerFileError(
            f"{where}: preference is {value!r}; it must be a number from {low:g} to {high:g}, or null. "
            "For grades of another scale say which, such as --scale 1-5 or --scale 0-100."
        )
    return float((value - low) / (high - low))
