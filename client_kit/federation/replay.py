"""Existing answers through the real service: one participant per model, one whole round, on a server of this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from client_kit import wire
from client_kit.client import ConsensusClient
from client_kit.errors import AlreadyExists, WaitTimeout
from client_kit.federation.replay_file import AnswerFile, wire_names, wire_prompt_ids
from client_kit.federation.server_process import ServerProcess
from client_kit.stages import Stage, quiet
from client_kit.storage import storage_explained
from client_kit.wire.limits import MAX_ANSWER_CHARS

SERVER_FOLDER = "server"
"""Folder of database and log, below the output folder."""

_CHECK_SECONDS = 1.0
"""While a round is aggregated: how often to look whether the server still lives."""

_ROUND_SECONDS = 7 * 86_400.0
"""The round closes when all have sealed; its deadline only has to be far enough."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A round that was played, in the words of the file."""

    federation: str
    models: tuple[str, ...]
    participants: Mapping[str, str]
    """Name on the wire by model."""
    labels: Mapping[str, wire.PseudoLabel]
    """By prompt_id of the file, sorted."""
    card: wire.RoundCard


@storage_explained()
def replay(
    answers: AnswerFile,
    models: Sequence[str],
    folder: Path,
    *,
    policy: wire.ConsensusPolicy,
    encoder: str | None = None,
    observe: Stage = quiet,
) -> Replay:
    """Play one round from a file of answers and return its pseudo-labels and its card.

    models: who takes part; every prompt of the file is asked, answered or not. folder: output folder; its database is
    used again, so that answers embedded before are not embedded again. Every run is a federation of its own
    (`replay-1`, `replay-2`, ...): a federation pins its policy, and a published round never changes.
    encoder: as `consensus-server` names it; None for its default.
    Nothing but prompts and outputs is sent. Raises what `ServerProcess` and `ConsensusClient` raise.
    """
    environment = {} if encoder is None else {"CONSENSUS_ENCODER": encoder}
    observe("Starting the server", 0, 0)
    with (
        ServerProcess(folder / SERVER_FOLDER, environment=environment) as server,
        ConsensusClient(server.url, server.operator_token) as operator,
    ):
        observe("Submitting", 0, len(models))
        prompt_ids = wire_prompt_ids(answers.prompts)
        names = wire_names(models)
        digest = operator.upload_prompt_set(_prompt_set(answers.prompts, prompt_ids)).digest
        federation = _new_federation(operator, digest, policy, len(models))
        with_federation = operator.in_federation(federation)
        tokens = {model: with_federation.add_participant(names[model]).token for model in models}
        number = with_federation.create_round().number
        for done, model in enumerate(models, start=1):
            _submit(server.url, tokens[model], number, answers.outputs[model], prompt_ids)
            observe("Submitting", done, len(models))
        observe("Aggregating", 0, 0)
        labels = _labels(server, with_federation, number, observe)
        return Replay(
            federation=federation,
            models=tuple(models),
            participants=names,
            labels={prompt_id: labels[prompt_ids[prompt_id]] for prompt_id in sorted(answers.prompts)},
            card=with_federation.card(number),
        )


def _prompt_set(prompts: Mapping[str, str], prompt_ids: Mapping[str, str]) -> wire.PromptSetUpload:
    """The file's prompts as a prompt set, named by its digest since the file has no name of its own."""
    rows = [
        wire.Prompt(prompt_id=prompt_ids[prompt_id], prompt=prompt) for prompt_id, prompt in sorted(prompts.items())
    ]
    digest = wire.prompt_set_digest(rows)
    manifest = wire.Manifest(
        name=f"replay-{digest[:16]}",
        version="1",
        digest=digest,
        prompt_count=len(rows),
        description="Prompts of a file of existing answers.",
        licence="LicenseRef-unknown",
        language="und",
        topics={},
    )
    return wire.PromptSetUpload(manifest=manifest, prompts=rows)


def _new_federation(operator: ConsensusClient, prompt_set: str, policy: wire.ConsensusPolicy, quorum: int) -> str:
    """Create the first of `replay-1`, `replay-2`, ... that is free."""
    taken = {federation.federation for federation in operator.federations()}
    for name in (f"replay-{number}" for number in count(1)):
        if name in taken:
            continue
        wanted = wire.FederationCreate(
            federation=name,
            prompt_set=prompt_set,
            policy=policy,
            answers=wire.AnswerPolicy(truncated=wire.TruncatedAnswers.KEEP),  # sent as they stand in the file
            quorum=quorum,
            round_seconds=_ROUND_SECONDS,
            max_answer_chars=MAX_ANSWER_CHARS,
        )
        try:
            return operator.create_federation(wanted).federation
        except AlreadyExists:
            continue  # another replay on this folder was faster
    raise AssertionError("unreachable: the count has no end")


def _submit(url: str, token: str, number: int, outputs: Mapping[str, str], prompt_ids: Mapping[str, str]) -> None:
    given = [wire.Answer(prompt_id=prompt_ids[prompt_id], text=text) for prompt_id, text in sorted(outputs.items())]
    with ConsensusClient(url, token) as participant:
        participant.submit_and_seal(number, given)


def _labels(server: ServerProcess, client: ConsensusClient, number: int, observe: Stage) -> dict[str, wire.PseudoLabel]:
    """Pseudo-labels by prompt id on the wire, once the round is published. A server that ended is told from one at work."""
    while True:
        try:
            client.wait_for(number, wire.RoundState.PUBLISHED, timeout_seconds=_CHECK_SECONDS)
            break
        except WaitTimeout:
            server.check()
            if (at := client.round(number).progress) is not None:
                observe(f"Aggregating: {at.step.value}", at.done, at.total)
    return {label.prompt_id: label for label in client.pseudo_labels(number)}
