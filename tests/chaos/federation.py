"""A federation of three that goes through its rounds, whatever happens to the server, and what has to be true afterwards."""

import hashlib
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from client_kit import wire
from client_kit._transport import RetryPolicy
from client_kit.client import ConsensusClient
from client_kit.errors import ConsensusError, RoundNotOpen, SubmissionSealed
from client_kit.wire import Prompt, RoundState, prompt_set_digest

NAMES = ("anna", "bert", "carl")
PATIENCE_SECONDS = 180
RETRY = RetryPolicy(attempts=100_000, first_pause_seconds=0.05, longest_pause_seconds=0.5, deadline_seconds=60)

PROMPTS = [Prompt(prompt_id=f"p{number:02}", prompt=f"What became of number {number}?") for number in range(24)]
MANIFEST = wire.Manifest(
    name="chaos", version="1", digest=prompt_set_digest(PROMPTS), prompt_count=len(PROMPTS), description="Made up.",
    licence="CC0-1.0", language="en", topics={},
)  # fmt: skip

WORDS = ("harbour", "lantern", "meadow", "orchard", "granite", "violin", "compass", "kettle", "saddle", "thistle")


def answers_of(name, number):
    """What a participant says in a round: the same whenever it is asked; two of three agree on most prompts."""
    said = {}
    for place, prompt in enumerate(PROMPTS):
        odd = NAMES.index(name) == (place + number) % 4  # on every fourth prompt nobody is
        chosen = hashlib.sha256(f"{number}/{place}/{name if odd else ''}".encode()).digest()
        words = " ".join(WORDS[byte % len(WORDS)] for byte in chosen[:6])
        said[prompt.prompt_id] = f"It became the {words} of the year {1500 + chosen[7]}."
    return said


@dataclass
class Outcome:
    """What a run ended with."""

    labels: list[str] = field(default_factory=list)
    """Of each round, as JSON lines."""
    held: dict[tuple[str, int], str] = field(default_factory=dict)
    """Digest of what the server holds, by participant and round."""
    sealed: dict[tuple[str, int], str] = field(default_factory=dict)
    """Digest in the receipt that each participant got."""
    published: list[int] = field(default_factory=list)
    """How often each round was published."""
    closed_again: int = 0
    """Rounds that workers were lost over three times in a row, which an operator closed once more."""
    seconds: float = 0.0


class Federation:
    """Drives the rounds. `tokens` and `number` are what a monkey may use."""

    def __init__(self, deployment):
        self.deployment = deployment
        self.tokens = {}
        self.number = 0
        self.errors = Counter()
        """What clients were told and got over, by class."""
        self._operator = self._client(deployment.operator_token)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._operator.close()

    def found(self):
        self._operator.upload_prompt_set(wire.PromptSetUpload(manifest=MANIFEST, prompts=PROMPTS))
        self._operator.create_federation(wire.FederationCreate(federation="chaos", prompt_set=MANIFEST.digest))
        self.tokens = {name: self._operator.add_participant(name).token for name in NAMES}

    def run(self, rounds):
        outcome, began = Outcome(), time.monotonic()
        for number in range(1, rounds + 1):
            self.number = number
            self._open(number)
            self._submit(number, outcome)
            self._await_labels(number, outcome)
        outcome.seconds = time.monotonic() - began
        return outcome

    def look(self, outcome, rounds):
        """What the server has in the end, once nobody disturbs it."""
        for number in range(1, rounds + 1):
            labels = self._operator.pseudo_labels(number)
            outcome.labels.append("\n".join(label.model_dump_json() for label in labels))
            events = [event.kind for event in self._operator.events(number)]
            outcome.published.append(events.count(wire.EventKind.PUBLISHED))
        for name, token in self.tokens.items():
            with self._client(token) as client:
                for number in range(1, rounds + 1):
                    outcome.held[name, number] = client.held(number).digest
        return outcome

    def _client(self, token):
        return ConsensusClient(self.deployment.url, token, federation="chaos", timeout_seconds=10, retry=RETRY)

    def _until_it_works(self, what, done=lambda: False):
        """Try as a person or a site would: again, and look whether the last try had worked after all."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if not done():
                    what()
            except ConsensusError as error:
                self.errors[type(error).__name__] += 1
                if time.monotonic() > until:
                    error.add_note(self.deployment.log_tail())
                    raise
                time.sleep(0.05)
            else:
                return

    def _open(self, number):
        self._until_it_works(self._operator.create_round, lambda: self._is_there(number))

    def _is_there(self, number):
        return any(each.number == number for each in self._operator.rounds())

    def _submit(self, number, outcome):
        failed = []

        def take_part(name):
            try:
                with self._client(self.tokens[name]) as client:
                    self._until_it_works(lambda: self._seal(client, name, number, outcome))
            except Exception as error:  # noqa: BLE001 - told in the main thread
                failed.append(error)

        sites = [threading.Thread(target=take_part, args=(name,)) for name in NAMES]
        for site in sites:
            site.start()
        for site in sites:
            site.join()
        if failed:
            raise failed[0]

    def _seal(self, client, name, number, outcome):
        answers = [wire.Answer(prompt_id=key, text=text) for key, text in answers_of(name, number).items()]
        try:
            receipt = client.submit_and_seal(number, answers, replace=True)
        except (SubmissionSealed, RoundNotOpen):
            # The answer to the seal was lost, and with the last seal the round closed: sealing again gives the receipt.
            held = client.held(number)
            receipt = client.seal(number, count=len(held.answers), digest=held.digest)
        outcome.sealed[name, number] = receipt.digest

    def _await_labels(self, number, outcome):
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            try:
                found = self._operator.round(number)
                if found.state is RoundState.PUBLISHED:
                    return
                if found.state is RoundState.FAILED:
                    assert found.failure.code == "aggregation_failed", found.failure
                    assert "workers in a row were lost" in found.failure.detail, found.failure
                    self._operator.close_round(number)
                    outcome.closed_again += 1
            except ConsensusError as error:
                self.errors[type(error).__name__] += 1
            time.sleep(0.05)
        raise AssertionError(f"round {number} has no labels after {PATIENCE_SECONDS} s: {self.deployment.log_tail()}")
