"""Files of several models' answers: `prompt_id, prompt, model, output` on each line of a JSONL file, plain or gzip.

One reader for `consensus replay` and `consensus-server evaluate-labels`. A line may say what its answer is worth: by
`preference`, 0..1 (null or -1 where the judge failed), or by `gold`, the right answer, with the `equivalence` by which an
output equals it. Other columns are not looked at.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from client_kit.errors import FaultyFile
from client_kit.input_files import Row, id_in, read_rows, text_in

COLUMNS = ("prompt_id", "prompt", "model", "output")

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

    @property
    def key(self) -> tuple[str, str]:
        return self.prompt_id, self.model

    @property
    def question(self) -> tuple[str, str | None, str | None]:
        """What all lines of a prompt say alike."""
        return self.prompt, self.gold, self.equivalence


def read_model_answers(path: Path, check: Callable[[ModelAnswer], None] = lambda _: None) -> list[ModelAnswer]:
    """The answers in the order of the file; a line that is repeated counts once.

    check: raises ValueError for a line that its caller cannot use. Raises FaultyFile with file, line and fault.
    """
    found: dict[tuple[str, str], ModelAnswer] = {}
    questions: dict[str, ModelAnswer] = {}

    def take(row: Row) -> None:
        answer = _model_answer(row)
        check(answer)
        if questions.setdefault(answer.prompt_id, answer).question != answer.question:
            raise ValueError(f"prompt_id {answer.prompt_id!r} stood before with another prompt, gold or equivalence")
        if found.setdefault(answer.key, answer) != answer:
            raise ValueError(
                f"{answer.model!r} has another answer to prompt {answer.prompt_id!r} before; keep one answer of a model "
                "to a prompt"
            )

    read_rows(path, take)
    if not found:
        raise FaultyFile(f"{path} has no answers: it needs one JSON object per line with {', '.join(COLUMNS)}")
    return list(found.values())


def _model_answer(row: Row) -> ModelAnswer:
    if missing := [name for name in COLUMNS if name not in row]:
        raise ValueError(f"{missing[0]} is missing; each line needs {', '.join(COLUMNS)}")
    prompt_id, prompt, model = id_in(row, "prompt_id"), text_in(row, "prompt"), text_in(row, "model")
    for name, value in zip(COLUMNS, (prompt_id, prompt, model), strict=False):
        if not value:  # only an output may be empty: a model may have said nothing
            raise ValueError(f"{name} is empty")
    gold, equivalence = (None if row.get(name) is None else text_in(row, name) for name in ("gold", "equivalence"))
    return ModelAnswer(
        prompt_id, prompt, model, text_in(row, "output"), _preference(row.get("preference")), gold, equivalence,
        worth_stated="preference" in row or "gold" in row,
    )  # fmt: skip


def _preference(value: object) -> float | None:
    if value is None or value == _NO_JUDGEMENT:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or not 0 <= value <= 1:
        raise ValueError(f"preference is {value!r}; it is a number 0..1, or null or -1 where the judge failed")
    return float(value)
