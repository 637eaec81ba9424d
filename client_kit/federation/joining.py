"""From a settings file to a participant at work: `take_part` is all that `consensus join` does."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from client_kit import egress
from client_kit.client import ConsensusClient
from client_kit.errors import ConfigurationError
from client_kit.exports import write_whole
from client_kit.federation.approval import Ask
from client_kit.federation.beforehand import check_site, require_participant
from client_kit.federation.configuration import participant_token
from client_kit.federation.journal import Journal
from client_kit.federation.models import round_folder
from client_kit.federation.participant import Participant
from client_kit.federation.progress import Observer, ignore
from client_kit.federation.site import Openers, open_site
from client_kit.generation.base import Sampling
from client_kit.generation.losses import Lost
from client_kit.generation.spending import Tokens, estimate
from client_kit.settings import ParticipantSettings
from client_kit.signing import PrivateKey, kept_key
from client_kit.storage import storage_explained

JOURNAL = "journal.jsonl"
EGRESS_VARIABLE = "CONSENSUS_EGRESS"
SERVER_KEY = "server.key"
"""The server's public key, as it was when this site first asked."""
FIRST = "first"

_STATED = {"trainer": {"trained_on_exports"}}
"""What a site says of itself, and may say otherwise later."""


@storage_explained()
def take_part(
    settings: ParticipantSettings, openers: Openers, observe: Observer = ignore, ask: Ask | None = None
) -> Path | None:
    """Run one participant from where its journal says it is to the end. Returns its last checkpoint, if it trains.

    ask: asks a person at once, where `approve` is set; else each round waits for `consensus approve`. Raises ConsensusError; the same call goes on where this one ended.
    """
    with _participant(settings, openers, observe, ask) as participant:
        return participant.run()


@dataclass(frozen=True, slots=True)
class Generated:
    """The answers of a round before anybody has them."""

    round: int
    answers: int
    lost: Lost
    """What is not to be submitted as the model said it."""
    file: Path
    """JSONL, as `consensus submit` reads it."""


@storage_explained()
def generate(
    settings: ParticipantSettings, openers: Openers, file: Path | None = None, observe: Observer = ignore
) -> Generated:
    """Train and answer for the next round, write what would be submitted to `file`, and send nothing.

    file: by default `answers.jsonl` in the round's folder. `take_part` submits the same answers, generated no second
    time. Raises ConsensusError; the same call goes on where this one ended.
    """
    with _participant(settings, openers, observe) as participant:
        number, cleaned = participant.answer()
    file = file or round_folder(settings.work, number) / "answers.jsonl"
    answers = sorted(cleaned.answers, key=lambda answer: (answer.prompt_id, answer.sample))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, "".join(answer.model_dump_json(exclude_none=True) + "\n" for answer in answers))
    return Generated(number, len(answers), cleaned.lost, file)


@contextmanager
def _participant(
    settings: ParticipantSettings, openers: Openers, observe: Observer, ask: Ask | None = None
) -> Iterator[Participant]:
    check_site(settings)
    with recorded(settings), _opened(settings, openers, observe, ask) as participant:
        yield participant


def recorded(settings: ParticipantSettings) -> AbstractContextManager[egress.EgressRecord]:
    """Records what clients that are made inside send for a participant."""
    return egress.recording(egress_file(settings))


def egress_file(settings: ParticipantSettings) -> Path:
    """Where a participant's egress record is."""
    named = os.environ.get(EGRESS_VARIABLE)
    return settings.egress or (Path(named) if named else settings.work / egress.NAME)


@contextmanager
def _opened(
    settings: ParticipantSettings, openers: Openers, observe: Observer, ask: Ask | None
) -> Iterator[Participant]:
    source = openers.open_source(
        settings.generator, work=settings.work, spending=settings.spending, threads=settings.threads
    )
    with (
        closing(source),
        ConsensusClient(
            settings.server,
            participant_token(settings),
            federation=settings.federation,
            signing_key=_key(settings),
            server_key=_server_key(settings),
        ) as client,
    ):
        require_participant(client.identity())
        _register(client, settings)
        site = open_site(settings, openers, source)
        # Only now: a journal that a wrong token or a faulty file began would refuse the right one.
        with Journal(settings.work / JOURNAL, _owner(settings, client)) as journal:
            yield Participant(
                client, site, journal, work=settings.work, rounds=settings.rounds,
                patience_seconds=settings.patience_seconds, observe=observe, ask=ask,
            )  # fmt: skip


def _key(settings: ParticipantSettings) -> PrivateKey | None:
    return None if settings.signing_key_file is None else kept_key(settings.signing_key_file)


def _server_key(settings: ParticipantSettings) -> str | None:
    """The key that the server must sign with: as set, or the first that was seen, which is kept."""
    if settings.server_key != FIRST:
        return settings.server_key
    kept = settings.work / SERVER_KEY
    if not kept.exists():
        with ConsensusClient(settings.server, participant_token(settings)) as client:
            key = client.server_key()
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept, key + "\n")
    return kept.read_text(encoding="utf-8").strip()


def _register(client: ConsensusClient, settings: ParticipantSettings) -> None:
    """The site's key, where the participant has none yet. Raises ConfigurationError where it has another."""
    key = _key(settings)
    if key is None:
        return
    current = next((each.key for each in client.signing_keys() if each.ended_at is None), None)
    if current is None:
        client.register_key(key)
    elif current != key.public:
        raise ConfigurationError(
            f"{settings.signing_key_file} holds the key {key.public}, and {current} is registered: name the file of that one, or "
            "put another in its place with consensus key register NEW --replaces OLD"
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a round's answers take at most, before any is asked for."""

    prompts: int
    samples: int
    tokens: Tokens
    money: float
    currency: str


@storage_explained()
def estimate_round(settings: ParticipantSettings) -> Estimate:
    """At most; the answers of rounds that are behind, and what the answer cache holds, are not taken off."""
    with (
        recorded(settings),
        ConsensusClient(settings.server, participant_token(settings), federation=settings.federation) as client,
    ):
        prompts = client.prompts()
    sampling = Sampling(**settings.sampling.model_dump())
    jobs = ((prompt, sample) for prompt in prompts for sample in range(sampling.samples))
    tokens, spending = estimate(jobs, sampling), settings.spending
    return Estimate(len(prompts), sampling.samples, tokens, tokens.cost(spending), spending.currency)


def _owner(settings: ParticipantSettings, client: ConsensusClient) -> dict[str, Any]:
    """What has to be the same for a journal to be continued."""
    federation = client.federation()
    private = sha256(settings.private.read_bytes()).hexdigest() if settings.private else None
    same = ("generator", "trainer", "sampling", "mixing", "validation", "seed")
    return {
        "federation": federation.federation,
        "created_at": federation.created_at.isoformat(),
        "prompt_set": federation.prompt_set,
        "participant": client.identity().participant,
        "private": private,
        **{name: value for name, value in settings.model_dump(mode="json", exclude=_STATED).items() if name in same},
    }
