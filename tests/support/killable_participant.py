"""A participant as a process, with a scripted model and a trainer that only takes notes, which kills itself on demand.

    killable_participant.py URL TOKEN WORK ROUNDS [answer:N | request:N | seal:N | trained:N | labelled:N]

answer, request: after that many answers or uploads in all; seal: after the server sealed round N, before the journal knows.
"""

import itertools
import os
import signal
import sys
from pathlib import Path

import httpx

from client_kit import ConsensusClient
from client_kit.client import operations
from client_kit.client.submitting import Batches
from client_kit.federation.journal import Journal
from client_kit.federation.participant import Participant
from client_kit.federation.progress import Step
from client_kit.federation.site import Site
from client_kit.generation.scripted import ScriptedGenerator
from client_kit.settings import MixingSettings
from client_kit.training.base import Example, TrainingReport

URL, TOKEN, WORK, ROUNDS, KILL_AT = *sys.argv[1:5], sys.argv[5] if len(sys.argv) > 5 else ""
WHERE, _, WHEN = KILL_AT.partition(":")


def reached(where, number):
    if where == WHERE and number == int(WHEN):
        os.kill(os.getpid(), signal.SIGKILL)


class Transport(httpx.HTTPTransport):
    """Dies between requests of one submission, or when the server has sealed it and nobody here knows."""

    uploads, seals = itertools.count(1), itertools.count(1)

    def handle_request(self, request):
        response = super().handle_request(request)
        if request.method == "PUT":
            reached("request", next(self.uploads))
        if request.url.path.endswith("/seal"):
            reached("seal", next(self.seals))
        return response


class Trainer:
    def train(self, model, examples, *, steps, seed, output):
        output.mkdir(parents=True)
        return TrainingReport(output, steps, len(examples), 0.0)


class Generator(ScriptedGenerator):
    counter = itertools.count(1)

    def generate(self, prompts, sampling):
        for generation in super().generate(prompts, sampling):
            yield generation
            reached("answer", next(self.counter))


def observe(progress):
    sys.stdout.write(progress.to_json() + "\n")
    sys.stdout.flush()
    if progress.step in {Step.TRAINED, Step.LABELLED}:
        reached(progress.step.value, progress.round)


# Several requests per submission, so that there is something between them.
operations.Batches = lambda answers: Batches(answers, 300)

with ConsensusClient(URL, TOKEN, transport=Transport(trust_env=False)) as client:
    script = {prompt.prompt_id: f"Answer to {prompt.prompt_id}." for prompt in client.prompts()}
    site = Site(
        open_generator=lambda _: Generator(script),
        trainer=Trainer(),
        base=Path(WORK),
        private=(Example("Q?", "A."),),
        mixing=MixingSettings(ratio=1.0),
    )
    with Journal(Path(WORK) / "journal.jsonl", {"participant": "killed"}) as journal:
        Participant(
            client, site, journal, work=Path(WORK), rounds=int(ROUNDS), observe=observe, patience_seconds=60
        ).run()
