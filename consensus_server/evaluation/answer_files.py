"""Files of judged answers: one JSON object per line, plain or gzip; docs/label-quality.md describes them.

Each line has `prompt_id, prompt, model, output` and either `preference`, what the answer is worth, 0..1 (null or -1 where
it is unknown), or `gold`, the right answer, with the `equivalence` by which an output equals it: it is then worth 1 or
0. One of both must be there, be it null. `equivalence` is also how the prompt's pools are clustered. Every model answers
every prompt once, or with each `sample`; models and prompts with gaps can be left out. Prompts of one `question` are one pool.
"""

import os
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float64

from client_kit.answer_files import ModelAnswer, read_model_answers
from client_kit.errors import FaultyFile
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


_SEMANTIC: Final = "semantic"
_ALL: Final = Wanted()
_Answers = dict[tuple[str, str, int], ModelAnswer]
"""By prompt, model and sample."""


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
    ignored: tuple[str, ...] = ()
    """Columns of the file that are not looked at."""

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


def read_files(paths: Sequence[Path], wanted: Wanted = _ALL) -> list[JudgedAnswers]:
    """Read each file once; those that bear the same name are called by the shortest path that tells them apart.

    Raises FaultyFile.
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
    """Read and check a file. Raises FaultyFile."""
    read = read_model_answers(path, _check, wanted.scale)
    answers = read.answers
    prompts = {answer.prompt_id: answer for answer in reversed(answers)}
    ids = dict.fromkeys(answer.prompt_id for answer in answers)
    table = _table(path, {each: prompts[each] for each in ids}, {answer.key: answer for answer in answers}, wanted)
    return replace(table, ignored=read.ignored)


def _drawn(prompt_ids: Sequence[str], wanted: Wanted) -> list[str]:
    """The prompts to use, in the order of the file."""
    if wanted.prompts is None or wanted.prompts >= len(prompt_ids):
        return list(prompt_ids)
    rng = np.random.default_rng([wanted.seed, len(prompt_ids)])
    return [prompt_ids[at] for at in np.sort(rng.choice(len(prompt_ids), wanted.prompts, replace=False)).tolist()]


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
    return float(agree(key(answer.output), key(answer.gold)))


def _table(path: Path, prompts: dict[str, ModelAnswer], answers: _Answers, wanted: Wanted) -> JudgedAnswers:
    models = tuple(sorted({model for _, model, _ in answers}))
    samples = sorted({sample for _, _, sample in answers})
    ids, left_out = list(prompts), (0, 0)
    if wanted.least_models is not None:
        ids, models, left_out = _complete(path, ids, models, samples, answers, wanted.least_models)
    ids = _drawn(ids, wanted)
    missing = [(p, m) for p in ids for m in models for s in samples if (p, m, s) not in answers]
    if missing:
        raise FaultyFile(
            f"{path}: {missing[0][1]!r} has no answer to {missing[0][0]!r} ({len(missing)} answers are missing); "
            "--drop-incomplete leaves out the models and prompts that are not complete."
        )
    table = [[answers[p, m, s] for m in models for s in samples] for p in ids]
    used = [prompts[p] for p in ids]
    return JudgedAnswers(
        name=path.name,
        prompt_ids=tuple(ids),
        prompts=tuple(prompt.prompt for prompt in used),
        models=models,
        outputs=tuple(tuple(answer.output for answer in row) for row in table),
        preferences=np.array([[_worth(answer) for answer in row] for row in table], dtype=np.float64),
        equivalences=tuple(prompt.equivalence or _SEMANTIC for prompt in used),
        by_gold=any(prompt.gold is not None for prompt in used),
        kinds=tuple(prompt.kind or prompt.equivalence or _SEMANTIC for prompt in used),
        questions=tuple(prompt.question for prompt in used),
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
    """Prompts and models without gaps, and how many of each are left out. Raises FaultyFile where nothing is left."""
    given = np.array([[all((p, m, s) in answers for s in samples) for m in models] for p in ids], dtype=bool)
    prompts_stay, models_stay = complete_part(given, least_models)
    if not prompts_stay.any():
        raise FaultyFile(f"{path}: no {least_models} models answered a prompt in common; a smaller panel may do.")
    kept = list(compress(ids, prompts_stay)), tuple(compress(models, models_stay))
    return *kept, (len(models) - len(kept[1]), len(ids) - len(kept[0]))
