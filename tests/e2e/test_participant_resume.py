"""A participant killed by SIGKILL anywhere goes on where it was: a real server, a real process, a real kill."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from client_kit import ConsensusClient
from client_kit.federation.journal import decode
from client_kit.federation.server_process import ServerProcess
from client_kit.wire import (
    FederationCreate,
    Manifest,
    Prompt,
    PromptSetUpload,
    RoundState,
    content_digest,
    prompt_set_digest,
)

PROMPTS = [Prompt(prompt_id=f"p{number:02}", prompt=f"Question number {number}?") for number in range(12)]
ROUNDS = 2
PARTICIPANT = Path(__file__).parents[1] / "support" / "killable_participant.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess(folder, environment={"CONSENSUS_ENCODER": "hashing"}) as running:
        yield running


@pytest.fixture
def operator(server, request):
    name = "f" + content_digest(request.node.name)[:12]
    manifest = Manifest(
        name="resume", version="1", digest=prompt_set_digest(PROMPTS), prompt_count=len(PROMPTS), description="Questions.",
        licence="CC0-1.0", language="en", topics={},
    )  # fmt: skip
    with ConsensusClient(server.url, server.operator_token, federation=name) as client:
        client.upload_prompt_set(PromptSetUpload(manifest=manifest, prompts=PROMPTS))
        client.create_federation(FederationCreate(federation=name, prompt_set=manifest.digest, quorum=2))
        yield client


def answer_all(client, number):
    client.submit_and_seal(number, {prompt.prompt_id: f"Answer to {prompt.prompt_id}." for prompt in PROMPTS})


def start(server, token, work, kill_at=""):
    command = [sys.executable, str(PARTICIPANT), server.url, token, str(work), str(ROUNDS), kill_at]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


DIES_IN = {
    "answer:5": 1,
    "answer:17": 2,
    "request:2": 1,
    "seal:1": 1,
    "trained:1": 1,
    "trained:2": 2,
    "labelled:1": 2,
}
"""Where it kills itself, and the round that is open when that shows."""


@pytest.mark.parametrize("kill_at", DIES_IN)
def test_killed_there_it_resumes_and_answers_no_prompt_twice(server, operator, tmp_path, kill_at):
    killed = operator.add_participant("killed").token
    with operator_of(server, operator.add_participant("other").token) as other:
        first = start(server, killed, tmp_path, kill_at)
        second = None
        try:
            for number in range(1, ROUNDS + 1):
                operator.create_round()
                answer_all(other, number)
                if number == DIES_IN[kill_at]:
                    assert first.wait(60) == -signal.SIGKILL, first.stdout.read()
                    second = start(server, killed, tmp_path)
                operator.wait_for(number, RoundState.PUBLISHED, 60)
            output, _ = second.communicate(timeout=60)
            assert second.returncode == 0, output
        finally:
            for process in filter(None, (first, second)):
                process.kill()
                process.communicate()
    assert_complete(operator, tmp_path)


def operator_of(server, token):
    return ConsensusClient(server.url, token)


def assert_complete(operator, work):
    """Every prompt was generated, journalled and counted once per round, and no training was left out."""
    records, _ = decode((work / "journal.jsonl").read_bytes())
    answers = Counter((record["round"], record["prompt_id"]) for record in records if record["kind"] == "answer")
    assert answers == {(number, prompt.prompt_id): 1 for number in range(1, ROUNDS + 1) for prompt in PROMPTS}
    for number in range(1, ROUNDS + 1):
        counts = operator.card(number).counts
        assert (counts.submissions, counts.answers, counts.labels) == (2, 2 * len(PROMPTS), len(PROMPTS))
    trained = [record for record in records if record["kind"] == "trained"]
    assert [record["stage"] for record in trained] == [1, 2, 3]
    assert [record["examples"] for record in trained] == [1, 2, 2]


def test_a_round_that_closed_meanwhile_is_missed_and_the_next_is_not(server, operator, tmp_path):
    late = operator.add_participant("late").token
    with (
        operator_of(server, operator.add_participant("one").token) as one,
        operator_of(server, operator.add_participant("two").token) as two,
    ):
        operator.create_round()
        answer_all(one, 1)
        answer_all(two, 1)
        operator.close_round(1)
        operator.wait_for(1, RoundState.PUBLISHED, 60)
        with start(server, late, tmp_path) as process:
            operator.create_round()
            answer_all(one, 2)
            answer_all(two, 2)
            operator.wait_for(2, RoundState.PUBLISHED, 60)
            output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    missed = [line for line in output.splitlines() if '"missed"' in line]
    assert len(missed) == 1
    assert "ended without this participant" in missed[0]
    assert operator.card(2).counts.submissions == 3
