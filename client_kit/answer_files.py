"""Files of several models' answers: `prompt_id, prompt, model, output` on each line of a JSONL file, plain or gzip.

One reader for `consensus replay` and `consensus-server evaluate-labels`. A line may say what its answer is worth: by
`preference`, 0..1 (null or -1 where the judge failed), or by `gold`, the right answer, with the `equivalence` by which an
output equals it. It may name the `sample` of several by one model, the `question` that a prompt asks in other words than others,
and the `kind` of task. Other columns are not looked at, and whoever reads a file for a person tells which.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from client_kit.errors import FaultyFile
from client_kit.input_files import Row, id_in, read_rows, text_in

COLUMNS = ("prompt_id", "prompt", "model", "output")
_LOOKED_AT = frozenset({*COLUMNS, "preference", "gold", "equivalence", "sample", "question", "kind"})

_KIND = re.compile(r"[\w.-]{1,63}")
_NO_JUDGEMENT = -1
"""What files of judged answers hold where the judge failed; null means the same."""


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """One line."""

    prompt_id: str
    prompt: str
    model: str
    output: str
    preference: float | None
    """0..1; None where it is unknown."""
    gold: str | None
    equivalence: str | None
    worth_stated: bool
    """Whether the line has a preference or a gold, be it null."""
    sample: int = 0
    """Which of several answers of the model to the prompt."""
    kind: str | None = None
    """Of task."""
    question: str | None = None
    """Prompts of one question ask the same in other words."""

    @property
    def key(self) -> tuple[str, str, int]:
        return self.prompt_id, self.model, self.sample

    @property
    def of_prompt(self) -> tuple[str | None, ...]:
        """What all lines of a prompt say alike."""
        return self.prompt, self.gold, self.equivalence, self.kind, self.question


@dataclass(frozen=True, slots=True)
class ModelAnswers:
    """A file that was read whole and found in order."""

    answers: tuple[ModelAnswer, ...]
    """In the order of the file."""
    ignored: tuple[str, ...]
    """Columns that are not looked at."""


def read_model_answers(
    path: Path, check: Callable[[ModelAnswer], None] = lambda _: None, scale: tuple[float, float] = (0.0, 1.0)
) -> ModelAnswers:
    """Read a file; a line that is repeated counts once.

    check: raises ValueError for a line that its caller cannot use. scale: the least and the greatest preference, read as 0 and 1.
    Raises FaultyFile with file, line and fault.
    """
    found: dict[tuple[str, str, int], ModelAnswer] = {}
    prompts: dict[str, ModelAnswer] = {}
    ignored: set[str] = set()

    def take(row: Row) -> None:
        ignored.update(row.keys() - _LOOKED_AT)
        answer = _model_answer(row, scale)
        check(answer)
        if prompts.setdefault(answer.prompt_id, answer).of_prompt != answer.of_prompt:
            raise ValueError(
                f"prompt_id {answer.prompt_id!r} stood before with another prompt, gold, equivalence, kind or question"
            )
        if found.setdefault(answer.key, answer) != answer:
            raise ValueError(
                f"{answer.model!r} has another answer to prompt {answer.prompt_id!r} before; keep one answer of a model "
                "to a prompt, or number them: sample 0, 1, ..."
            )

    read_rows(path, take)
    if not found:
        raise FaultyFile(f"{path} has no answers: it needs one JSON object per line with {', '.join(COLUMNS)}")
    return ModelAnswers(tuple(found.values()), tuple(sorted(ignored)))


def _model_answer(row: Row, scale: tuple[float, float]) -> ModelAnswer:
    if missing := [name for name in COLUMNS if name not in row]:
        raise ValueError(f"{missing[0]} is missing; each line needs {', '.join(COLUMNS)}")
    prompt_id, prompt, model = id_in(row, "prompt_id"), text_in(row, "prompt"), text_in(row, "model")
    for name, value in (("prompt_id", prompt_id), ("model", model)):
        if not value:  # an output may be empty, as a model may have said nothing, and a prompt, as it may be withheld
            raise ValueError(f"{name} is empty")
    names = ("gold", "equivalence", "kind", "question")
    gold, equivalence, kind, question = (None if row.get(name) is None else text_in(row, name) for name in names)
    if kind is not None and not _KIND.fullmatch(kind):
        raise ValueError(f"kind is {kind!r}; it is a name of letters, digits, dots, hyphens and underscores")
    return ModelAnswer(
        prompt_id, prompt, model, text_in(row, "output"), _preference(row.get("preference"), scale), gold, equivalence,
        worth_stated="preference" in row or "gold" in row, sample=_sample(row.get("sample", 0)), kind=kind, question=question,
    )  # fmt: skip


def _sample(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"sample is {value!r}; it is a whole number from 0 on")
    return value


def _preference(value: object, scale: tuple[float, float]) -> float | None:
    """0..1."""
    low, high = scale
    if value is None or value == _NO_JUDGEMENT:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(
            f"preference is {value!r}; it is a number {low:g}..{high:g}, or null or -1 where the judge failed. For grades of another "
            "scale evaluate-labels is told which, such as --scale 1-5 or --scale 0-100"
        )
    return float((value - low) / (high - low))
