"""Participants of two models over a real server: the second round costs a seal, and its labels are the first's."""

from contextlib import ExitStack

import pytest

from client_kit.client import ConsensusClient
from client_kit.federation.journal import Journal
from client_kit.federation.participant import Participant
from client_kit.federation.server_process import ServerProcess
from client_kit.federation.site import Site
from client_kit.generation.scripted import ScriptedGenerator
from client_kit.training.base import Example, TrainingReport
from client_kit.wire import FederationCreate, Manifest, Prompt, PromptSetUpload, prompt_set_digest

PROMPTS = [Prompt(prompt_id=f"p{number:02}", prompt=f"What is the number {number}?") for number in range(40)]
MANIFEST = Manifest(
    name="numbers", version="1", digest=prompt_set_digest(PROMPTS), prompt_count=len(PROMPTS), description="Questions.",
    licence="CC0-1.0", language="en", topics={},
)  # fmt: skip
SAID = {prompt.prompt_id: f"It is the answer number {prompt.prompt_id}." for prompt in PROMPTS}


class Trainer:
    def train(self, model, examples, *, steps, seed, output, run=None):
        output.mkdir(parents=True)
        return TrainingReport(output, steps, len(examples), 0.0)


@pytest.fixture
def operator(tmp_path):
    with (
        ServerProcess(tmp_path / "server", environment={"CONSENSUS_ENCODER": "hashing"}) as server,
        ConsensusClient(server.url, server.operator_token, federation="f") as client,
    ):
        client.upload_prompt_set(PromptSetUpload(manifest=MANIFEST, prompts=PROMPTS))
        client.create_federation(FederationCreate(federation="f", prompt_set=MANIFEST.digest))
        client.url = server.url
        yield client


def turn(client, work, name, *, number=None, witness=True):
    """A participant's part of round `number`; of all rounds and the last training, where none is given."""
    site = Site(
        open_generator=lambda _: ScriptedGenerator(SAID), base=work, trainer=Trainer(), private=(Example("Q?", "A."),),
        witness=witness,
    )  # fmt: skip
    with Journal(work / name / "journal.jsonl", {}) as journal:
        participant = Participant(client, site, journal, work=work / name, rounds=3, patience_seconds=60)
        return participant.run() if number is None else participant.contribute(number)


@pytest.fixture
def clients(operator):
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(ConsensusClient(operator.url, operator.add_participant(name).token))
            for name in ("anna", "bert", "echo")
        }


def test_rounds_without_news_cost_a_seal_and_second_hand_answers_are_told(operator, clients, tmp_path):
    for number in (1, 2, 3):
        operator.create_round()
        for name, client in clients.items():
            turn(client, tmp_path, name, number=number, witness=name != "echo")
        labels = operator.wait_for_labels(number, 60)
        assert [label.text for label in labels] == list(SAID.values())
    sent = {row.participant: row.received_bytes for row in operator.traffic(3)}
    assert max(sent["anna"], sent["bert"]) < 1000 < sent["echo"]
    assert {turn(clients[name], tmp_path, name).name for name in ("anna", "bert")} == {"student-004"}
    why = operator.explanation(3, "p00")
    assert {fate.stands_in_from for fate in why.answers} == {None, 1}, "what echo said before it was taught stands in"
