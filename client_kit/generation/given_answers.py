"""Answers that lie in a file: `prompt_id` and `text` on each line, and what is known of how the text came about."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field

from client_kit.errors import FaultyFile
from client_kit.generation.base import Generation
from client_kit.generation.replies import finish_of, token_count
from client_kit.input_files import Row, id_in, read_rows
from client_kit.wire import FinishReason
from client_kit.wire.limits import MAX_SAMPLES, PromptId

COLUMNS: Final = frozenset({"prompt_id", "sample", "text", "finish_reason", "usage"})


@dataclass(frozen=True, slots=True)
class GivenAnswers:
    """A file of answers that was read whole and found in order."""

    answers: tuple[Generation, ...]
    ignored: tuple[str, ...]
    """Columns that are not looked at."""


class _Line(BaseModel):
    prompt_id: PromptId
    sample: Annotated[
        int, Field(ge=0, lt=MAX_SAMPLES), BeforeValidator(lambda given: 0 if given is None else given)
    ] = 0
    text: str


def read_given_answers(file: Path) -> GivenAnswers:
    """Read JSONL, plain or gzip, as other tools write it too.

    A whole number as `prompt_id` is taken as text; an unknown or missing finish reason or usage is unknown; other columns
    are ignored. Raises FaultyFile with file, line and fault.
    """
    ignored: set[str] = set()

    def take(row: Row) -> Generation:
        ignored.update(row.keys() - COLUMNS)
        return _generation(row)

    answers = read_rows(file, take)
    if not answers:
        raise FaultyFile(f"{file} has no answers; it needs one JSON object per line, with prompt_id and text")
    return GivenAnswers(tuple(answers), tuple(sorted(ignored)))


def _generation(row: Row) -> Generation:
    line = _Line.model_validate({**row, "prompt_id": id_in(row, "prompt_id")})
    usage: dict[str, Any] = given if isinstance(given := row.get("usage"), dict) else {}
    return Generation(
        line.prompt_id, line.sample, line.text, _finish(row.get("finish_reason")),
        token_count(usage.get("prompt_tokens")), token_count(usage.get("completion_tokens")),
    )  # fmt: skip


def _finish(told: object) -> FinishReason:
    """As endpoints tell it; null and whatever else is no word is unknown."""
    named = isinstance(told, str) and told not in {"", FinishReason.UNKNOWN}
    return finish_of(told) if named else FinishReason.UNKNOWN
