"""Bytes on the wire, per participant and round, both directions, headers and bodies.

Bodies are counted as they cross the wire: compressed where they are compressed, with the framing of chunked answers.
Headers are counted as HTTP/1.1 writes them, from what the server parsed and from what it sends, with the `Date`
header that uvicorn adds. Not seen from here, and so not counted: the chunk framing of a request body, `Expect`
handshakes, TLS, TCP and IP, and what a proxy in front of the server adds or takes away.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consensus_server.ports import TrafficCount

Headers = Iterable[tuple[bytes, bytes]]

_STATUS_LINE_BYTES = len(b"HTTP/1.1 200 ") + len(b"\r\n")
_DATE_HEADER_BYTES = len(b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n")
_CHUNKED_HEADER_BYTES = len(b"transfer-encoding: chunked\r\n")
_CLOSE_HEADER_BYTES = len(b"connection: close\r\n")
_END_OF_HEADERS_BYTES = len(b"\r\n")


@dataclass(frozen=True, slots=True)
class TrafficKey:
    """Whose bytes, in which round."""

    federation: str
    number: int
    participant: str


@dataclass(slots=True)
class ByteCount:
    """Bytes of one participant in one round, from 0."""

    received: int = 0
    """From the participant to the server."""
    sent: int = 0
    """From the server to the participant."""


class TrafficLedger:
    """Collects counts in memory and hands them on in batches, so that no request waits for a database.

    A process that is killed loses what it counted since the last flush.
    """

    def __init__(
        self,
        record: Callable[[list[TrafficCount]], None],
        *,
        on_bytes: Callable[[int, int], None] = lambda _received, _sent: None,
    ) -> None:
        """`record` adds the counts to the stored ones, all or none; it may block. on_bytes: for metrics."""
        self._record = record
        self._on_bytes = on_bytes
        self._lock = threading.Lock()
        self._counts: dict[TrafficKey, ByteCount] = {}

    def charge(self, key: TrafficKey, *, received: int = 0, sent: int = 0) -> None:
        """Count bytes that have just crossed the wire."""
        self._on_bytes(received, sent)
        self._add(key, received, sent)

    def _add(self, key: TrafficKey, received: int, sent: int) -> None:
        with self._lock:
            count = self._counts.setdefault(key, ByteCount())
            count.received += received
            count.sent += sent

    def flush(self) -> None:
        """Hand on what was counted. What cannot be recorded is kept for the next flush; the error is raised."""
        with self._lock:
            counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            self._record([_stored(key, count) for key, count in counts.items()])
        except Exception:
            for key, count in counts.items():
                self._add(key, count.received, count.sent)
            raise


def _stored(key: TrafficKey, count: ByteCount) -> TrafficCount:
    return TrafficCount(key.federation, key.number, key.participant, count.received, count.sent)


class TrafficMiddleware:
    """Counts what one exchange brings and takes. Stands outermost, so that it sees compressed bodies."""

    def __init__(self, app: ASGIApp, *, ledger: TrafficLedger, key_of: Callable[[Scope], TrafficKey | None]) -> None:
        """`key_of` names who is charged once the route and the caller are known; None charges nobody."""
        self._app = app
        self._ledger = ledger
        self._key_of = key_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            await self._app(scope, exchange.receive, lambda message: self._send(exchange, message))
        finally:
            self._settle(exchange)

    async def _send(self, exchange: "_Exchange", message: Message) -> None:
        """A long answer is charged while it runs: a stream of events may last as long as a round."""
        await exchange.send(message)
        self._settle(exchange)

    def _settle(self, exchange: "_Exchange") -> None:
        key = self._key_of(exchange.scope)
        if key is not None:
            self._ledger.charge(key, received=exchange.received, sent=exchange.sent)
            exchange.received = exchange.sent = 0


class _Exchange:
    """One request and its answer, and the bytes of both that are not charged yet."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.received = request_head_bytes(scope)
        self.sent = 0
        self._chunked = False
        self._receive = receive
        self._forward = send

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        await self._forward(message)
        if message["type"] == "http.response.start":
            self._chunked = not has_content_length(message.get("headers", ())) and message["status"] not in {204, 304}
            self.sent += response_head_bytes(message, chunked=self._chunked, closing=closes(self.scope["headers"]))
        elif message["type"] == "http.response.body" and self.scope["method"] != "HEAD":
            self.sent += body_bytes(
                len(message.get("body", b"")), chunked=self._chunked, last=not message.get("more_body", False)
            )


def request_head_bytes(scope: Scope) -> int:
    """Bytes of the request line and the headers, as HTTP/1.1 writes them."""
    target = len(scope.get("raw_path") or scope["path"].encode())
    query = scope.get("query_string", b"")
    line = len(scope["method"]) + 1 + target + (1 + len(query) if query else 0) + len(b" HTTP/1.1\r\n")
    return line + _header_bytes(scope["headers"]) + _END_OF_HEADERS_BYTES


def response_head_bytes(start: Message, *, chunked: bool, closing: bool) -> int:
    """Bytes of the status line and the headers, with the date and the framing that the server adds."""
    added = _DATE_HEADER_BYTES + (_CHUNKED_HEADER_BYTES if chunked else 0) + (_CLOSE_HEADER_BYTES if closing else 0)
    reason = len(_reason(start["status"]))
    return _STATUS_LINE_BYTES + reason + _header_bytes(start.get("headers", ())) + added + _END_OF_HEADERS_BYTES


def body_bytes(size: int, *, chunked: bool, last: bool) -> int:
    """Bytes of one piece of a body with its framing: hexadecimal length, two line ends; `0` and two at the end."""
    if not chunked:
        return size
    framing = len(f"{size:x}") + 4 if size else 0
    return size + framing + (len(b"0\r\n\r\n") if last else 0)


def closes(headers: Headers) -> bool:
    """True where the caller asks for the end of the connection; the answer then says so too."""
    return any(name.lower() == b"connection" and b"close" in value.lower() for name, value in headers)


def has_content_length(headers: Headers) -> bool:
    return any(name.lower() == b"content-length" for name, _ in headers)


def _header_bytes(headers: Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
