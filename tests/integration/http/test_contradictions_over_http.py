"""Contradictions over the wire: why two answers are apart, and the kit of version 0.1.0, which knows nothing of them."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import httpx
import pytest

from client_kit.client import ConsensusClient
from client_kit.vocabulary import why_abstained
from client_kit.wire import PseudoLabel

ROOT = Path(__file__).parents[3]
OF_0_1_0 = "413ddac"
LOOKING = {"guards": False, "reliability": False, "distance_short": 1.9, "minimum_support": 1}
AS_OF_0_1_0 = """
import sys
import client_kit
from client_kit.client import ConsensusClient
from client_kit.errors import ConsensusError

assert client_kit.__version__ == "0.1.0", client_kit.__file__
url, text, *tokens = sys.argv[1:]
clients = [ConsensusClient(url, token) for token in tokens]
for client in clients:
    prompts = client.prompts()
    client.submit_and_seal(1, {each.prompt_id: text for each in prompts})
try:
    labels = clients[0].wait_for_labels(1, timeout_seconds=60)
except ConsensusError as error:
    print(type(error).__name__, error)
else:
    print(*sorted({str(label.text) for label in labels}), sep="\\n")
"""


@pytest.fixture
def contested(live, new_arena, answer_rows):
    """Three that say one thing and four that contradict it, cut into two meanings."""
    sites = ("anna", "bert", "carl", "dora", "emil", "fred")
    arena = new_arena(live, participants=sites, policy={**LOOKING, "distance_short": 0.2})
    sides = ["{} needs 5 mg of it."] * 3 + ["Give 50 mg for {}.", "Give 50 mg for {}.", "It takes 50 mg in case of {}."]
    arena.publish(dict(zip(sites, map(answer_rows, sides), strict=True)))
    return arena


def test_why_is_told_with_the_deciding_words(live, new_arena, answer_rows):
    arena = new_arena(live, participants=("anna", "bert", "carl"), policy=LOOKING)
    sides = ["Give 5 mg for {}.", "Give 5 mg for {}.", "Give 50 mg for {}."]
    arena.publish(dict(zip(("anna", "bert", "carl"), map(answer_rows, sides), strict=True)))
    prompt = answer_rows()[0]["prompt_id"]
    told = arena.operator.get(f"{arena.round}/prompts/{prompt}").json()
    (contest,) = told["contests"]
    assert {contest["words_first"], contest["words_second"]} == {"5 mg", "50 mg"}
    assert told["label"]["confidence"] <= round(2 / 3, 6)
    with ConsensusClient(live.url, arena.tokens["carl"]) as client:
        (seen,) = client.explanation(1, prompt).contests
    assert (seen.kind, seen.words_first, seen.words_second) == ("number:mass", "", "")


def test_a_contested_round_is_read_by_this_kit_and_explained_to_that_of_0_1_0(live, contested, problem):
    with ConsensusClient(live.url, contested.tokens["anna"]) as client:
        assert {label.abstention for label in client.pseudo_labels(1)} == {"contested"}
    headers = {"Authorization": f"Bearer {contested.tokens['anna']}", "User-Agent": "semantic-consensus/0.1.0"}
    answer = httpx.get(f"{live.url}{contested.round}/pseudo-labels", headers=headers)
    told = problem(answer, 422, "validation_failed")
    assert "abstentions for reasons that version 0.1.0 of the kit cannot read (" in told["detail"]
    assert "Install a newer version" in told["remedy"]


def test_a_reason_of_a_newer_server_is_read_and_named():
    label = PseudoLabel.read(
        '{"prompt_id": "p", "abstention": "moon_phase", "confidence": 0, "confidence_method": "x", "support": 0, "share": 0, "clusters": []}'
    )
    assert (label.abstention, why_abstained(label.abstention)) == ("moon_phase", "moon phase")
    assert why_abstained("tie") == "several meanings have equal support"


@pytest.fixture(scope="session")
def old_kit(tmp_path_factory):
    """The kit as it was at that commit."""
    git = ["git", "-C", str(ROOT), "archive", OF_0_1_0, "client_kit"]
    archive = subprocess.run(git, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"commit {OF_0_1_0} is not in this clone")
    folder = tmp_path_factory.mktemp("kit-0.1.0")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("policy", [{}, LOOKING])
def test_the_kit_of_0_1_0_completes_a_round(live, new_arena, old_kit, policy):
    arena = new_arena(live, policy={"guards": False, **policy})
    text = "The answer is forty-two, and everybody here agrees with it."
    with subprocess.Popen(
        [sys.executable, "-c", AS_OF_0_1_0, live.url, text, *arena.tokens.values()],
        cwd=old_kit, env={**os.environ, "PYTHONPATH": str(old_kit)}, stdout=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        while running.poll() is None:
            live.aggregate()
        assert running.stdout.read().strip() == text
