"""A chain that somebody changed is found, and the first line that does not fit is named."""

import json
from datetime import UTC, datetime

import pytest

from consensus_server.core.audit import GENESIS, Act, ChainBroken, Head, chained, followed

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def chain(count=4):
    lines, head = [], Head()
    for number in range(count):
        act = Act(
            at=NOW, actor="operator alice", action="token.issued", subject="anna", after={"n": number / 3, "é": "ß"}
        )
        line, head = chained(act, head)
        lines.append(line)
    return lines, head


def test_a_chain_is_followed_to_its_head():
    lines, head = chain()
    assert followed(lines) == followed(lines, head.digest) == followed(lines, json.loads(lines[1])["digest"]) == head
    assert followed([]) == followed([], GENESIS) == Head(0, GENESIS)


def forged(line, **changes):
    return json.dumps(json.loads(line) | changes, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


TAMPERED = {
    "changed": (lambda rows: [rows[0], forged(rows[1], actor="mallory"), *rows[2:]], "line 2: its digest"),
    "number": (lambda rows: [rows[0], forged(rows[1], number=7), *rows[2:]], "line 2: it has the number 7"),
    "removed": (lambda rows: [rows[0], *rows[2:]], "line 2: it has the number 3"),
    "first": (lambda rows: rows[1:], "line 1: it has the number 2"),
    "repeated": (lambda rows: [rows[0], rows[0], *rows[1:]], "line 2: it has the number 1"),
    "swapped": (lambda rows: [rows[1], rows[0], *rows[2:]], "line 1"),
    "space": (lambda rows: [rows[0], rows[1] + " ", *rows[2:]], "line 2"),
    "key twice": (lambda rows: [rows[0].replace("{", '{"actor":"mallory",', 1), *rows[1:]], "line 1"),
    "cut": (lambda rows: [*rows[:3], rows[3][:-9]], "line 4: it is no line"),
    "other json": (lambda rows: ["[]", *rows[1:]], "line 1: it is no line"),
    "no digest": (lambda rows: ["{}", *rows[1:]], "line 1: it is no line"),
    "empty": (lambda rows: ["", *rows], "line 1: it is no line"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_the_first_line_that_does_not_fit_is_named(how):
    change, told = TAMPERED[how]
    with pytest.raises(ChainBroken, match=told):
        followed(change(chain()[0]))


def test_a_line_that_was_rechained_is_found_at_the_next_one():
    lines, _ = chain()
    second, _ = chained(Act(at=NOW, actor="mallory", action="x"), Head(1, json.loads(lines[0])["digest"]))
    with pytest.raises(ChainBroken, match="line 3: it follows another line"):
        followed([lines[0], second, *lines[2:]])


@pytest.mark.parametrize("kept_of", [3, 1])
def test_what_was_cut_off_or_written_anew_is_found_by_a_kept_digest_alone(kept_of):
    lines, _ = chain()
    kept = json.loads(lines[kept_of])["digest"]
    followed(lines[:kept_of])
    with pytest.raises(ChainBroken, match="cut off"):
        followed(lines[:kept_of], kept)
