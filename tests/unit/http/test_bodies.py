"""Bodies are read within bounds, and a fault names its line."""

import gzip
import os
import time

import pytest
import zstandard
from pydantic import TypeAdapter

from client_kit.wire import Answer, ConsensusPolicy, ParticipantCreate, ParticipantUpdate, ProblemCode, RoundCreate
from consensus_server.http_api.bodies import (
    MAX_REPORTED_ERRORS,
    Sent,
    parse_json,
    parse_message,
    parse_ndjson,
)
from consensus_server.http_api.problems import RequestProblem

LIMIT = 10_000
MOST = 10_000
TEXT = b'{"prompt_id": "p1", "text": "An answer."}\n' * 20


def decompress(raw, encoding, most, *take):
    return b"".join(Sent(raw, encoding, most, *take))


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
    assert [row.prompt_id for row in parse_ndjson([body], Answer, MOST)] == ["b", "a"]


def test_a_line_separator_within_a_text_ends_no_line():
    body = '{"prompt_id": "a", "text": "one\u2028two\x85three"}\n'.encode()
    assert parse_ndjson([body], Answer, MOST)[0].text == "one\u2028two\x85three"


@pytest.mark.parametrize("body", [b"", b"\n\n", b"  \r\n"])
def test_an_empty_body_is_named(body):
    assert refusal(parse_ndjson, [body], Answer, MOST).code is ProblemCode.EMPTY_BODY
    assert refusal(parse_json, body).code is ProblemCode.EMPTY_BODY


def test_invalid_utf8_names_line_and_byte():
    fault = refusal(parse_ndjson, [TEXT + b'{"prompt_id": "p", "text": "caf\xe9"}'], Answer, MOST)
    assert fault.code is ProblemCode.INVALID_UTF8
    assert "Line 21" in fault.detail
    assert "0xe9" in fault.detail


def test_invalid_json_names_the_line():
    fault = refusal(parse_ndjson, [TEXT + b'{"prompt_id": "p", "text": "cut'], Answer, MOST)
    assert fault.code is ProblemCode.INVALID_JSON
    assert "Line 21" in fault.detail


@pytest.mark.parametrize("line", [b'{"prompt_id": "p", "text": "\\ud800"}', b"{'prompt_id': 'p'}", b"prompt_id,text"])
def test_what_no_database_can_store_is_no_json(line):
    assert refusal(parse_ndjson, [line], Answer, MOST).code is ProblemCode.INVALID_JSON


@pytest.mark.parametrize("body", [b"NaN", b'{"a": Infinity}', b'"\\ud800"', b"[1,]"])
def test_json_is_read_strictly(body):
    assert refusal(parse_json, body).code is ProblemCode.INVALID_JSON


def test_faulty_fields_are_named_by_line():
    body = TEXT + b'{"prompt_id": "p", "text": "a\\u0000b", "model": "secret"}\n{"text": "x"}'
    fault = refusal(parse_ndjson, [body], Answer, MOST)
    assert fault.code is ProblemCode.VALIDATION_FAILED
    assert [error.where for error in fault.errors] == ["line 21: text", "line 21: model", "line 22: prompt_id"]
    assert "NUL" in fault.errors[0].message
    assert "secret" not in str(fault.errors)


def test_a_file_of_another_kind_gives_a_bounded_list():
    fault = refusal(parse_ndjson, [b'{"instruction": "x", "output": "y"}\n' * 5_000], Answer, MOST)
    assert len(fault.errors) == MAX_REPORTED_ERRORS


ROW = b'{"prompt_id": "p", "text": ""}\n'


@pytest.mark.parametrize(
    ("body", "most", "code"),
    [
        (ROW * 500_000, 5, ProblemCode.TOO_MANY_SAMPLES),
        (b"\n" * 16 * 2**20, 5, ProblemCode.EMPTY_BODY),
        (b" \n" * 8 * 2**20 + ROW * 6, 5, ProblemCode.TOO_MANY_SAMPLES),
        (b'{"a": {}}\n' * 500_000, 500_000, ProblemCode.VALIDATION_FAILED),
    ],
    ids=["rows", "blank lines", "blank lines before rows", "faults"],
)
def test_a_body_of_many_lines_costs_no_more_than_the_lines_that_may_be_there(body, most, code):
    began = time.process_time()
    assert refusal(parse_ndjson, [body], Answer, most).code is code
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd)])
def test_what_is_decompressed_is_counted_as_it_comes(encoding, compress):
    taken = []
    assert decompress(compress(b"a" * 3_000_000), encoding, 3_000_000, taken.append) == b"a" * 3_000_000
    assert sum(taken) == 3_000_000
    taken.clear()
    parse_ndjson([TEXT], Answer, MOST, taken.append)
    assert len(taken) == 20


@pytest.mark.parametrize(
    ("message", "body"),
    [
        (ParticipantUpdate, b'{"active": 0}'),
        (ParticipantUpdate, b'{"active": "true"}'),
        (ParticipantCreate, b'{"participant": 7}'),
        (RoundCreate, b'{"open": "no"}'),
        (RoundCreate, b'{"round_seconds": "60"}'),
        (RoundCreate, b"null"),
        (ConsensusPolicy, b'{"minimum_support": true}'),
    ],
)
def test_no_type_is_taken_for_another(message, body):
    assert refusal(parse_message, body, TypeAdapter(message)).code is ProblemCode.VALIDATION_FAILED


def test_what_is_of_its_type_is_taken():
    whole = parse_message(ConsensusPolicy().model_dump_json().encode(), TypeAdapter(ConsensusPolicy))
    assert whole == ConsensusPolicy()
    assert parse_message(b'{"participant": "a", "role": "observer"}', TypeAdapter(ParticipantCreate)).role == "observer"


@pytest.mark.parametrize("sample", [b'"1"', b"1.0", b"true"])
def test_a_sample_is_a_number(sample):
    row = b'{"prompt_id": "p", "text": "x", "sample": ' + sample + b"}"
    assert refusal(parse_ndjson, [row], Answer, MOST).code is ProblemCode.VALIDATION_FAILED


def test_a_name_stands_once_in_an_object():
    for body in (b'{"active": false, "active": true}', b'{"a": [{"b": 1, "b": 1}]}'):
        fault = refusal(parse_json, body)
        assert fault.code is ProblemCode.INVALID_JSON
        assert "twice" in fault.detail
    row = b'{"prompt_id": "p", "text": "one", "text": "two"}'
    assert refusal(parse_ndjson, [TEXT + row], Answer, MOST).detail.startswith("Line 21")
    began = time.process_time()
    many = b"{" + b",".join(b'"%d":1' % n for n in range(200_000)) + b',"7":1}'
    assert "'7'" in refusal(parse_json, many).detail
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("cut", [1, 7, 44, 100_000])
def test_lines_are_the_same_wherever_pieces_are_cut(cut):
    body = b"\n \n" + TEXT + b'\n{"prompt_id": "p", "text": 1}\n\n{"prompt_id": "q", "text": 2}'
    pieces = [body[start : start + cut] for start in range(0, len(body), cut)]
    assert [each.where for each in refusal(parse_ndjson, pieces, Answer, MOST).errors] == [
        "line 24: text",
        "line 26: text",
    ]


def test_no_more_is_unpacked_than_is_looked_at():
    unpacked = []
    bomb = Sent(gzip.compress(ROW * 500_000), "gzip", 10**9, unpacked.append)
    assert refusal(parse_ndjson, bomb, Answer, 5).code is ProblemCode.TOO_MANY_SAMPLES
    assert sum(unpacked) <= 2**20
