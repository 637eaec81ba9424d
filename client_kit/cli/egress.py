"""`consensus egress`: what has left this site, for whoever has to answer for it."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from client_kit.cli.join import participant_settings
from client_kit.command_line import CommandFailed, Exit, JsonOption, print_json, print_table, say
from client_kit.egress.chain import ChainBroken
from client_kit.egress.reading import Contents, first_number, found, read_record, totals, verified
from client_kit.errors import ConfigurationError
from client_kit.federation.joining import egress_file
from client_kit.federation.outgoing import opened

app = typer.Typer(help="What has left this site: requests with their sizes and digests, never a text.")

SETTINGS = Path("participant.yaml")

SettingsOption = Annotated[Path, typer.Option("--settings", help="The site's settings file.")]
RecordOption = Annotated[
    Path | None,
    typer.Option("--record", envvar="CONSENSUS_EGRESS", help="The record; by default the one of the settings."),
]
_SHORTEST = 8
"""Hexadecimal digits that name a digest."""


@app.callback(
    invoke_without_command=True, epilog="Example: consensus egress --settings participant.yaml --round 3 --kind answers"
)
def egress(
    ctx: typer.Context,
    *,
    settings: SettingsOption = SETTINGS,
    record: RecordOption = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="Only from this moment on, in UTC.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    ] = None,
    number: Annotated[int | None, typer.Option("--round", min=1, help="Only for this round.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only of this kind: answers, seal, prompts, read, ...")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what has left this site: sums by kind and round, then each request that carried something.

    Nothing is asked of any server.
    """
    if ctx.invoked_subcommand is not None:
        return
    moment = None if since is None else since.replace(tzinfo=UTC)
    contents = read_record(_record(settings, record)).chosen(moment, number, kind)
    if as_json:
        print_json(_as_json(contents))
        return
    _print_totals(contents)
    _print_requests(contents)


@app.command(epilog="Example: consensus egress show 4f1c09ab --settings participant.yaml")
def show(
    digest: Annotated[
        str, typer.Argument(help="Of a request's body, of a sealed submission or of one answer; its beginning.")
    ],
    *,
    settings: SettingsOption = SETTINGS,
    record: RecordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the answers that a digest stands for, from this site's own files."""
    if len(digest) < _SHORTEST:
        raise ConfigurationError(f"{digest!r} is too short; give {_SHORTEST} digits of the digest or more")
    work, sent = participant_settings(settings).work, read_record(_record(settings, record)).sent
    answers = [
        {"round": number, **answer.model_dump(mode="json", exclude_none=True)}
        for number, some in opened(work, digest.lower(), sent)
        for answer in some
    ]
    if not answers:
        raise CommandFailed(
            f"No answers in {work} have the digest {digest}.", Exit.FAILED,
            remedy="It may be of a request without answers (consensus egress), or a later run wrote other answers there.",
        )  # fmt: skip
    if as_json:
        print_json(answers)
        return
    for answer in answers:
        say(f"round {answer['round']}, prompt {answer['prompt_id']}, sample {answer['sample']}: {answer['text']}")


@app.command(epilog="Example: consensus egress verify --kept 4f1c...")
def verify(
    *,
    settings: SettingsOption = SETTINGS,
    record: RecordOption = None,
    kept: Annotated[
        str | None,
        typer.Option(
            "--kept", help="Digest of a line that you noted before: it must still be there.", metavar="DIGEST"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at every line of the record: the first that does not fit is named, and ends the command with exit code 1.

    Without a digest that was kept elsewhere, nobody can tell whether lines were cut off the end, or all written anew.
    """
    file = _record(settings, record)
    try:
        head = verified(file, kept)
    except ChainBroken as error:
        raise CommandFailed(
            f"The record was changed: {error}", Exit.FAILED, remedy="Compare it with a backup."
        ) from None
    first = first_number(file)
    if as_json:
        print_json({"first": first, "last": head.number, "digest": head.digest})
        return
    if first > 1:
        say(f"Lines 1 to {first - 1} are not here: old files were removed, or the beginning was.")
    say(f"Lines {first} to {head.number} follow one another. Keep the digest of the last one elsewhere: {head.digest}")


def _record(settings: Path, record: Path | None) -> Path:
    """The record's file. Raises ConfigurationError where nothing was recorded."""
    file = record or egress_file(participant_settings(settings))
    if not file.exists():
        raise ConfigurationError(
            f"there is no egress record {file}; nothing was sent with it yet, or it lies elsewhere"
        )
    return file


def _as_json(contents: Contents) -> dict[str, Any]:
    personal = found(contents.screened).items()
    return {
        "totals": [asdict(total) for total in totals(contents.sent)],
        "personal_data": [
            {"round": number, "kind": kind, "action": action, "count": count}
            for (number, kind, action), count in sorted(personal)
        ],
        "requests": [{**asdict(each), "at": each.at.isoformat()} for each in contents.sent],
    }


def _print_totals(contents: Contents) -> None:
    rows = [
        (
            each.kind,
            each.round,
            ", ".join(each.to),
            each.requests,
            each.answers or None,
            each.bytes,
            each.unanswered or None,
        )
        for each in totals(contents.sent)
    ]
    print_table(("Kind", "Round", "To", "Requests", "Answers", "Bytes", "No answer"), rows, empty="Nothing was sent.")
    for (number, kind, action), count in sorted(found(contents.screened).items()):
        say(f"Round {number}: personal data found, {kind}: {count} ({action}).")


def _print_requests(contents: Contents) -> None:
    rows = [
        (
            each.at.strftime("%Y-%m-%dT%H:%M:%S"),
            each.kind,
            each.round,
            each.to,
            each.bytes,
            (each.body or "")[:12],
            each.status,
        )
        for each in contents.sent
        if each.body
    ]
    if rows:
        print_table(("At (UTC)", "Kind", "Round", "To", "Bytes", "Digest", "Status"), rows, empty="")
