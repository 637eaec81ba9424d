"""The egress record on disk: it grows, is chained across files and processes, and stops sending where it cannot be written."""

import pathlib
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from client_kit.egress.chain import ChainBroken
from client_kit.egress.reading import lines_of, verified
from client_kit.egress.record import EgressRecord
from client_kit.errors import StorageError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "egress.jsonl"


def test_lines_are_numbered_chained_and_for_their_owner_alone(path):
    numbers = [
        EgressRecord(path).append("sent", kind="read", round=None) for _ in range(3)
    ]  # each as a process of its own
    assert numbers == [1, 2, 3]
    assert verified(path).number == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "round" not in path.read_text()


def test_many_threads_make_one_chain(path):
    records = [EgressRecord(path) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda turn: records[turn % 4].append("sent", durable=False, turn=turn), range(80)))
    assert verified(path).number == 80


def test_a_full_file_is_put_aside_and_the_chain_goes_on(path):
    record = EgressRecord(path, most_bytes=600)
    for _ in range(10):
        record.append("sent", kind="read")
    older = sorted(path.parent.glob("egress.*.jsonl"))
    assert len(older) > 1
    assert verified(path).number == 10
    older[0].unlink()
    assert verified(path).number == 10  # whoever needs the room removes the oldest
    path.unlink()
    assert EgressRecord(path).append("sent") == int(older[-1].suffixes[0][1:]) + 1


def test_a_torn_last_line_is_cut_off(path):
    record = EgressRecord(path)
    record.append("sent", kind="read")
    with path.open("ab") as file:
        file.write(b'{"at":"2026')
    assert verified(path).number == 1
    assert record.append("sent", kind="seal") == 2
    assert verified(path).number == 2


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda lines: [lines[0], lines[1].replace("seal", "read"), lines[2]], "another digest"),
        (lambda lines: [lines[0], lines[2]], "lines are missing"),
        (lambda lines: [lines[0], "nonsense", lines[2]], "line 2 is no line"),
        (lambda lines: lines[:2], "no line has the digest"),
    ],
)
def test_a_record_that_was_changed_is_found(path, damage, told):
    record = EgressRecord(path)
    for kind in ("read", "seal", "answers"):
        record.append("sent", kind=kind)
    kept = verified(path).digest
    lines = list(lines_of(path))
    path.write_text("".join(line + "\n" for line in damage(lines)))
    with pytest.raises(ChainBroken, match=told):
        verified(path, kept)


def test_a_full_disk_is_told_with_what_to_do(path):
    path.symlink_to("/dev/full")
    with pytest.raises(
        StorageError, match=r"cannot be written \(No space left on device\), and nothing is sent unrecorded"
    ):
        EgressRecord(path).append("sent")


def test_a_record_whose_end_is_no_line_takes_no_more(path):
    path.write_text("nonsense\n")
    with pytest.raises(StorageError, match="consensus egress verify"):
        EgressRecord(path).append("sent")
    assert pathlib.Path(path).stat().st_size == len("nonsense\n")
