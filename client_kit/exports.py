"""Pseudo-labels as training data in the formats of others. Abstentions are left out; files appear whole or not at all."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client_kit.errors import ExportError, MissingExtra
from client_kit.storage import storage_explained
from client_kit.wire import Prompt, PseudoLabel

if TYPE_CHECKING:
    from datasets import Dataset

Row = dict[str, Any]


class ExportFormat(StrEnum):
    """Formats that `export_labels` writes."""

    TRL = "trl"
    """JSONL of TRL's prompt-completion data: `prompt`, `completion`; beside them `prompt_id`, `confidence`."""
    OPENAI = "openai"
    """JSONL of OpenAI's fine-tuning chats: `messages`. No other field is allowed there, so confidence is lost."""
    ALPACA = "alpaca"
    """One JSON array: `instruction`, `input`, `output`; beside them `prompt_id`, `confidence`."""
    JSONL = "jsonl"
    """JSONL of the pseudo-labels as received, with their prompts."""


def training_rows(prompts: Iterable[Prompt], labels: Iterable[PseudoLabel]) -> list[Row]:
    """Rows `prompt_id`, `prompt`, `completion`, `confidence` (0..1) of the prompts that have a pseudo-label.

    In the order of the prompts. Raises ExportError for a label whose prompt is not among them.
    """
    return [
        {
            "prompt_id": prompt.prompt_id,
            "prompt": prompt.prompt,
            "completion": label.text,
            "confidence": label.confidence,
        }
        for prompt, label in _pairs(prompts, labels)
    ]


def to_dataset(prompts: Iterable[Prompt], labels: Iterable[PseudoLabel], *, conversational: bool = False) -> "Dataset":
    """`training_rows` as a `datasets.Dataset` for TRL's `SFTTrainer`. Needs the extra `train`.

    conversational: prompt and completion as messages, so that TRL applies the tokenizer's chat template: right for every
    model that has one. Plain texts are for base models, and join without a space.
    """
    try:
        from datasets import Dataset  # noqa: PLC0415  an optional extra
    except ImportError as error:
        raise MissingExtra("a datasets.Dataset", "train") from error
    rows = training_rows(prompts, labels)
    if not rows:
        raise ExportError("there is no pseudo-label to make a dataset of: every prompt ended in an abstention")
    return Dataset.from_list([_as_messages(row) for row in rows] if conversational else rows)


def _as_messages(row: Row) -> Row:
    prompt, completion = ({"role": role, "content": row[name]} for role, name in _ROLES)
    return {**row, "prompt": [prompt], "completion": [completion]}


_ROLES = (("user", "prompt"), ("assistant", "completion"))


@storage_explained()
def export_labels(
    file: Path,
    prompts: Iterable[Prompt],
    labels: Iterable[PseudoLabel],
    *,
    format: ExportFormat | str,  # noqa: A002  the word that a caller expects
    minimum_confidence: float = 0.0,
) -> int:
    """Write pseudo-labels with their prompts and return how many. An existing file is replaced at once.

    minimum_confidence: labels below it (0..1) are left out. Raises ExportError where nothing is left to write.
    """
    writer = _WRITERS[_format(format)]
    chosen = [pair for pair in _pairs(prompts, labels) if pair[1].confidence >= minimum_confidence]
    if not chosen:
        raise ExportError(
            f"no pseudo-label has a text and a confidence of {minimum_confidence:g} or more: "
            f"nothing to write, {file} is left as it was"
        )
    write_whole(file, writer(chosen))
    return len(chosen)


def write_whole(file: Path, content: str) -> None:
    """Write a text file so that it is there whole or not at all, whatever happens meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


Pairs = Sequence[tuple[Prompt, PseudoLabel]]


def _pairs(prompts: Iterable[Prompt], labels: Iterable[PseudoLabel]) -> list[tuple[Prompt, PseudoLabel]]:
    given = {label.prompt_id: label for label in labels if label.text is not None}
    pairs = [(prompt, given.pop(prompt.prompt_id)) for prompt in prompts if prompt.prompt_id in given]
    if given:
        raise ExportError(
            f"{len(given)} pseudo-labels belong to no prompt given, the first to {min(given)}: take the prompts of the same "
            "federation (client.prompts())"
        )
    return pairs


def _format(name: ExportFormat | str) -> ExportFormat:
    try:
        return ExportFormat(name)
    except ValueError as error:
        raise ExportError(f"there is no format {name!r}; take one of {', '.join(ExportFormat)}") from error


def _trl(pairs: Pairs) -> str:
    return _json_lines(training_rows(*_unzipped(pairs)))


def _openai(pairs: Pairs) -> str:
    return _json_lines(
        {
            "messages": [
                {"role": "user", "content": prompt.prompt},
                {"role": "assistant", "content": label.text},
            ]
        }
        for prompt, label in pairs
    )


def _alpaca(pairs: Pairs) -> str:
    rows = [
        {
            "instruction": prompt.prompt,
            "input": "",
            "output": label.text,
            "prompt_id": prompt.prompt_id,
            "confidence": label.confidence,
        }
        for prompt, label in pairs
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def _jsonl(pairs: Pairs) -> str:
    return _json_lines(
        {"prompt": prompt.prompt, **label.model_dump(mode="json", exclude_none=True)} for prompt, label in pairs
    )


def _unzipped(pairs: Pairs) -> tuple[Iterator[Prompt], Iterator[PseudoLabel]]:
    return (prompt for prompt, _ in pairs), (label for _, label in pairs)


def _json_lines(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


_WRITERS: dict[ExportFormat, Callable[[Pairs], str]] = {
    ExportFormat.TRL: _trl,
    ExportFormat.OPENAI: _openai,
    ExportFormat.ALPACA: _alpaca,
    ExportFormat.JSONL: _jsonl,
}
