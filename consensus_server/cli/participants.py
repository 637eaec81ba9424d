"""`consensus-server participant`: who takes part, and with which token."""

from typing import Annotated

import typer
from pydantic import ValidationError

from client_kit import wire
from client_kit.command_line import CommandFailed, Exit, JsonOption, note, print_json, print_table, print_value, say
from consensus_server.cli.federations import NameArgument
from consensus_server.cli.operating import DatabaseOption, DataDirOption, checked_name, operating
from consensus_server.core.pulling import Endpoint
from consensus_server.http_api import translate
from consensus_server.service.access import SERVER_OPERATOR
from consensus_server.service.participants import IssuedToken

app = typer.Typer(help="Add participants and issue their tokens.", no_args_is_help=True)

_ASKED = wire.Endpoint(upstream="example")
"""Shows the defaults of the wire in the help."""

ParticipantArgument = Annotated[str, typer.Argument(help="Name of the participant.", metavar="PARTICIPANT")]


@app.command(epilog="Example: consensus-server participant add clinics anna > anna.token")
def add(
    federation: NameArgument,
    participant: ParticipantArgument,
    *,
    role: Annotated[wire.Role, typer.Option(help="What its token allows.")] = wire.Role.PARTICIPANT,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a participant. Its token goes to standard output, this once."""
    with operating(data_dir, database_url) as server:
        checked_name(participant)
        issued = server.use_cases.participants.add(SERVER_OPERATOR, federation, participant, role)
        _print_token(issued, as_json=as_json)


@app.command(epilog="Example: consensus-server participant token clinics anna > anna.token")
def token(
    federation: NameArgument,
    participant: ParticipantArgument,
    *,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Issue a new token on standard output; the old one ends at once."""
    with operating(data_dir, database_url) as server:
        issued = server.use_cases.participants.renew_token(SERVER_OPERATOR, federation, participant)
        _print_token(issued, as_json=as_json)


def _print_token(issued: IssuedToken, *, as_json: bool) -> None:
    participant = translate.participant(issued.participant)
    if as_json:
        print_json(wire.ParticipantToken(participant=participant, token=issued.token))
        return
    note(f"Token of {participant.participant} ({participant.role}); it cannot be shown again:")
    print_value(issued.token)


@app.command(epilog="Example: consensus-server participant pull clinics anna --upstream llama --max-tokens 512")
def pull(
    federation: NameArgument,
    participant: ParticipantArgument,
    *,
    upstream: Annotated[str, typer.Option(help="Upstream of the panels file that answers for it.", metavar="NAME")],
    temperature: Annotated[float, typer.Option(help="0 to 2; 0 is greedy.")] = _ASKED.temperature,
    max_tokens: Annotated[int, typer.Option(help="Longest answer.", metavar="N")] = _ASKED.max_tokens,
    samples: Annotated[int, typer.Option(help="Answers per prompt.", metavar="N")] = _ASKED.samples,
    seed: Annotated[int, typer.Option(help="Seed of the answers.", metavar="N")] = _ASKED.seed,
    concurrency: Annotated[int, typer.Option(help="Most requests at the same time.", metavar="N")] = _ASKED.concurrency,
    attempts: Annotated[
        int, typer.Option(help="Attempts before an answer is given up.", metavar="N")
    ] = _ASKED.attempts,
    tokens_per_round: Annotated[
        int | None, typer.Option(help="Tokens after which no new request begins in a round.", metavar="N")
    ] = None,
    training_rights: Annotated[
        bool, typer.Option("--training-rights", help="I state that others may train on this model's answers.")
    ] = False,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the server itself ask a participant's model for the prompts of every round (docs/pull-mode.md)."""
    with operating(data_dir, database_url) as server:
        endpoint = _endpoint(
            upstream=upstream, temperature=temperature, max_tokens=max_tokens, samples=samples, seed=seed,
            concurrency=concurrency, attempts=attempts, tokens_per_round=tokens_per_round,
            training_rights=training_rights,
        )  # fmt: skip
        asked = translate.to_core(Endpoint, endpoint)
        server.use_cases.endpoints.set(SERVER_OPERATOR, federation, participant, asked)
        if as_json:
            print_json(endpoint)
        else:
            say(f"The server asks {participant} of {federation} through {upstream} from now on.")


def _endpoint(**fields: object) -> wire.Endpoint:
    try:
        return wire.Endpoint.model_validate(fields)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        option = f"--{'-'.join(str(fault['loc'][0]).split('_'))}"
        raise CommandFailed(f"{option}: {fault['msg']}", Exit.USAGE) from None


@app.command(epilog="Example: consensus-server participant push clinics anna")
def push(
    federation: NameArgument,
    participant: ParticipantArgument,
    *,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a participant no more: it submits by itself."""
    with operating(data_dir, database_url) as server:
        server.use_cases.endpoints.remove(SERVER_OPERATOR, federation, participant)
        if as_json:
            print_json({"participant": participant, "endpoint": None})
        else:
            say(f"{participant} of {federation} submits by itself.")


@app.command("list", epilog="Example: consensus-server participant list clinics")
def list_(
    federation: NameArgument,
    *,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """All participants of a federation."""
    with operating(data_dir, database_url) as server:
        found = server.use_cases.participants.all(SERVER_OPERATOR, federation)
        items = [translate.participant(each) for each in found]
        if as_json:
            print_json(wire.ParticipantList(items=items))
            return
        rows = [(each.participant, each.role, "yes" if each.active else "no", each.created_at) for each in items]
        print_table(("participant", "role", "active", "added"), rows, empty=f"{federation} has no participants.")


@app.command(epilog="Example: consensus-server participant deactivate clinics anna")
def deactivate(
    federation: NameArgument,
    participant: ParticipantArgument,
    *,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a participant take part no longer: its token is refused, and no round waits for it."""
    _set_active(federation, participant, data_dir, database_url, active=False, as_json=as_json)


@app.command(epilog="Example: consensus-server participant activate clinics anna")
def activate(
    federation: NameArgument,
    participant: ParticipantArgument,
    *,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a participant take part again."""
    _set_active(federation, participant, data_dir, database_url, active=True, as_json=as_json)


def _set_active(
    federation: str,
    participant: str,
    data_dir: DataDirOption,
    database_url: DatabaseOption,
    *,
    active: bool,
    as_json: bool,
) -> None:
    with operating(data_dir, database_url) as server:
        changed = server.use_cases.participants.set_active(SERVER_OPERATOR, federation, participant, active=active)
        if as_json:
            print_json(translate.participant(changed))
        else:
            say(f"{participant} is {'active' if active else 'not active'} in {federation}.")
