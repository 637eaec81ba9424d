"""Files of judged answers: one JSON object per line, plain or gzip; docs/label-quality.md describes them.

Each line has `prompt_id, prompt, model, output` and either `preference`, what the answer is worth, 0..1 (null or -1 where
it is unknown), or `gold`, the right answer, with the `equivalence` by which an output equals it: it is then worth 1 or
0. One of both must be there, be it null. `equivalence` is also how the prompt's pools are clustered. Every model answers
every prompt once.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from client_kit.answer_files import ModelAnswer, read_model_answers
from client_kit.errors import FaultyFile
from consensus_server.core.consensus.meaning.equivalences import EQUIVALENCES, KEYS

_SEMANTIC = "semantic"


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


def read_files(paths: Sequence[Path], prompts: int | None = None) -> list[JudgedAnswers]:
    """Read each file once; those that bear the same name are called by the shortest path that tells them apart.

    prompts: as in `read_judged_answers`. Raises FaultyFile.
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
    """Read and check a file. prompts: use the first so many; None: all. Raises FaultyFile."""
    answers = read_model_answers(path, _check)
    questions = {answer.prompt_id: answer for answer in reversed(answers)}
    ids = list(dict.fromkeys(answer.prompt_id for answer in answers))[:prompts]
    return _table(path, {each: questions[each] for each in ids}, {answer.key: answer for answer in answers})


def _check(answer: ModelAnswer) -> None:
    """Raises ValueError where the answer's worth cannot be told."""
    equivalence = answer.equivalence or _SEMANTIC
    if equivalence not in EQUIVALENCES:
        raise ValueError(f"equivalence is {equivalence!r}; known are {', '.join(EQUIVALENCES)}")
    if not answer.worth_stated:
        raise ValueError("has neither preference nor gold; write preference: null where nobody judged the answer")
    if answer.gold is None:
        return
    if equivalence not in KEYS:
        raise ValueError(f"gold needs an equivalence that can tell right from wrong: {', '.join(KEYS)}")
    if KEYS[equivalence](answer.gold) is None:
        raise ValueError(f"gold {answer.gold!r} states no {equivalence}; write the bare answer, such as 42 or B")
    if answer.preference is not None:
        raise ValueError("has both preference and gold; keep one")


def _worth(answer: ModelAnswer) -> float:
    """0..1; nan where unknown."""
    if answer.gold is None:
        return float("nan") if answer.preference is None else answer.preference
    key = KEYS[answer.equivalence or _SEMANTIC]
    return float(key(answer.output) == key(answer.gold))


def _table(path: Path, questions: dict[str, ModelAnswer], answers: dict[tuple[str, str], ModelAnswer]) -> JudgedAnswers:
    models = tuple(sorted({model for _, model in answers}))
    missing = [(p, m) for p in questions for m in models if (p, m) not in answers]
    if missing:
        raise FaultyFile(
            f"{path}: {missing[0][1]!r} has no answer to {missing[0][0]!r} ({len(missing)} answers are missing); "
            "leave out the models or prompts that are not complete."
        )
    table = [[answers[p, m] for m in models] for p in questions]
    return JudgedAnswers(
        name=path.name,
        prompt_ids=tuple(questions),
        prompts=tuple(question.prompt for question in questions.values()),
        models=models,
        outputs=tuple(tuple(answer.output for answer in row) for row in table),
        preferences=np.array([[_worth(answer) for answer in row] for row in table], dtype=np.float64),
        equivalences=tuple(question.equivalence or _SEMANTIC for question in questions.values()),
        by_gold=any(question.gold is not None for question in questions.values()),
    )
