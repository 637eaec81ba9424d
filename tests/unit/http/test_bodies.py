"""Bodies are read within bounds, and a fault names its line."""

import gzip
import os

import pytest
import zstandard

from client_kit.wire import Answer, ProblemCode
from consensus_server.http_api.bodies import MAX_REPORTED_ERRORS, decompress, parse_json, parse_ndjson
from consensus_server.http_api.problems import RequestProblem

LIMIT = 10_000
TEXT = b'{"prompt_id": "p1", "text": "An answer."}\n' * 20


def refusal(call, *arguments) -> RequestProblem:
    with pytest.raises(RequestProblem) as caught:
        call(*arguments)
    return caught.value


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("zstd", zstd)])
def test_what_was_compressed_comes_back(encoding, compress):
    assert decompress(compress(TEXT), encoding, LIMIT) == TEXT


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd)])
def test_several_members_are_one_body(encoding, compress):
    assert decompress(compress(TEXT) + compress(b"more"), encoding, LIMIT) == TEXT + b"more"


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd)])
def test_the_bound_holds_for_the_content_not_for_the_wire(encoding, compress):
    bomb = compress(b"a" * 50_000_000)
    assert len(bomb) < 60_000
    assert refusal(decompress, bomb, encoding, LIMIT).code is ProblemCode.BODY_TOO_LARGE
    assert decompress(compress(b"a" * LIMIT), encoding, LIMIT) == b"a" * LIMIT


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd)])
def test_a_cut_stream_is_truncated(encoding, compress):
    whole = compress(os.urandom(4_000))
    assert refusal(decompress, whole[:-500], encoding, LIMIT).code is ProblemCode.TRUNCATED_BODY


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_bytes_that_were_never_compressed_are_broken(encoding):
    assert refusal(decompress, TEXT, encoding, LIMIT).code is ProblemCode.BROKEN_ENCODING


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd)])
def test_a_flipped_byte_is_never_read_as_content(encoding, compress):
    damaged = bytearray(compress(os.urandom(2_000)) + b"trailing rubbish")
    code = refusal(decompress, bytes(damaged), encoding, LIMIT).code
    assert code in {ProblemCode.BROKEN_ENCODING, ProblemCode.TRUNCATED_BODY}


def test_rows_come_in_their_order_and_blank_lines_do_not_count():
    body = b'\n{"prompt_id": "b", "text": "2"}\r\n\n   \n{"prompt_id": "a", "text": "1"}'
    assert [row.prompt_id for row in parse_ndjson(body, Answer)] == ["b", "a"]


def test_a_line_separator_within_a_text_ends_no_line():
    body = '{"prompt_id": "a", "text": "one\u2028two\x85three"}\n'.encode()
    assert parse_ndjson(body, Answer)[0].text == "one\u2028two\x85three"


@pytest.mark.parametrize("body", [b"", b"\n\n", b"  \r\n"])
def test_an_empty_body_is_named(body):
    assert refusal(parse_ndjson, body, Answer).code is ProblemCode.EMPTY_BODY
    assert refusal(parse_json, body).code is ProblemCode.EMPTY_BODY


def test_invalid_utf8_names_line_and_byte():
    fault = refusal(parse_ndjson, TEXT + b'{"prompt_id": "p", "text": "caf\xe9"}', Answer)
    assert fault.code is ProblemCode.INVALID_UTF8
    assert "Line 21" in fault.detail
    assert "0xe9" in fault.detail


def test_invalid_json_names_the_line():
    fault = refusal(parse_ndjson, TEXT + b'{"prompt_id": "p", "text": "cut', Answer)
    assert fault.code is ProblemCode.INVALID_JSON
    assert "Line 21" in fault.detail


@pytest.mark.parametrize("line", [b'{"prompt_id": "p", "text": "\\ud800"}', b"{'prompt_id': 'p'}", b"prompt_id,text"])
def test_what_no_database_can_store_is_no_json(line):
    assert refusal(parse_ndjson, line, Answer).code is ProblemCode.INVALID_JSON


@pytest.mark.parametrize("body", [b"NaN", b'{"a": Infinity}', b'"\\ud800"', b"[1,]"])
def test_json_is_read_strictly(body):
    assert refusal(parse_json, body).code is ProblemCode.INVALID_JSON


def test_faulty_fields_are_named_by_line():
    body = TEXT + b'{"prompt_id": "p", "text": "a\\u0000b", "model": "secret"}\n{"text": "x"}'
    fault = refusal(parse_ndjson, body, Answer)
    assert fault.code is ProblemCode.VALIDATION_FAILED
    assert [error.where for error in fault.errors] == ["line 21: text", "line 21: model", "line 22: prompt_id"]
    assert "NUL" in fault.errors[0].message
    assert "secret" not in str(fault.errors)


def test_a_file_of_another_kind_gives_a_bounded_list():
    fault = refusal(parse_ndjson, b'{"instruction": "x", "output": "y"}\n' * 5_000, Answer)
    assert len(fault.errors) == MAX_REPORTED_ERRORS
