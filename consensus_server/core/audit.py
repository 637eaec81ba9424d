"""The audit record: a chain of lines, each of which holds the digest of the one before it.

Whoever changes, removes or inserts a line has to change every later one, and so the digest of the last: kept elsewhere, it
shows that the record was changed. It holds who did what, never a secret and no text of an answer.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

GENESIS: Final = "0" * 64
"""What stands for the line before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What somebody did. before, after: values of JSON."""

    at: datetime
    actor: str
    """`clinics/anna`, `operator alice`, `operator` for the token of the settings, `command line`, or `server`."""
    action: str
    """`token.issued`, say."""
    federation: str | None = None
    subject: str = ""
    """What it was done to, within the federation where there is one."""
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain."""

    number: int = 0
    digest: str = GENESIS


class ChainBroken(Exception):  # noqa: N818 - a state of the record
    """A line does not fit. The message names the first, and says what is wrong with it."""


def chained(act: Act, head: Head) -> tuple[str, Head]:
    """The line of an act that follows `head`, and the end of the chain with it."""
    row = asdict(act) | {"at": act.at.isoformat(), "number": head.number + 1, "previous": head.digest}
    digest = _digest(row)
    return _canonical(row | {"digest": digest}), Head(head.number + 1, digest)


def followed(lines: Iterable[str], kept: str | None = None) -> Head:
    """The end of a chain after a look at every line.

    kept: the digest of a line that was noted before, which must be among them. Raises ChainBroken.
    """
    head, found = Head(), kept in {None, GENESIS}
    for line in lines:
        head = _next(line, head)
        found = found or head.digest == kept
    if not found:
        raise ChainBroken(
            f"None of the {head.number} lines has the digest {kept}: lines were cut off the end, or all were written anew."
        )
    return head


def _next(line: str, head: Head) -> Head:
    where = f"line {head.number + 1}"
    try:
        row = json.loads(line)
        digest = row.pop("digest")
        number, previous = row["number"], row["previous"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ChainBroken(f"{where}: it is no line of an audit record.") from None
    if number != head.number + 1:
        raise ChainBroken(f"{where}: it has the number {number!r}; lines are missing, or stand in another order.")
    if previous != head.digest:
        raise ChainBroken(f"{where}: it follows another line than the one before it.")
    if line != _canonical(row | {"digest": digest}) or digest != _digest(row):
        raise ChainBroken(f"{where}: its digest is not that of what it says.")
    return Head(head.number + 1, digest)


def _digest(row: Mapping[str, Any]) -> str:
    return sha256(_canonical(row).encode()).hexdigest()


def _canonical(row: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no spaces, so that equal values give equal bytes."""
    return json.dumps(row, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
