"""Lines of JSON, each with the digest of the one before it, as the server's audit record has them (decision 0031)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from json import loads
from typing import Any, Final

from client_kit.wire.digests import canonical_json

GENESIS: Final = "0" * 64
"""What stands for the line before the first."""

Row = Mapping[str, Any]
"""What a line says, by name; values of JSON."""


class ChainBroken(Exception):  # noqa: N818 - a state of the record
    """A line does not fit. The message names the first such line, and says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain."""

    number: int = 0
    digest: str = GENESIS


def chained(row: Row, head: Head) -> tuple[str, Head]:
    """The line of a row that follows `head`, and the end of the chain with it."""
    full = {**row, "number": head.number + 1, "previous": head.digest}
    digest = _digest(full)
    return canonical_json({**full, "digest": digest}), Head(head.number + 1, digest)


def head_of(line: str) -> Head:
    """The end of a chain whose last line this is. Raises ChainBroken."""
    row = _row(line, "the last line")
    return Head(row["number"], row["digest"])


def followed(lines: Iterable[str], kept: str | None = None) -> Head:
    """The end of a chain after a look at every line.

    The first line may have any number: old files of a record may have been removed. kept: the digest of a line that was noted
    before, which must be among them. Raises ChainBroken.
    """
    head, found = Head(), kept is None
    for line, row in _rows(lines):
        head = _next(line, row, head if head.number else Head(row["number"] - 1, row["previous"]))
        found = found or head.digest == kept
    if not found:
        raise ChainBroken(f"no line has the digest {kept}: lines were cut off the end, or all were written anew.")
    return head


def _rows(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((line, _row(line, f"line {place}")) for place, line in enumerate(lines, start=1))


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row: dict[str, Any] = loads(line)
        if isinstance(row["number"], int) and isinstance(row["previous"], str) and isinstance(row["digest"], str):
            return row
    except (ValueError, KeyError, TypeError):
        pass
    raise ChainBroken(f"{where} is no line of an egress record.")


def _next(line: str, row: dict[str, Any], head: Head) -> Head:
    where, said = f"line number {row['number']}", {name: value for name, value in row.items() if name != "digest"}
    if row["number"] != head.number + 1:
        raise ChainBroken(f"{where} follows number {head.number}: lines are missing, or stand in another order.")
    if row["previous"] != head.digest:
        raise ChainBroken(f"{where} follows another line than the one before it.")
    if line != canonical_json(row) or row["digest"] != _digest(said):
        raise ChainBroken(f"{where} has another digest than what it says.")
    return Head(row["number"], row["digest"])


def _digest(row: Row) -> str:
    return sha256(canonical_json(row).encode()).hexdigest()
