import os
import pathlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_kit.errors import JournalError
from client_kit.federation import journal as journal_module
from client_kit.federation.journal import Journal, decode, encode

OWNER = {"federation": "f", "participant": "a"}

values = st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.lists(st.text(), max_size=3))
records = st.lists(
    st.dictionaries(st.text(max_size=8), values, max_size=4).map(lambda fields: {**fields, "kind": "step"}), max_size=8
)


@given(records, st.data())
def test_truncation_at_any_byte_leaves_a_valid_prefix(steps, data):
    content = b"".join(map(encode, steps))
    cut = data.draw(st.integers(0, len(content)))
    kept, size = decode(content[:cut])
    assert kept == steps[: len(kept)]
    assert size <= cut
    assert len(kept) == max(n for n in range(len(steps) + 1) if len(b"".join(map(encode, steps[:n]))) <= cut)


@given(records.filter(lambda steps: len(steps) > 1), st.data())
def test_a_changed_byte_before_the_last_line_is_an_error(steps, data):
    content = bytearray(b"".join(map(encode, steps)))
    last = len(encode(steps[-1]))
    place = data.draw(st.integers(0, len(content) - last - 1))
    content[place] ^= 1 + data.draw(st.integers(0, 254))
    with pytest.raises(ValueError, match="is damaged"):
        decode(bytes(content))


def test_steps_survive_and_a_torn_line_is_cut_before_the_next_step(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path, OWNER) as journal:
        journal.append("answer", round=1, prompt_id="p", text="line\u2028one\r\n two")
    assert path.stat().st_mode & 0o077 == 0  # answers are nobody else's to read
    with path.open("ab") as file:
        file.write(encode({"kind": "answer", "round": 1, "prompt_id": "q"})[:-4])
    with Journal(path, OWNER) as journal:
        journal.append("answer", round=2, prompt_id="r")
    with Journal(path, OWNER) as journal:
        assert [record["prompt_id"] for record in journal.of("answer")] == ["p", "r"]
        assert journal.last("answer", round=1)["text"] == "line\u2028one\r\n two"
        assert journal.last("answer", round=3) is None


def test_settings_can_be_corrected_as_long_as_nothing_is_done(tmp_path):
    path = tmp_path / "journal.jsonl"
    Journal(path, {**OWNER, "generator": "a misspelt folder"}).close()
    with Journal(path, {**OWNER, "generator": "folder"}) as journal:
        journal.append("trained", stage=1)
    with Journal(path, {**OWNER, "generator": "folder"}) as journal:
        assert journal.last("trained") == {"kind": "trained", "stage": 1}
    with pytest.raises(JournalError, match='generator was "folder"'):
        Journal(path, {**OWNER, "generator": "another folder"})


def test_another_federation_or_other_settings_are_refused_by_name(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path, OWNER) as journal:
        journal.append("trained", stage=1)
    with pytest.raises(JournalError, match='federation was "f", now "g"'):
        Journal(path, {**OWNER, "federation": "g"})
    with pytest.raises(JournalError, match="seed was null, now 3"):
        Journal(path, {**OWNER, "seed": 3})
    Journal(path, OWNER).close()


def test_a_second_process_is_refused_and_a_dead_one_does_not_block(tmp_path):
    path = tmp_path / "journal.jsonl"
    code = (
        "import sys, time; from pathlib import Path; from client_kit.federation.journal import Journal;"
        f"journal = Journal(Path({str(path)!r}), {OWNER!r}); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(JournalError, match="another process works with"):
            Journal(path, OWNER)
        other.kill()
    Journal(path, OWNER).close()


def test_damage_is_named_and_nothing_is_cut(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path, OWNER) as journal:
        journal.append("sealed", round=1)
    size = pathlib.Path(path).stat().st_size
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(JournalError, match="line 1 is damaged"):
        Journal(path, OWNER)
    assert pathlib.Path(path).stat().st_size == size


def test_notes_are_with_the_system_at_once_and_on_the_disk_with_the_next_step(tmp_path, monkeypatch):
    """A kill loses none of them: what is written belongs to the system, not to the process."""
    path, synced, fsync = tmp_path / "journal.jsonl", [], os.fsync
    with Journal(path, OWNER) as journal:
        monkeypatch.setattr(os, "fsync", lambda handle: synced.append(path.stat().st_size) or fsync(handle))
        monkeypatch.setattr(journal_module, "SYNC_SECONDS", 1e9)
        for number in range(5):
            journal.note("answer", prompt_id=f"p{number}")
            assert len(decode(path.read_bytes())[0]) == number + 2
        assert synced == []
        journal.append("answered")
        assert synced == [path.stat().st_size]
        monkeypatch.setattr(journal_module, "SYNC_SECONDS", 0.0)
        journal.note("answer", prompt_id="p5")
        assert synced[1:] == [path.stat().st_size]
    with Journal(path, OWNER) as again:
        assert [record["prompt_id"] for record in again.of("answer")] == [f"p{number}" for number in range(6)]
