"""What an egress record says: its requests with what became of them, sums, and whether the chain holds."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from json import loads
from pathlib import Path
from typing import Any

from client_kit.egress.chain import Head, followed
from client_kit.egress.record import files_of


@dataclass(slots=True)
class Sent:
    """One request."""

    number: int
    """Of its line."""
    at: datetime
    kind: str
    method: str
    to: str
    """Host and port."""
    path: str
    bytes: int
    """Request line, headers and body, as HTTP/1.1 writes them; what TLS and TCP add is not counted."""
    body_bytes: int
    body: str | None = None
    """SHA-256 of the body as sent; None where there is none."""
    round: int | None = None
    answers: int | None = None
    unpacked: str | None = None
    """Of answers: SHA-256 of the body before its compression."""
    status: int | None = None
    """None: no answer came, or none was recorded; the server may have read the request or not."""


@dataclass(frozen=True, slots=True)
class Screened:
    """What a detector of personal data found in the answers of a round, by kind, and what was done about it."""

    at: datetime
    round: int
    action: str
    found: Mapping[str, int]


@dataclass(slots=True)
class Contents:
    """A record, read."""

    sent: list[Sent] = field(default_factory=list)
    screened: list[Screened] = field(default_factory=list)

    def chosen(self, since: datetime | None = None, number: int | None = None, kind: str | None = None) -> "Contents":
        """What was sent since a moment, for a round, of a kind."""
        sent = [
            each
            for each in self.sent
            if (since is None or each.at >= since) and number in {None, each.round} and kind in {None, each.kind}
        ]
        screened = [
            each
            for each in self.screened
            if (since is None or each.at >= since) and number in {None, each.round} and kind is None
        ]
        return Contents(sent, screened)


@dataclass(frozen=True, slots=True)
class Total:
    """The requests of one kind for one round."""

    kind: str
    round: int | None
    to: tuple[str, ...]
    requests: int
    answers: int
    bytes: int
    unanswered: int


def read_record(path: Path) -> Contents:
    """The requests of a record, oldest first. Lines that cannot be read are passed over: `verify` names them."""
    contents, by_number = Contents(), dict[int, Sent]()
    for row in _rows(lines_of(path)):
        at = datetime.fromisoformat(row["at"])
        if row["event"] == "sent":
            known = {name: row[name] for name in Sent.__dataclass_fields__ if name in row}
            by_number[row["number"]] = Sent(**{**known, "at": at})
        elif row["event"] == "answered" and row["request"] in by_number:
            by_number[row["request"]].status = row["status"]
        elif row["event"] == "screened":
            contents.screened.append(Screened(at, row["round"], row["action"], row["found"]))
    contents.sent = list(by_number.values())
    return contents


def totals(sent: Iterable[Sent]) -> list[Total]:
    """Sums by kind and round."""
    groups: dict[tuple[str, int], list[Sent]] = {}
    for each in sent:
        groups.setdefault((each.kind, each.round or 0), []).append(each)
    return [_total(kind, number, group) for (kind, number), group in sorted(groups.items())]


def found(screened: Iterable[Screened]) -> Counter[tuple[int, str, str]]:
    """How much personal data was found, by (round, kind, action); of a round that was screened again, the last time."""
    last = {each.round: each for each in screened}
    return Counter({(each.round, kind, each.action): n for each in last.values() for kind, n in each.found.items()})


def verified(path: Path, kept: str | None = None) -> Head:
    """The end of the chain after a look at every line. Raises ChainBroken; see `chain.followed`."""
    return followed(lines_of(path), kept)


def first_number(path: Path) -> int:
    """Number of the oldest line that is there; 1 of a record without lines. More than 1: older ones were removed."""
    return next((int(row["number"]) for row in _rows(lines_of(path))), 1)


def lines_of(path: Path) -> Iterator[str]:
    """The whole lines of a record's files, oldest first. A torn one at the end, of a request that was never sent, is left out."""
    for file in files_of(path):
        if file.exists():
            with file.open(encoding="utf-8", errors="replace", newline="\n") as stream:
                yield from (line[:-1] for line in stream if line.endswith("\n"))


def _rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            row = loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and {"at", "event", "number"} <= row.keys():
            yield row


def _total(kind: str, number: int, group: list[Sent]) -> Total:
    return Total(
        kind, number or None, tuple(sorted({each.to for each in group})), len(group),
        sum(each.answers or 0 for each in group), sum(each.bytes for each in group),
        sum(each.status is None for each in group),
    )  # fmt: skip
