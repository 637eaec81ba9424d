"""`consensus-server verify-round`: a bundle checked, and its round decided again."""

import typer

from client_kit.command_line import JsonOption
from client_kit.showing_checks import BundleArgument, ServerKeyOption, show_verified
from client_kit.verifying import DECISION, Check, Contents, Outcome, Verified, verify
from consensus_server.backends.encoders import EncoderError
from consensus_server.backends.neighbours.faiss_flat import FaissNeighbours
from consensus_server.cli.operating import EncoderOption, settings_from
from consensus_server.core.errors import AggregationRefused, ComparisonFailed, EncodingFailed
from consensus_server.core.federations import Federation, Terms
from consensus_server.http_api import translate
from consensus_server.service.recomputing import VectorsOfThisRun, decided_again
from consensus_server.settings import Settings
from consensus_server.wiring import load_configured_encoder


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify-round", epilog="Example: consensus-server verify-round round-3.zip --encoder all-MiniLM-L6-v2")(
        verify_round
    )


def verify_round(
    file: BundleArgument,
    *,
    server_key: ServerKeyOption = None,
    encoder: EncoderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a bundle as `consensus verify-round` does, and decide its round again where it shows every text.

    Uses no database. Ends with exit code 1 where anything that was checked is wrong.
    """
    found = verify(file.read_bytes(), server_key)
    show_verified(found, (_decision(found, settings_from(encoder=encoder)),), as_json=as_json)


def _decision(found: Verified, settings: Settings) -> Check:
    if not found.holds:
        return Check(DECISION, Outcome.NOT_CHECKED, "what is wrong already is not decided again")
    if not {"answers.jsonl", "basis.jsonl", "labels.jsonl"} <= found.opened.members.keys():
        return Check(DECISION, Outcome.NOT_CHECKED, "the bundle does not show every text: an operator's does")
    contents = Contents(found.opened)
    if contents.erased and _is_lacking(found, contents):
        return Check(DECISION, Outcome.NOT_CHECKED, "texts that it was decided from were erased since")
    try:
        encoder = load_configured_encoder(settings, VectorsOfThisRun())
        labels = decided_again(contents, federation_of(contents), encoder, neighbours=FaissNeighbours())
    except (EncoderError, EncodingFailed, AggregationRefused, ComparisonFailed) as error:
        return Check(DECISION, Outcome.NOT_CHECKED, f"this installation cannot decide it: {error}")
    if labels.digest == contents.card.labels:
        return Check(DECISION, Outcome.PASSED, "these texts give these labels, to the byte")
    published = found.opened.lines("labels.jsonl")
    unlike = [each.prompt_id for each, line in zip(labels.records, published, strict=True) if each.line != line]
    return Check(DECISION, Outcome.FAILED, f"these texts give other labels: {', '.join(unlike[:10])}")


def _is_lacking(found: Verified, contents: Contents) -> bool:
    """Whether what was erased is part of what the round was decided from, or of its labels."""
    unmade = {each.name for each in found.checks if each.outcome is Outcome.NOT_CHECKED}
    return bool(contents.erased_here or unmade & {"labels", "basis"})


def federation_of(contents: Contents) -> Federation:
    """The federation of a bundle, as the service has it."""
    told = contents.terms
    agreed = translate.to_core(Terms, told, name=told.federation, policy=translate.policy(told.policy))
    return Federation(id=0, terms=agreed, encoder=told.encoder, created_at=told.created_at)
