"""Request bodies: read within bounds, decompressed, decoded and validated line by line, whole or not at all.

A body is read into memory (at most `BodyLimits.wire_bytes`), decompressed in a worker thread (at most
`BodyLimits.body_bytes`), and every line is validated before the first one is stored. Whatever is held is counted as it
comes (`memory.Held`).
"""

import asyncio
import json
import re
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import zstandard
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from client_kit.wire import FieldProblem, ProblemCode
from client_kit.wire.limits import MAX_REQUEST_BYTES
from consensus_server.http_api.memory import ROW_BYTES
from consensus_server.http_api.problems import RequestProblem

Row = TypeVar("Row", bound=BaseModel)
Take = Callable[[int], None]
"""Counts bytes that are held from now on; raises where there is no room for them."""

MAX_REPORTED_ERRORS = 20
"""Faulty lines or fields that one answer names; the rest is only counted."""

_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
"""Largest window that a receiver must support (RFC 9659); more would only cost memory."""

_GZIP_SLICE_BYTES = 64 * 1024
_GZIP_PIECE_BYTES = 1024 * 1024
"""Compressed bytes fed, and decompressed ones taken, at once."""
_GZIP_WINDOW = 16 + zlib.MAX_WBITS

_ZSTD_SLICE_BYTES = 256
"""Compressed bytes fed at once. A block of 4 bytes can expand to 128 KiB, so this bounds a bomb to 8 MiB a step."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How much of a request body is read, and how long for."""

    wire_bytes: int = MAX_REQUEST_BYTES
    """Most bytes as sent, compressed or not."""
    body_bytes: int = MAX_REQUEST_BYTES
    """Most bytes after decompression."""
    idle_seconds: float = 60.0
    """Longest wait for the next bytes of a body."""
    total_seconds: float = 300.0
    """Longest time from the first byte of a body to its last."""

    def at_most(self, size: int) -> "BodyLimits":
        """These limits for a body of at most so many bytes; compressed, it may be a little larger than it is."""
        return replace(
            self, wire_bytes=min(self.wire_bytes, size + size // 64 + 1024), body_bytes=min(self.body_bytes, size)
        )


def nothing(_size: int) -> None:
    """Counts nothing."""


async def read_body(request: Request, limits: BodyLimits, take: Take = nothing) -> bytes:
    """The decompressed body of a request.

    Raises RequestProblem: body_too_large, truncated_body, broken_encoding, unsupported_encoding, and what `take` raises.
    """
    sent = await read_sent(request, limits, take)
    return await run_in_threadpool(lambda: b"".join(sent))


async def read_sent(request: Request, limits: BodyLimits, take: Take = nothing) -> "Sent":
    """The body as it was sent. Raises as `read_body`, what is wrong with its encoding excepted."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity", "gzip", "x-gzip", "zstd"}:
        raise RequestProblem(ProblemCode.UNSUPPORTED_ENCODING, f"Content-Encoding {encoding[:40]!r} is not supported.")
    return Sent(await _read_wire(request, limits, take), encoding or "identity", limits.body_bytes, take)


async def _read_wire(request: Request, limits: BodyLimits, take: Take) -> bytes:
    announced = request.headers.get("content-length")
    if announced is not None and announced.isdigit() and int(announced) > limits.wire_bytes:
        raise _too_large(limits.wire_bytes, "as sent")
    body = bytearray()
    async for chunk in _chunks(request, limits):
        take(len(chunk))
        body += chunk
        if len(body) > limits.wire_bytes:
            raise _too_large(limits.wire_bytes, "as sent")
    if announced is not None and announced.isdigit() and int(announced) != len(body):
        raise RequestProblem(
            ProblemCode.TRUNCATED_BODY, f"The request announced {announced} bytes and brought {len(body)}."
        )
    return bytes(body)


async def _chunks(request: Request, limits: BodyLimits) -> AsyncIterator[bytes]:
    stream = request.stream()
    until = time.monotonic() + limits.total_seconds
    while True:
        left = until - time.monotonic()
        try:
            async with asyncio.timeout(min(limits.idle_seconds, left)):
                chunk = await anext(stream, None)
        except TimeoutError:
            late = f"The body was not whole after {limits.total_seconds:g} seconds."
            idle = f"No more of the body came for {limits.idle_seconds:g} seconds."
            raise RequestProblem(ProblemCode.TRUNCATED_BODY, late if left < limits.idle_seconds else idle) from None
        except ClientDisconnect:
            raise RequestProblem(ProblemCode.TRUNCATED_BODY, "The connection ended within the body.") from None
        if chunk is None:
            return
        yield chunk


@dataclass(frozen=True, slots=True)
class Sent:
    """A body as it was sent. Iterated, its content in pieces: whoever has seen enough reads, and unpacks, no more."""

    raw: bytes
    encoding: str
    max_bytes: int
    """Of the content. Bombs are stopped there, not after."""
    take: Take = nothing

    def __iter__(self) -> Iterator[bytes]:
        """Raises RequestProblem body_too_large, truncated_body, broken_encoding, and what `take` raises."""
        size = 0
        try:
            for piece in self._pieces():
                size += len(piece)
                if size > self.max_bytes:
                    raise _too_large(self.max_bytes, "after decompression")
                if self.encoding != "identity":
                    self.take(len(piece))
                yield piece
        except EOFError:
            detail = f"The {self.encoding} stream ends before its end mark."
            raise RequestProblem(ProblemCode.TRUNCATED_BODY, detail) from None
        except (zlib.error, zstandard.ZstdError):
            raise RequestProblem(ProblemCode.BROKEN_ENCODING, f"The body is not valid {self.encoding}.") from None

    def _pieces(self) -> Iterator[bytes]:
        if self.encoding == "identity":
            return iter((self.raw,))
        if self.encoding == "zstd":
            return _unzstd(self.raw, zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES))
        return _gunzip(self.raw)


def _gunzip(raw: bytes) -> Iterator[bytes]:
    """Every member of a gzip stream in pieces; zeros may stand behind the last."""
    member = zlib.decompressobj(_GZIP_WINDOW)
    for start in range(0, len(raw), _GZIP_SLICE_BYTES):
        rest = raw[start : start + _GZIP_SLICE_BYTES]
        while rest := rest.lstrip(b"\0") if member.eof else rest:
            if member.eof:
                member = zlib.decompressobj(_GZIP_WINDOW)
            yield member.decompress(rest, _GZIP_PIECE_BYTES)
            rest = member.unused_data if member.eof else member.unconsumed_tail
    if raw and not member.eof:
        yield member.decompress(b"", _GZIP_PIECE_BYTES)  # what it had read, and had no room to give
        if not member.eof:
            raise EOFError


def _unzstd(raw: bytes, decoder: zstandard.ZstdDecompressor) -> Iterator[bytes]:
    frame = decoder.decompressobj()
    view = memoryview(raw)
    for start in range(0, len(raw), _ZSTD_SLICE_BYTES):
        piece = bytes(view[start : start + _ZSTD_SLICE_BYTES])
        while piece:
            if frame.eof:
                frame = decoder.decompressobj()
            yield frame.decompress(piece)
            piece = frame.unused_data if frame.eof else b""
    if raw and not frame.eof:
        raise EOFError


def _too_large(max_bytes: int, when: str) -> RequestProblem:
    return RequestProblem(ProblemCode.BODY_TOO_LARGE, f"The body is larger than {max_bytes} bytes {when}.")


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """One JSON value. NaN, infinities, lone surrogates and names that stand twice are refused: no database holds them."""
    if not body.strip():
        raise RequestProblem(ProblemCode.EMPTY_BODY, "The request has no body.")
    _decoded(body, "The body")
    try:
        value = from_json(body, allow_inf_nan=False)
        _refuse_names_twice(body)
    except ValueError as error:
        raise RequestProblem(ProblemCode.INVALID_JSON, f"The body is not valid JSON: {error}.") from None
    return value


def parse_message(body: bytes, message: TypeAdapter[Any]) -> Any:  # noqa: ANN401 - whatever the message is
    """A JSON body as the message of a route. Types are strict: no text is a number, no number true or false.

    Raises RequestProblem: as `parse_json`, and validation_failed.
    """
    parse_json(body)
    try:
        return message.validate_json(body, strict=True)
    except ValidationError as error:
        errors = list(_field_problems(error))
        detail = "; ".join(f"{each.where}: {each.message}" for each in errors[:3])
        raise RequestProblem(ProblemCode.VALIDATION_FAILED, detail, errors) from None


def parse_ndjson(body: Iterable[bytes], model: type[Row], most_rows: int, take: Take = nothing) -> list[Row]:
    """All rows of an NDJSON body, in their order; blank lines are skipped.

    body: in pieces. most_rows: of one request; with one more it is refused, and no further line is unpacked. Raises RequestProblem:
    empty_body, invalid_utf8, invalid_json, validation_failed (naming up to 20 lines), too_many_samples, and what `take`
    raises.
    """
    rows: list[Row] = []
    faults: list[FieldProblem] = []
    for number, line in _lines(body):
        if len(rows) == most_rows:
            raise RequestProblem(
                ProblemCode.TOO_MANY_SAMPLES,
                f"The request has more than {most_rows} lines: as many as the federation has prompts and samples of each.",
            )
        take(ROW_BYTES)
        try:
            rows.append(model.model_validate_json(line, strict=True))
            _refuse_names_twice(line)
        except ValidationError as error:
            _refuse_broken_json(number, error)
            faults += line_problems(f"line {number}", error)
            if len(faults) >= MAX_REPORTED_ERRORS:
                break
        except ValueError as error:
            raise RequestProblem(ProblemCode.INVALID_JSON, f"Line {number} is not valid JSON: {error}.") from None
    if faults:
        raise RequestProblem(ProblemCode.VALIDATION_FAILED, "Some lines are invalid.", faults[:MAX_REPORTED_ERRORS])
    if not rows:
        raise RequestProblem(ProblemCode.EMPTY_BODY, "The request has no lines.")
    return rows


_LINE = re.compile(rb"\S[^\n]*")
"""A line without the white space before it; blank ones are passed over in one go."""


def _lines(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, from 1, without the blank ones. Splits at newlines only, as NDJSON does."""
    number = 1
    for whole in _whole_lines(pieces):
        seen = 0
        for found in _LINE.finditer(whole):
            number += whole.count(b"\n", seen, found.start())
            seen = found.start()
            _decoded(found[0], f"Line {number}")
            yield number, found[0]
        number += whole.count(b"\n", seen)


def _whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut behind newlines."""
    rest: list[bytes] = []
    for piece in pieces:
        end = piece.rfind(b"\n") + 1
        if end:
            yield b"".join([*rest, piece[:end]])
            rest = []
        rest.append(piece[end:])
    yield b"".join(rest)


def _without_names_twice(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    if len(names := dict(pairs)) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the name {twice[:40]!r} stands in one object twice")
    return names


_NAMES = json.JSONDecoder(object_pairs_hook=_without_names_twice, parse_int=str, parse_float=str)


def _refuse_names_twice(text: bytes) -> None:
    """Raise ValueError for an object in which a name stands twice: what it says depends on who reads it. text: valid JSON."""
    _NAMES.decode(text.decode())


def _decoded(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        detail = f"{what} is not valid UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}."
        raise RequestProblem(ProblemCode.INVALID_UTF8, detail) from None


def _refuse_broken_json(number: int, error: ValidationError) -> None:
    for fault in error.errors(include_url=False, include_input=False):
        if fault["type"] == "json_invalid":
            detail = f"Line {number} is not valid JSON: {fault.get('ctx', {}).get('error', fault['msg'])}."
            raise RequestProblem(ProblemCode.INVALID_JSON, detail) from None


def line_problems(where: str, error: ValidationError) -> Iterable[FieldProblem]:
    """The faults of one row, each by the name of its field."""
    for fault in _field_problems(error):
        yield FieldProblem(where=f"{where}: {fault.where}" if fault.where else where, message=fault.message)


def _field_problems(error: ValidationError) -> Iterable[FieldProblem]:
    """Never the value: it may be a token, and it may be large."""
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        yield FieldProblem(where=".".join(str(part) for part in fault["loc"]), message=fault["msg"])
