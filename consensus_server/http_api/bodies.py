"""Request bodies: read within bounds, decompressed, decoded and validated line by line, whole or not at all.

A body is read into memory (at most `BodyLimits.wire_bytes`), decompressed in a worker thread (at most
`BodyLimits.body_bytes`), and every line is validated before the first one is stored.
"""

import asyncio
import gzip
import io
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import zstandard
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from client_kit.wire import FieldProblem, ProblemCode
from client_kit.wire.limits import MAX_REQUEST_BYTES
from consensus_server.http_api.problems import RequestProblem

Row = TypeVar("Row", bound=BaseModel)

MAX_REPORTED_ERRORS = 20
"""Faulty lines or fields that one answer names; the rest is only counted."""

_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
"""Largest window that a receiver must support (RFC 9659); more would only cost memory."""

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


async def read_body(request: Request, limits: BodyLimits) -> bytes:
    """The decompressed body of a request.

    Raises RequestProblem: body_too_large, truncated_body, broken_encoding, unsupported_encoding.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity", "gzip", "x-gzip", "zstd"}:
        raise RequestProblem(ProblemCode.UNSUPPORTED_ENCODING, f"Content-Encoding {encoding[:40]!r} is not supported.")
    raw = await _read_wire(request, limits)
    if encoding in {"", "identity"}:
        return _bounded(raw, limits.body_bytes)
    return await run_in_threadpool(decompress, raw, encoding, limits.body_bytes)


async def _read_wire(request: Request, limits: BodyLimits) -> bytes:
    announced = request.headers.get("content-length")
    if announced is not None and announced.isdigit() and int(announced) > limits.wire_bytes:
        raise _too_large(limits.wire_bytes, "as sent")
    body = bytearray()
    async for chunk in _chunks(request, limits.idle_seconds):
        body += chunk
        if len(body) > limits.wire_bytes:
            raise _too_large(limits.wire_bytes, "as sent")
    if announced is not None and announced.isdigit() and int(announced) != len(body):
        raise RequestProblem(
            ProblemCode.TRUNCATED_BODY, f"The request announced {announced} bytes and brought {len(body)}."
        )
    return bytes(body)


async def _chunks(request: Request, idle_seconds: float) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(idle_seconds):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise RequestProblem(
                ProblemCode.TRUNCATED_BODY, f"No more of the body came for {idle_seconds:g} seconds."
            ) from None
        except ClientDisconnect:
            raise RequestProblem(ProblemCode.TRUNCATED_BODY, "The connection ended within the body.") from None
        if chunk is None:
            return
        yield chunk


def decompress(raw: bytes, encoding: str, max_bytes: int) -> bytes:
    """The content of a gzip or zstd body, of at most `max_bytes`. Bombs are stopped there, not after."""
    try:
        if encoding == "zstd":
            return _unzstd(raw, max_bytes)
        return _bounded(gzip.GzipFile(fileobj=io.BytesIO(raw)).read(max_bytes + 1), max_bytes)
    except EOFError:
        raise RequestProblem(ProblemCode.TRUNCATED_BODY, f"The {encoding} stream ends before its end mark.") from None
    except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError):
        raise RequestProblem(ProblemCode.BROKEN_ENCODING, f"The body is not valid {encoding}.") from None


def _unzstd(raw: bytes, max_bytes: int) -> bytes:
    body = bytearray()
    decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    frame = decoder.decompressobj()
    view = memoryview(raw)
    for start in range(0, len(raw), _ZSTD_SLICE_BYTES):
        piece = bytes(view[start : start + _ZSTD_SLICE_BYTES])
        while piece:
            if frame.eof:
                frame = decoder.decompressobj()
            body += frame.decompress(piece)
            piece = frame.unused_data if frame.eof else b""
            if len(body) > max_bytes:
                raise _too_large(max_bytes, "after decompression")
    if raw and not frame.eof:
        raise EOFError
    return bytes(body)


def _bounded(body: bytes, max_bytes: int) -> bytes:
    if len(body) > max_bytes:
        raise _too_large(max_bytes, "after decompression")
    return body


def _too_large(max_bytes: int, when: str) -> RequestProblem:
    return RequestProblem(ProblemCode.BODY_TOO_LARGE, f"The body is larger than {max_bytes} bytes {when}.")


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """One JSON value. NaN, infinities and lone surrogates are refused: no database holds them."""
    if not body.strip():
        raise RequestProblem(ProblemCode.EMPTY_BODY, "The request has no body.")
    _decoded(body, "The body")
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise RequestProblem(ProblemCode.INVALID_JSON, f"The body is not valid JSON: {error}.") from None


def parse_ndjson(body: bytes, model: type[Row]) -> list[Row]:
    """All rows of an NDJSON body, in their order; blank lines are skipped.

    Raises RequestProblem: empty_body, invalid_utf8, invalid_json, validation_failed (naming up to 20 lines).
    """
    rows: list[Row] = []
    faults: list[FieldProblem] = []
    for number, line in _lines(body):
        try:
            rows.append(model.model_validate_json(line))
        except ValidationError as error:
            _refuse_broken_json(number, error)
            faults += line_problems(f"line {number}", error)
            if len(faults) >= MAX_REPORTED_ERRORS:
                break
    if faults:
        raise RequestProblem(ProblemCode.VALIDATION_FAILED, "Some lines are invalid.", faults[:MAX_REPORTED_ERRORS])
    if not rows:
        raise RequestProblem(ProblemCode.EMPTY_BODY, "The request has no lines.")
    return rows


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, from 1, without the blank ones. Splits at newlines only, as NDJSON does."""
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line.strip():
            _decoded(line, f"Line {number}")
            yield number, line


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
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        field = ".".join(str(part) for part in fault["loc"])
        yield FieldProblem(where=f"{where}: {field}" if field else where, message=fault["msg"])
