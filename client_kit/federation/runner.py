"""A whole federation on one machine: a server, and every participant as a process of its own."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from client_kit.client import ConsensusClient
from client_kit.errors import ConfigurationError, RoundFailed, UnknownFederation, UnknownRound, WaitTimeout
from client_kit.federation.beforehand import check_policy, check_site
from client_kit.federation.configuration import FederationSettings, NamedSite, operator_token
from client_kit.federation.processes import Processes
from client_kit.federation.progress import Observer, Progress, Step, ignore
from client_kit.federation.server_process import ServerProcess
from client_kit.prompts import PromptSet, load_prompt_set
from client_kit.settings import ParticipantSettings, SlotSettings
from client_kit.storage import storage_explained, write_secret
from client_kit.wire import Federation, FederationCreate, RoundCard, RoundState, Traffic

SERVER_FOLDER = "server"
"""Data folder of the server that runs here, below the work folder."""
_POLL_SECONDS = 1.0
_SERVER = "(server)"
"""Who aggregates, beside the participants; none has such a name."""
_KIT = "from client_kit.cli import main; main()"
"""The console script `consensus`."""


@dataclass(frozen=True, slots=True)
class FederationOutcome:
    """What a federation on this machine came to."""

    federation: Federation
    cards: dict[int, RoundCard]
    """By round; failed rounds have none."""
    failures: dict[int, str]
    """Why a round failed, by its number."""
    traffic: dict[int, list[Traffic]]
    """Bytes on the wire by round, when all was over."""
    work: dict[str, Path]
    """Work folder by participant."""
    seconds: float


@storage_explained()
def run_federation(settings: FederationSettings, observe: Observer = ignore) -> FederationOutcome:
    """Run all rounds and the training after the last. A second run on the same work folder goes on where one ended.

    Raises ConsensusError; whatever happens, no process is left behind.
    """
    began = time.monotonic()
    prompt_set = load_prompt_set(settings.prompt_set)
    _check(settings)
    with _server(settings) as (url, token), ConsensusClient(url, token, federation=settings.federation) as client:
        federation = _establish(client, settings, prompt_set)
        files = {site.participant: _prepare(client, settings, site, url) for site in settings.participants}
        with Processes(observe) as processes:
            for name, file in files.items():
                processes.start(name, _KIT, "join", str(file), "--json", log=file.with_name("participant.log"))
            cards, failures = _run_rounds(client, processes, settings.rounds, observe)
            processes.wait()
        traffic = {number: client.traffic(number) for number in range(1, settings.rounds + 1)}
    work = {name: file.parent for name, file in files.items()}
    return FederationOutcome(federation, cards, failures, traffic, work, time.monotonic() - began)


def _check(settings: FederationSettings) -> None:
    """Before anything is started. A server of somebody else's may know other rules. Raises ConfigurationError and UnknownRule."""
    for site in settings.participants:
        check_site(site)
    if settings.server is None:
        check_policy(settings.policy)


@contextmanager
def _server(settings: FederationSettings) -> Iterator[tuple[str, str]]:
    """Address and operator's token of the server: the given one, or one that runs meanwhile."""
    if settings.server is not None:
        yield settings.server.url, operator_token(settings.server)
        return
    environment = {} if settings.encoder is None else {"CONSENSUS_ENCODER": settings.encoder}
    with ServerProcess(settings.work / SERVER_FOLDER, environment=environment) as server:
        yield server.url, server.operator_token


def _establish(client: ConsensusClient, settings: FederationSettings, prompt_set: PromptSet) -> Federation:
    """The federation, created now unless an earlier run did. Raises ConfigurationError where that one differs."""
    wanted = FederationCreate(
        federation=settings.federation, prompt_set=prompt_set.manifest.digest, policy=settings.policy,
        answers=settings.answers, quorum=settings.quorum, round_seconds=settings.round_seconds,
        requires_training_rights=settings.requires_training_rights,
        samples_per_prompt=max(site.sampling.samples for site in settings.participants),
    )  # fmt: skip
    try:
        held = client.federation()
    except UnknownFederation:
        client.upload_prompt_set(prompt_set.upload())
        return client.create_federation(wanted)
    differing = [
        name
        for name, value in wanted.model_dump(exclude={"policy", "answers"}).items()
        if held.model_dump()[name] != value
    ]
    differing += [] if settings.policy.is_kept_by(held.policy) else ["policy"]
    differing += [] if settings.answers.is_kept_by(held.answers) else ["answers"]
    if differing:
        raise ConfigurationError(
            f"the server holds a federation {held.federation} with other settings ({', '.join(differing)}); "
            "choose another name or another work folder"
        )
    return held


def _prepare(client: ConsensusClient, settings: FederationSettings, site: NamedSite, url: str) -> Path:
    """The participant's settings file and token, in its work folder; it is added to the federation if it is new."""
    work = settings.work / "participants" / site.participant
    work.mkdir(parents=True, exist_ok=True)
    _keep_token(client, site.participant, work / "token")
    slots = SlotSettings(folder=settings.work / "slots", count=settings.compute_slots or os.cpu_count() or 1)
    chosen = ParticipantSettings(
        **site.model_dump(exclude={"participant"}), server=url, federation=settings.federation,
        token_file=work / "token", work=work, rounds=settings.rounds, slots=slots,
    )  # fmt: skip
    file = work / "participant.yaml"
    file.write_text(
        yaml.safe_dump(chosen.model_dump(mode="json"), sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    return file


def _keep_token(client: ConsensusClient, participant: str, file: Path) -> None:
    """The participant's token in a file that only this user reads."""
    known = {held.participant for held in client.participants()}
    if participant in known and file.exists():
        return
    issued = client.new_token(participant) if participant in known else client.add_participant(participant)
    file.unlink(missing_ok=True)
    write_secret(file, issued.token)


def _run_rounds(
    client: ConsensusClient, processes: Processes, rounds: int, observe: Observer
) -> tuple[dict[int, RoundCard], dict[int, str]]:
    """Open one round after the other, once the last is over. A failed round ends neither the run nor the next ones."""
    cards: dict[int, RoundCard] = {}
    failures: dict[int, str] = {}
    for number in range(1, rounds + 1):
        _ensure_open(client, number)
        try:
            _wait_published(client, processes, number, observe)
            cards[number] = client.card(number)
            counts = cards[number].counts
            observe(Progress(_SERVER, Step.LABELLED, number, counts.labels, counts.prompts))
        except RoundFailed as error:
            failures[number] = error.detail
    return cards, failures


def _ensure_open(client: ConsensusClient, number: int) -> None:
    try:
        found = client.round(number)
    except UnknownRound:
        client.create_round()
        return
    if found.state is RoundState.DRAFT:
        client.open_round(number)


def _wait_published(client: ConsensusClient, processes: Processes, number: int, observe: Observer) -> None:
    while True:
        processes.check()
        try:
            client.wait_for(number, RoundState.PUBLISHED, _POLL_SECONDS)
        except WaitTimeout:
            if (at := client.round(number).progress) is not None:
                observe(Progress(_SERVER, Step.AGGREGATING, number, at.done, at.total, at.step.value))
            continue
        return
