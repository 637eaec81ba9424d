"""What is trained on: private data from files, and its mixture with pseudo-labels."""

import csv
import io
import itertools
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from client_kit.errors import FaultyFile, MissingExtra, TrainingError, UnusableData
from client_kit.input_files import lines_of, parse_object, read_each, read_file, read_json, refuse_halves
from client_kit.reasoning import strip_reasoning
from client_kit.rendering import Turn, Turns
from client_kit.training.base import Example

Row = Mapping[str, Any]
Asked = tuple[Turns, Any, Any]
"""(what was said before, prompt, completion), unchecked."""

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}

Rows = tuple[str, list[tuple[int, Row]]]
"""What the rows of a file are called, `line` or `row`, and each with its number."""

COLUMNS = "'prompt' and 'completion', or 'messages', or 'instruction' and 'output' (with or without 'input')"


@dataclass(frozen=True, slots=True)
class Taught:
    """A pseudo-label with the public prompt that it answers."""

    prompt: str
    completion: str
    confidence: float = 1.0
    """0..1, as the server gave it."""
    rejected: str | None = None
    """The participant's own answer, where it means something else."""


def load_examples(path: Path) -> list[Example]:
    """The private examples in a file (.jsonl, .json, .csv, .parquet, also .gz of text) or a `datasets` folder.

    Columns are prompt and completion, or messages (a conversation, with or without system messages: an example for each
    answer of the assistant, what was said before it being its `turns`), or Alpaca's instruction, input and output;
    `weight` where there is one. Other columns are ignored.
    Reasoning blocks are taken out of the completions. Raises UnusableData naming the file, the row and the remedy.
    """
    if not path.exists():
        raise UnusableData(f"private data {path} does not exist; give a .jsonl, .json, .csv or .parquet file")
    try:
        unit, rows = _reader(path)(path)
        if not rows:
            raise UnusableData(f"private data {path} has no rows; there is nothing to train on")
        read = _row_reader(rows[0][1], path)
        return list(itertools.chain(*read_each(path, rows, lambda row: _examples(read, row), unit)))
    except FaultyFile as error:
        raise UnusableData(f"private data {str(error).removeprefix('private data ')}") from error


def mix(
    private: Sequence[Example],
    taught: Sequence[Taught],
    *,
    seed: int,
    ratio: float | None = 1.0,
    weight: float = 1.0,
    by_confidence: bool = True,
    minimum_confidence: float = 0.0,
    replay: float = 1.0,
) -> list[Example]:
    """Private examples and pseudo-labelled ones, shuffled.

    ratio: pseudo-labelled examples per private example. Each pseudo-label is taken equally often, the rest drawn; None
    takes each once. weight: factor on the loss of pseudo-labelled examples; `by_confidence` multiplies it by each
    label's confidence. Labels below `minimum_confidence` are left out. replay: share of the private examples that takes
    part, drawn anew for each seed; where there is no pseudo-label, all take part. Reasoning blocks are taken out of the
    pseudo-labels. Raises TrainingError for ratio or weight below 0, or a replay outside of 0..1.
    """
    if weight < 0 or (ratio is not None and ratio < 0):
        raise TrainingError(f"ratio {ratio} and weight {weight} must be 0 or more")
    if not 0 <= replay <= 1:
        raise TrainingError(f"replay {replay} is a share of the private examples; it must be 0 to 1")
    draw = random.Random(f"mix {seed}")  # noqa: S311
    labelled = [
        _as_example(label, weight * (label.confidence if by_confidence else 1.0))
        for label in taught
        if label.confidence >= minimum_confidence
    ]
    count = len(labelled) if ratio is None else round(ratio * len(private))
    mixed = [*_replayed(private, replay if labelled else 1.0, draw), *_evenly(labelled, count, draw)]
    draw.shuffle(mixed)
    return mixed


def split(private: Sequence[Example], share: float) -> tuple[list[Example], list[Example]]:
    """(training, validation): `share` of the distinct prompts, 0..1, is held out with all of their examples.

    A conversation counts as its first question, so that all of it is on one side.

    Which ones depends on their texts only, so that an example stays on its side whatever is added or reordered, up to
    rounding. Raises TrainingError where one side would be empty.
    """
    if share == 0:
        return list(private), []
    prompts = sorted({_opening(example) for example in private}, key=lambda text: sha256(text.encode()).digest())
    held_out = set(prompts[: max(1, round(share * len(prompts)))])
    if len(held_out) == len(prompts):
        raise TrainingError(
            f"a validation share of {share} of {len(prompts)} distinct private prompts leaves none to train on; "
            "bring more private data, or set validation.share to 0"
        )
    sides: tuple[list[Example], list[Example]] = ([], [])
    for example in private:
        sides[_opening(example) in held_out].append(example)
    return sides


def _opening(example: Example) -> str:
    """What the user says first."""
    return next((said for role, said in example.turns if role == "user"), example.prompt)


def _as_example(label: Taught, weight: float) -> Example:
    rejected = None if label.rejected is None else strip_reasoning(label.rejected)
    return Example(label.prompt, strip_reasoning(label.completion), weight, public=True, rejected=rejected)


def _replayed(private: Sequence[Example], share: float, draw: random.Random) -> list[Example]:
    """This share of the private examples, at least one of them unless the share is 0."""
    if share == 1:
        return [*private]
    return draw.sample(private, min(len(private), max(round(share * len(private)), share > 0)))


def _evenly(examples: Sequence[Example], count: int, draw: random.Random) -> list[Example]:
    """`count` of the examples, each taken as often as any other or once more."""
    if not examples:
        return []
    whole, rest = divmod(count, len(examples))
    return [*examples] * whole + draw.sample(examples, rest)


def _reader(path: Path) -> Callable[[Path], Rows]:
    if path.is_dir():
        return _read_dataset_folder
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    readers = {".jsonl": _read_jsonl, ".ndjson": _read_jsonl, ".json": _read_json, ".csv": _read_csv}
    if path.suffix == ".parquet":
        return _read_parquet
    if suffix not in readers:
        raise UnusableData(f"private data {path} is of no known kind; give .jsonl, .json, .csv or .parquet")
    return readers[suffix]


def _read_jsonl(path: Path) -> Rows:
    """Lines have their own numbers, in which blank ones count."""
    numbered = lines_of(path)
    rows = read_each(path, numbered, parse_object)
    return "line", list(zip((number for number, _ in numbered), rows, strict=True))


def _read_json(path: Path) -> Rows:
    rows = read_json(path)
    if not isinstance(rows, list):
        raise UnusableData(f"private data {path} must hold a list of objects; it holds a {type(rows).__name__}")
    return _numbered(read_each(path, enumerate(rows, 1), _object, "row"))


def _read_csv(path: Path) -> Rows:
    text = read_file(path, "Give a CSV file in UTF-8")
    before = csv.field_size_limit(max(len(text), 1))  # the module's own is 131,072 characters; it holds for all readers
    try:
        return _numbered(list(csv.DictReader(io.StringIO(text, newline=""), strict=True)))
    except csv.Error as error:
        raise UnusableData(f"private data {path} is not CSV: {error}") from error
    finally:
        csv.field_size_limit(before)


def _numbered(rows: Sequence[Row]) -> Rows:
    return "row", list(enumerate(rows, 1))


def _read_parquet(path: Path) -> Rows:
    try:
        from pyarrow import ArrowInvalid, parquet  # type: ignore[import-untyped]  # noqa: PLC0415 - of the extra `train`
    except ImportError as error:
        raise MissingExtra("reading parquet", "train") from error
    try:
        rows: list[Row] = parquet.read_table(path).to_pylist()
    except ArrowInvalid as error:
        raise UnusableData(f"private data {path} is not parquet: {error}") from error
    return _numbered(rows)


def _read_dataset_folder(path: Path) -> Rows:
    try:
        from datasets import Dataset  # noqa: PLC0415 - heavy
    except ImportError as error:
        raise MissingExtra("reading a folder of `datasets`", "train") from error
    try:
        rows: list[Row] = Dataset.load_from_disk(str(path)).to_list()
    except (FileNotFoundError, ValueError) as error:
        raise UnusableData(f"private data {path} is no folder of Dataset.save_to_disk: {error}") from error
    return _numbered(rows)


def _object(row: object) -> Row:
    if not isinstance(row, dict):
        raise ValueError(f"must be a JSON object with {COLUMNS}; it is a {type(row).__name__}")  # noqa: TRY004 - told as a fault of the file
    return row


def _row_reader(first: Row, path: Path) -> Callable[[Row], list[Asked]]:
    """What reads the answers of a row, by the columns that the first row has."""
    found = set(first)
    if {"prompt", "completion"} <= found:
        return lambda row: [((), row["prompt"], row["completion"])]
    if "messages" in found:
        return lambda row: _answers(_turns(row["messages"]))
    if {"instruction", "output"} <= found:
        return lambda row: [((), "\n\n".join(filter(None, (row["instruction"], row.get("input")))), row["output"])]
    names = ", ".join(sorted(map(str, found))) or "none"
    raise UnusableData(f"private data {path} needs the columns {COLUMNS}; it has {names}")


def _turns(messages: Any) -> list[Turn]:  # noqa: ANN401 - unchecked data
    """A conversation's turns; what one role says in several messages is one turn. Raises ValueError."""
    turns: list[Turn] = []
    for message in messages:
        role = _ROLES.get(message["role"])
        if role is None:
            raise ValueError(f"a message's role is {message['role']!r}; known are {', '.join(_ROLES)}")
        said = _text(_joined(message["content"]), "message")
        if turns and turns[-1][0] == role:
            turns[-1] = role, f"{turns[-1][1]}\n\n{said}"
        else:
            turns.append((role, said))
    return turns


def _joined(content: Any) -> Any:  # noqa: ANN401 - unchecked data
    """The text of a message whose content is a list of parts, as OpenAI writes them."""
    if not isinstance(content, list):
        return content
    if other := [part.get("type") for part in content if part.get("type") != "text"]:
        raise ValueError(f"a message holds {other[0]!r}; only text can be trained on")
    return "".join(part["text"] for part in content)


def _answers(turns: Sequence[Turn]) -> list[Asked]:
    """Each answer of the assistant to a user, with what was said before. Raises ValueError where there is none."""
    pairs = enumerate(itertools.pairwise(turns))
    found = [
        (_without_reasoning(turns[:place]), asked[1], told[1])
        for place, (asked, told) in pairs
        if (asked[0], told[0]) == ("user", "assistant")
    ]
    if not found:
        roles = ", ".join(role for role, _ in turns) or "none"
        raise ValueError(f"messages must have a user's turn and the assistant's answer; found {roles}")
    return found


def _without_reasoning(turns: Sequence[Turn]) -> Turns:
    return tuple((role, strip_reasoning(said) if role == "assistant" else said) for role, said in turns)


def _examples(read: Callable[[Row], list[Asked]], row: Row) -> list[Example]:
    """Raises ValueError."""
    try:
        weight = _weight(row.get("weight"))
        return [_example(turns, prompt, completion, weight) for turns, prompt, completion in read(row)]
    except KeyError as error:
        raise ValueError(f"lacks {error}; every row needs the columns of the first") from error
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def _example(turns: Turns, prompt: object, completion: object, weight: float) -> Example:
    stripped = strip_reasoning(_text(completion, "completion"))
    if not stripped.strip():
        raise ValueError("has nothing but reasoning as its completion; leave the row out")
    return Example(_text(prompt, "prompt"), stripped, weight, turns=turns)


def _weight(given: Any) -> float:  # noqa: ANN401 - unchecked data
    """1 where there is none: an empty cell of a table."""
    weight = 1.0 if given is None or given == "" else float(given)
    if not 0 <= weight < math.inf:
        raise ValueError(f"weight is {given}; it must be 0 or more, and finite")
    return weight


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"has no text as its {name}; fill it in or leave the row out")
    refuse_halves(value, name)
    return value


def as_rows(examples: Iterable[Example]) -> list[dict[str, str | float]]:
    """Rows for a .jsonl file that `load_examples` reads back; of examples without turns."""
    return [{"prompt": e.prompt, "completion": e.completion, "weight": e.weight} for e in examples]
