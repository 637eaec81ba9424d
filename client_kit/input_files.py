"""Files that people and other tools bring: text in its encoding, JSON that says one thing, and all faults told at once."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from client_kit.errors import FaultyFile

Row = dict[str, Any]
T = TypeVar("T")
S = TypeVar("S")

MAX_TOLD = 20
"""Faults of one file that are told; of the rest only that there are more."""

_GZIP_MAGIC = b"\x1f\x8b"


def read_file(path: Path, give: str = "Give a file of UTF-8 text") -> str:
    """The text of a file, plain or gzip: UTF-8, or UTF-16 and UTF-32 where the first bytes tell.

    give: what is asked for, for the message. Raises FaultyFile.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz" or content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FaultyFile(f"{path} cannot be read: it is damaged or no gzip file ({error}); copy it again") from error
    except OSError as error:
        raise FaultyFile(f"cannot read {path}: {error.strerror}. {give}") from error
    encoding = json.detect_encoding(content)
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        name = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
        raise FaultyFile(f"{path} line {line}: is not {name} (byte {error.start}); save it as UTF-8") from error


def lines_of(path: Path, give: str = "Give a JSONL file in UTF-8, plain or gzip") -> list[tuple[int, str]]:
    """Numbered lines, from 1, without the blank ones. A line ends at its newline alone: JSON may hold U+2028."""
    return [(number, line) for number, line in enumerate(read_file(path, give).split("\n"), 1) if line.strip()]


def parse_json(text: str) -> Any:  # noqa: ANN401 - whatever the JSON holds
    """One JSON value. Raises ValueError also for a key that an object repeats, and for half of a character."""
    try:
        value = json.loads(text, object_pairs_hook=_object)
        if "\\u" in text:
            _refuse_halves(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error}") from error
    except RecursionError:
        raise ValueError("is not JSON that can be read: it is nested too deeply") from None
    return value


def parse_object(text: str) -> Row:
    """One JSON object, as `parse_json` reads it. Raises ValueError."""
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError(f"is a {type(value).__name__}; each line must be a JSON object")  # noqa: TRY004 - told as a fault of the file
    return value


def read_json(path: Path, give: str = "Give a JSON file in UTF-8") -> Any:  # noqa: ANN401 - whatever the JSON holds
    """The JSON value of a file. Raises FaultyFile."""
    try:
        return parse_json(read_file(path, give))
    except FaultyFile:
        raise
    except ValueError as error:
        raise FaultyFile(f"{path}: {error}") from error


def read_rows(path: Path, read: Callable[[Row], T]) -> list[T]:
    """What `read` makes of each object of a JSONL file, which raises ValueError where one is faulty.

    Raises FaultyFile with file, line and what is wrong, for the first `MAX_TOLD` faults at once.
    """
    return read_each(path, lines_of(path), lambda line: read(parse_object(line)))


def read_each(path: Path, items: Iterable[tuple[int, S]], read: Callable[[S], T], unit: str = "line") -> list[T]:
    """What `read` makes of each numbered item of a file. Raises FaultyFile as `read_rows` does."""
    found: list[T] = []
    faults: list[str] = []
    for number, item in items:
        try:
            found.append(read(item))
        except ValueError as error:
            faults.append(f"{unit} {number}: {_said(error)}")
            if len(faults) > MAX_TOLD:
                break
    if faults:
        raise FaultyFile(_told(path, faults))
    return found


def not_looked_at(file: Path | str, columns: Sequence[str]) -> str:
    """A line for people about columns of a file that its reader has no use for; empty where there are none."""
    return f"{file}: these columns are not looked at: {', '.join(columns)}" if columns else ""


def text_in(row: Row, name: str) -> str:
    """A column that must be a text. Raises ValueError."""
    value = row.get(name)
    if not isinstance(value, str):
        state = f"{value!r}; it must be a text" if name in row else "missing"
        raise ValueError(f"{name} is {state}")  # noqa: TRY004 - told as a fault of the file
    return value


def id_in(row: Row, name: str) -> str:
    """A column that names something: a text, or the whole number that a tool made of one. Raises ValueError."""
    value = row.get(name)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text_in(row, name)


def refuse_halves(text: str, name: str) -> None:
    """Raises ValueError for a surrogate that has no partner, which is no character and cannot be stored."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} has half of a character, {text[error.start]!a} at {error.start}; write all of the character (two "
            "escapes in JSON), or \\ufffd in its place"
        ) from None


def _object(pairs: list[tuple[str, Any]]) -> Row:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object; keep one of its values")
    return row


def _refuse_halves(value: object, name: str = "the text") -> None:
    if isinstance(value, str):
        refuse_halves(value, name)
    for key, part in _parts(value, name):
        refuse_halves(key, "a key")
        _refuse_halves(part, key)


def _parts(value: object, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((name, part) for part in value)


def _said(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    fault = error.errors(include_url=False, include_input=False)[0]
    where, message = ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _told(path: Path, faults: list[str]) -> str:
    if len(faults) == 1:
        return f"{path} {faults[0]}"
    more = ["and more"] if len(faults) > MAX_TOLD else []
    return "\n  ".join([f"{path} has faults:", *faults[:MAX_TOLD], *more])
