"""`consensus-server participant`: who takes part, and with which token."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from client_kit import wire
from client_kit.command_line import (
    CommandFailed,
    Exit,
    JsonOption,
    YesOption,
    print_json,
    print_table,
    require_yes,
    say,
)
from client_kit.showing import seen, show_erasure
from client_kit.token_files import Place, place_for, require_new
from consensus_server.cli.certificate_files import fingerprint_of
from consensus_server.cli.federations import NameArgument
from consensus_server.cli.operating import checked_name, on_server
from consensus_server.cli.tokens import (
    GraceOption,
    KeepOption,
    LifetimeOption,
    ScopeOption,
    TokenFileOption,
    TokenIdArgument,
    hand_out,
    revocation,
    say_revoked,
    show_tokens,
    token_wish,
)
from consensus_server.core.errors import AlreadyExists
from consensus_server.core.pulling import Endpoint
from consensus_server.http_api import translate
from consensus_server.service.access import SERVER_OPERATOR
from consensus_server.service.participants import IssuedToken
from consensus_server.wiring import Server

app = typer.Typer(help="Add participants and issue their tokens.", no_args_is_help=True)

_ASKED = wire.Endpoint(upstream="example")
"""Shows the defaults of the wire in the help."""

ParticipantArgument = Annotated[str, typer.Argument(help="Name of the participant.", metavar="PARTICIPANT")]


@app.command(epilog="Example: consensus-server participant add clinics anna --token-file anna.token")
@on_server
def add(
    server: Server,
    federation: NameArgument,
    participant: ParticipantArgument,
    *,
    role: Annotated[wire.Role, typer.Option(help="What its token allows.")] = wire.Role.PARTICIPANT,
    scope: ScopeOption = None,
    lifetime_days: LifetimeOption = None,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a participant. Its token goes to standard output or into a new file, this once."""
    checked_name(participant)
    require_new(token_file, "For a new token of a participant that is there: consensus-server participant token")
    try:
        with place_for(token_file) as place:
            wish = token_wish(scope, lifetime_days)
            issued = server.use_cases.participants.add(SERVER_OPERATOR, federation, participant, role, wish)
            _hand_out(issued, place, as_json=as_json)
    except AlreadyExists as error:
        raise CommandFailed(
            error.detail,
            Exit.FAILED,
            problem=error.code,
            remedy="Its token cannot be shown again. A new one, which ends the old: "
            f"consensus-server participant token {federation} {participant} --token-file {participant}.token",
        ) from error


@app.command(epilog="Example: consensus-server participant token clinics anna --token-file anna.token")
@on_server
def token(
    server: Server,
    federation: NameArgument,
    participant: ParticipantArgument,
    *,
    scope: ScopeOption = None,
    lifetime_days: LifetimeOption = None,
    grace_hours: GraceOption = 0.0,
    keep: KeepOption = False,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Issue a new token, on standard output or in place of a file's content; the old ones end at once, or after a grace."""
    wish = token_wish(scope, lifetime_days, grace_hours, keep=keep)
    with place_for(token_file) as place:
        issued = server.use_cases.participants.renew_token(SERVER_OPERATOR, federation, participant, wish)
        _hand_out(issued, place, as_json=as_json)


@app.command(epilog="Example: consensus-server participant tokens clinics anna")
@on_server
def tokens(
    server: Server, federation: NameArgument, participant: ParticipantArgument, *, as_json: JsonOption = False
) -> None:
    """The tokens of a participant: what each is for, until when, and when it was last used."""
    show_tokens(server.use_cases.participants.tokens(SERVER_OPERATOR, federation, participant), as_json=as_json)


@app.command(epilog="Example: consensus-server participant revoke clinics anna 3f1c0a52b7de")
@on_server
def revoke(
    server: Server,
    federation: NameArgument,
    participant: ParticipantArgument,
    token_id: TokenIdArgument,
    *,
    grace_hours: GraceOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """End one token, at once or after a grace."""
    server.use_cases.participants.revoke_token(
        SERVER_OPERATOR, federation, participant, revocation(token_id, grace_hours)
    )
    say_revoked(token_id, grace_hours, as_json=as_json)


@app.command(epilog="Example: consensus-server participant bind clinics anna anna.pem")
@on_server
def bind(
    server: Server,
    federation: NameArgument,
    participant: ParticipantArgument,
    certificates: Annotated[
        list[Path] | None,
        typer.Argument(help="Its client certificates, in PEM; none: it needs none any more.", metavar="FILE..."),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Let a participant call with these client certificates only, in place of those before.

    While it renews one, bind it to the old and the new one.
    """
    shown = [fingerprint_of(each) for each in certificates or ()]
    bound = server.use_cases.participants.bind(SERVER_OPERATOR, federation, participant, shown)
    if as_json:
        print_json(translate.participant(bound))
    else:
        count = len(bound.certificates)
        which = f"{count} certificate{'s' * (count > 1)} only" if count else "any certificate, or none"
        say(f"{participant} of {federation} calls with {which}.")


@app.command("end-key", epilog="Example: consensus-server participant end-key clinics anna")
@on_server
def end_key(
    server: Server, federation: NameArgument, participant: ParticipantArgument, *, as_json: JsonOption = False
) -> None:
    """Let a participant's signing key sign no more, as where it was lost; the participant registers another.

    What it signed before stays as it is. Ask the participant by another way than this server whether it wants that.
    """
    server.use_cases.signing_keys.end(SERVER_OPERATOR, federation, participant)
    if as_json:
        print_json({"participant": participant, "signing_key": None})
    else:
        say(f"{participant} of {federation} has no signing key until it registers one: consensus key register FILE")


@app.command(epilog="Example: consensus-server participant pull clinics anna --upstream llama --max-tokens 512")
@on_server
def pull(
    server: Server,
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
    as_json: JsonOption = False,
) -> None:
    """Let the server itself ask a participant's model for the prompts of every round (docs/pull-mode.md)."""
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
@on_server
def push(
    server: Server, federation: NameArgument, participant: ParticipantArgument, *, as_json: JsonOption = False
) -> None:
    """Ask a participant no more: it submits by itself."""
    server.use_cases.endpoints.remove(SERVER_OPERATOR, federation, participant)
    if as_json:
        print_json({"participant": participant, "endpoint": None})
    else:
        say(f"{participant} of {federation} submits by itself.")


@app.command("list", epilog="Example: consensus-server participant list clinics")
@on_server
def list_(server: Server, federation: NameArgument, *, as_json: JsonOption = False) -> None:
    """All participants of a federation."""
    found = server.use_cases.participants.all(SERVER_OPERATOR, federation)
    keys = server.use_cases.signing_keys.current(SERVER_OPERATOR, federation)
    items = [translate.participant(each, keys.get(each.name)) for each in found]
    if as_json:
        print_json(wire.ParticipantList(items=items))
        return
    now = server.clock.now()
    rows = [
        (
            each.participant,
            each.role,
            "yes" if each.active else "no",
            seen(each.seen_at, now),
            len(each.certificates) or "any",
            each.signing_key,
            each.created_at,
        )
        for each in items
    ]
    columns = ("participant", "role", "active", "heard of", "certificates", "signing key", "added")
    print_table(columns, rows, empty=f"{federation} has no participants.")


@app.command(epilog="Example: consensus-server participant deactivate clinics anna")
@on_server
def deactivate(
    server: Server, federation: NameArgument, participant: ParticipantArgument, *, as_json: JsonOption = False
) -> None:
    """Let a participant take part no longer: its token is refused, and no round waits for it."""
    _set_active(server, federation, participant, active=False, as_json=as_json)


@app.command(epilog="Example: consensus-server participant activate clinics anna")
@on_server
def activate(
    server: Server, federation: NameArgument, participant: ParticipantArgument, *, as_json: JsonOption = False
) -> None:
    """Let a participant take part again."""
    _set_active(server, federation, participant, active=True, as_json=as_json)


@app.command(epilog="Example: consensus-server participant erase clinics anna --yes")
@on_server
def erase(
    server: Server,
    federation: NameArgument,
    participant: ParticipantArgument,
    *,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete all answers of a participant, and what tells them; seals, counts and digests stay (docs/security-and-privacy.md)."""
    require_yes(f"Delete all answers of {participant} for good?", yes=yes)
    found = server.use_cases.erasures.erase(SERVER_OPERATOR, federation, participant)
    erased = translate.erasure(participant, found)
    if as_json:
        print_json(erased)
    else:
        show_erasure(erased)


def _hand_out(issued: IssuedToken, place: Place | None, *, as_json: bool) -> None:
    holder = issued.participant
    shown = translate.participant_token(issued)
    hand_out("participant", holder.name, shown, place, role=holder.role, as_json=as_json)


def _set_active(server: Server, federation: str, participant: str, *, active: bool, as_json: bool) -> None:
    changed = server.use_cases.participants.set_active(SERVER_OPERATOR, federation, participant, active=active)
    if as_json:
        print_json(translate.participant(changed))
    else:
        say(f"{participant} is {'active' if active else 'not active'} in {federation}.")
