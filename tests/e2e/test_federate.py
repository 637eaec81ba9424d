"""`consensus federate` as a person runs it: scripted participants, the stand-in encoder, real processes."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from client_kit.federation.journal import decode
from client_kit.prompts import write_prompt_set
from client_kit.wire import Prompt

COMMAND = (sys.executable, "-c", "from client_kit.cli import main; main()", "federate")
PROMPTS = [Prompt(prompt_id=f"p{number}", prompt=f"Question {number}?") for number in range(3)]


def federation(folder, answers):
    """A federation of a scripted participant per entry of `answers`, for two rounds."""
    facts = {"name": "few", "version": "1.0", "description": "Few.", "licence": "CC0-1.0", "language": "en"}
    write_prompt_set(folder / "prompts", PROMPTS, **facts)
    sites = []
    for name, texts in answers.items():
        rows = [json.dumps({"prompt_id": prompt_id, "text": text}) + "\n" for prompt_id, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("".join(rows))
        generator = {"kind": "scripted", "answers": f"{name}.jsonl"}
        sites.append({"participant": name, "generator": generator, "trainer": {"kind": "none", "export": "trl"}})
    file = folder / "federation.yaml"
    settings = {"federation": "f", "work": "work", "rounds": 2, "prompt_set": "./prompts", "encoder": "hashing"}
    file.write_text(yaml.safe_dump({**settings, "participants": sites}))
    return file


def processes_of(folder):
    """Processes of this machine that name the folder on their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in entry.read_bytes():
                found.append(entry.parent.name)
        except OSError:
            continue  # it ended meanwhile
    return found


@pytest.fixture
def agreed():
    return {prompt.prompt_id: f"Answer to {prompt.prompt_id}." for prompt in PROMPTS}


def test_all_rounds_run_and_a_second_start_does_nothing_twice(tmp_path, agreed):
    file = federation(tmp_path, {"a": agreed, "b": agreed})
    for _ in range(2):
        done = subprocess.run([*COMMAND, file, "--json"], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        outcome = json.loads(done.stdout)
        assert {number: card["counts"]["labels"] for number, card in outcome["rounds"].items()} == {"1": 3, "2": 3}
        assert all(row["received_bytes"] > 0 for rows in outcome["traffic"].values() for row in rows)
    for name in ("a", "b"):
        work = tmp_path / "work" / "participants" / name
        records, _ = decode((work / "journal.jsonl").read_bytes())
        assert sum(record["kind"] == "answer" for record in records) == 2 * len(PROMPTS)
        assert len((work / "round-002" / "labels.trl.jsonl").read_text().splitlines()) == 3
        assert (work / "token").stat().st_mode & 0o077 == 0
    assert processes_of(tmp_path) == []


def test_a_failing_participant_ends_all_with_the_end_of_its_log(tmp_path, agreed):
    file = federation(tmp_path, {"a": agreed, "b": {"p0": "Only one."}})
    done = subprocess.run([*COMMAND, file], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "b ended with exit status 1" in done.stderr
    assert "prompt p1: the script has 0 answers to it" in done.stderr
    assert "Traceback" not in done.stderr
    assert processes_of(tmp_path) == []


def test_asked_to_end_it_leaves_no_process_behind(tmp_path, agreed):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # The other participant asks an endpoint that never answers, so that the round stays open.
        file = federation(tmp_path, {"a": agreed, "b": agreed})
        settings = yaml.safe_load(file.read_text())
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        settings["participants"][1]["generator"] = {"kind": "openai", "base_url": url, "model": "m"}
        file.write_text(yaml.safe_dump(settings))
        with subprocess.Popen([*COMMAND, file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            wait_until_sealed(process, tmp_path / "work" / "participants" / "a" / "journal.jsonl")
            assert len(processes_of(tmp_path)) == 4
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again to go on from there" in errors
    assert processes_of(tmp_path) == []


def wait_until_sealed(process, journal):
    until = time.monotonic() + 90
    while not (journal.exists() and b"sealed" in journal.read_bytes()):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.1)
