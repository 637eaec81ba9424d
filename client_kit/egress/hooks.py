"""What HTTP clients are made with, so that each request is a line of the record before its first byte is sent.

Written against what `httpx` and its successor `httpx2` share: event hooks. A hook that raises stops its request.
"""

import gzip
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeAlias

from client_kit.egress.record import EgressRecord
from client_kit.errors import StorageError


class Kind(StrEnum):
    """What a request is for."""

    ANSWERS = "answers"
    """Answers of the site's model, to the consensus server."""
    SEAL = "seal"
    WITHDRAWAL = "withdrawal"
    PARAMETERS = "parameters"
    """An adapter, to the consensus server."""
    APPEAL = "appeal"
    JOIN = "join"
    """An invitation's code, or a wish for a token."""
    PROMPTS = "prompts"
    """Prompts, to an inference API: a third party, unless it is this site's own."""
    MODEL_SERVER = "model server"
    """An order to a vLLM server: load an adapter that lies at the site."""
    SIGN_IN = "sign-in"
    """To an identity provider."""
    READ = "read"
    """Nothing but what is asked for."""
    OTHER = "other"


Hooks: TypeAlias = dict[str, list[Any]]
"""Functions by `request` and `response`, as HTTP clients take them."""

_OF_ROUTES: Final = (
    ("PUT", r"/rounds/\d+/submissions$", Kind.ANSWERS),
    ("POST", r"/rounds/\d+/submissions/seal$", Kind.SEAL),
    ("DELETE", r"/rounds/\d+/submissions$", Kind.WITHDRAWAL),
    ("PUT", r"/rounds/\d+/parameters$", Kind.PARAMETERS),
    ("POST", r"/rounds/\d+/appeals$", Kind.APPEAL),
    ("POST", r"/invitations/redeem$|/token$", Kind.JOIN),
    ("GET", r"", Kind.READ),
)

_NUMBER = "semantic_consensus.egress"
"""Where a request carries the number of its line."""

_current: ContextVar[EgressRecord | None] = ContextVar("egress record", default=None)
_round: ContextVar[int | None] = ContextVar("round that requests are for", default=None)


def begin(path: Path) -> None:
    """Record from now on at `path`, to the end of the process or of a `recording` inside it."""
    _current.set(EgressRecord(path))


@contextmanager
def recording(path: Path) -> Iterator[EgressRecord]:
    """HTTP clients that are made inside record what they send."""
    record = EgressRecord(path)
    before = _current.set(record)
    try:
        yield record
    finally:
        _current.reset(before)


@contextmanager
def of_round(number: int) -> Iterator[None]:
    """Requests whose path names no round, those to inference APIs, are recorded as made for this one."""
    before = _round.set(number)
    try:
        yield
    finally:
        _round.reset(before)


def current() -> EgressRecord | None:
    """The record that is being written; None where nothing is recorded."""
    return _current.get()


def hooks(kind: Kind | None = None) -> Hooks:
    """For a blocking client; none where nothing is recorded. kind: of all its requests; by default by method and path."""
    if (record := current()) is None:
        return {}
    return {"request": [lambda request: _sent(record, request, kind)], "response": [lambda got: _answered(record, got)]}


def async_hooks(kind: Kind | None = None) -> Hooks:
    """For an asynchronous client, as `hooks`."""
    if (record := current()) is None:
        return {}

    async def sent(request: Any) -> None:  # noqa: ANN401 - of httpx or of httpx2; awaited by it
        _sent(record, request, kind)

    async def answered(response: Any) -> None:  # noqa: ANN401 - as above
        _answered(record, response)

    return {"request": [sent], "response": [answered]}


def kind_of(method: str, path: str) -> Kind:
    """What a request to a consensus server is for."""
    found = (kind for verb, pattern, kind in _OF_ROUTES if verb == method and re.search(pattern, path))
    return next(found, Kind.OTHER)


def _sent(record: EgressRecord, request: Any, kind: Kind | None) -> None:  # noqa: ANN401 - as above
    body: bytes = request.content
    path = request.url.path
    named = re.search(r"/rounds/(\d+)(/|$)", path)
    chosen = kind or kind_of(request.method, path)
    request.extensions[_NUMBER] = record.append(
        "sent", kind=chosen.value, method=request.method, to=request.url.netloc.decode(), path=path,
        round=int(named[1]) if named else _round.get(), bytes=_head_bytes(request) + len(body), body_bytes=len(body),
        body=sha256(body).hexdigest() if body else None, durable=bool(body),
        **(_lines(body, request.headers) if chosen is Kind.ANSWERS else {}),
    )  # fmt: skip


def _answered(record: EgressRecord, response: Any) -> None:  # noqa: ANN401 - as above
    # The request is recorded already. Where this line finds no room, the answer, with a token in it perhaps, is not thrown away: the
    # next request stops.
    with suppress(StorageError):
        number = response.request.extensions.get(_NUMBER)
        record.append("answered", durable=False, request=number, status=response.status_code)


def _head_bytes(request: Any) -> int:  # noqa: ANN401 - as above
    """Of the request line and the headers, as HTTP/1.1 writes them."""
    line = len(request.method) + len(request.url.raw_path) + len("  HTTP/1.1\r\n")
    return line + sum(len(name) + len(value) + len(": \r\n") for name, value in request.headers.raw) + len("\r\n")


def _lines(body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """Of a body of answers: how many they are, and the digest of the body before its compression."""
    plain = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
    return {"answers": plain.count(b"\n"), "unpacked": sha256(plain).hexdigest()}
