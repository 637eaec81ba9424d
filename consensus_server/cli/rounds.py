"""`consensus-server round`: opened, closed, looked at."""

import time
from typing import Annotated

import typer

from client_kit import wire
from client_kit.command_line import CommandFailed, Exit, JsonOption, errors, note, print_json, print_table, say
from client_kit.showing import round_lines, seen, show_round, show_rounds
from client_kit.stages import show_progress, shown
from client_kit.vocabulary import RoundState
from consensus_server.cli.federations import NameArgument
from consensus_server.cli.operating import on_server
from consensus_server.core.errors import UnknownRound
from consensus_server.core.rounds import Round
from consensus_server.http_api import translate
from consensus_server.service.access import SERVER_OPERATOR
from consensus_server.wiring import Server

app = typer.Typer(help="Open, close and look at rounds.", no_args_is_help=True)

_OVER = frozenset({RoundState.PUBLISHED, RoundState.FAILED})
_LOOK_SECONDS = 1.0
"""Between two looks at a round that is watched."""

NumberArgument = Annotated[int | None, typer.Argument(help="Number of the round; by default the last.", min=1)]


@app.command("open", epilog="Example: consensus-server round open clinics --round-seconds 3600")
@on_server
def open_(
    server: Server,
    federation: NameArgument,
    number: NumberArgument = None,
    *,
    draft: Annotated[bool, typer.Option("--draft", help="Create the next round, but do not open it yet.")] = False,
    round_seconds: Annotated[
        float | None, typer.Option(help="Time to the deadline, in place of the federation's.", min=0.001)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Open the next round, or the draft with this number."""
    _print_round(_open(server, federation, number, draft=draft, round_seconds=round_seconds), as_json=as_json)


def _open(server: Server, federation: str, number: int | None, *, draft: bool, round_seconds: float | None) -> Round:
    if number is None:
        return server.use_cases.rounds.create(
            SERVER_OPERATOR, federation, open_now=not draft, round_seconds=round_seconds
        )
    if draft or round_seconds is not None:
        raise CommandFailed(
            "A draft keeps the duration that it was created with.",
            Exit.USAGE,
            remedy="Leave out --draft and --round-seconds.",
        )
    return server.use_cases.rounds.open(SERVER_OPERATOR, federation, number)


@app.command(epilog="Example: consensus-server round close clinics 1")
@on_server
def close(
    server: Server, federation: NameArgument, number: NumberArgument = None, *, as_json: JsonOption = False
) -> None:
    """Close a round before its deadline, or a failed one again, so that it is aggregated."""
    last = _last(server, federation, number)
    _print_round(server.use_cases.rounds.close(SERVER_OPERATOR, federation, last), as_json=as_json)


@app.command(epilog="Example: consensus-server round status clinics 1 --watch")
@on_server
def status(
    server: Server,
    federation: NameArgument,
    number: NumberArgument = None,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show every change until the round, by default the last, is over.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """The state of one round, or of all where no number is given.

    With --watch it ends when the round is published, or has failed: then with exit code 1.
    """
    if watch:
        _watch(server, federation, _last(server, federation, number), as_json=as_json)
        return
    if number is not None:
        found_one = server.use_cases.rounds.get(SERVER_OPERATOR, federation, number)
        _print_round(found_one, as_json=as_json)
        if found_one.state is RoundState.OPEN and not as_json:
            _say_awaited(server, federation, number)
        return
    found = [translate.to_wire(wire.Round, each) for each in server.use_cases.rounds.all(SERVER_OPERATOR, federation)]
    if as_json:
        print_json(wire.RoundList(items=found))
        return
    show_rounds(found, federation)


def _say_awaited(server: Server, federation: str, number: int) -> None:
    """Who has not sealed yet, and whether it is there."""
    now = server.clock.now()
    awaited = server.use_cases.participants.awaited(SERVER_OPERATOR, federation, number)
    if awaited:
        say(f"Awaited: {', '.join(f'{each.name} ({seen(each.seen_at, now)})' for each in awaited)}.")


def _watch(server: Server, federation: str, number: int, *, as_json: bool) -> None:
    """A bar on a terminal, else a line for each change; at last the round as it is, alone in JSON."""
    told = list[str]()
    with shown(hidden=as_json or not errors.is_terminal) as observe:
        while (record := server.use_cases.rounds.get(SERVER_OPERATOR, federation, number)).state not in _OVER:
            found = translate.to_wire(wire.Round, record)
            show_progress(observe, found)
            if (lines := round_lines(found)) != told and not (as_json or errors.is_terminal):
                note(" ".join(lines))
            told = lines
            time.sleep(_LOOK_SECONDS)
    _print_round(record, as_json=as_json)
    if record.state is RoundState.FAILED:
        raise typer.Exit(Exit.FAILED)


@app.command(epilog="Example: consensus-server round pulls clinics 1")
@on_server
def pulls(
    server: Server, federation: NameArgument, number: NumberArgument = None, *, as_json: JsonOption = False
) -> None:
    """How far the server is with the participants that it asks itself, and why answers are missing."""
    last = _last(server, federation, number)
    found = server.use_cases.endpoints.pulls(SERVER_OPERATOR, federation, last)
    items = [translate.to_wire(wire.PullStatus, each) for each in found]
    if as_json:
        print_json(wire.PullList(items=items))
        return
    rows = [
        (each.participant, each.upstream, each.state, each.answered, each.given_up, each.tokens, each.reason)
        for each in items
    ]
    columns = ("participant", "upstream", "state", "answered", "given up", "tokens", "reason")
    print_table(columns, rows, empty=f"The server asks nobody in round {last} of {federation}.")


def _last(server: Server, federation: str, number: int | None) -> int:
    """The number, or that of the last round where none is given."""
    if number is not None:
        return number
    found = server.use_cases.rounds.all(SERVER_OPERATOR, federation)
    if not found:
        raise UnknownRound(f"Federation {federation} has no rounds yet.")
    return found[-1].number


def last_published(server: Server, federation: str, number: int | None) -> int:
    """The number, or that of the last published round where none is given."""
    if number is not None:
        return number
    found = server.use_cases.rounds.all(SERVER_OPERATOR, federation)
    published = [each.number for each in found if each.state is RoundState.PUBLISHED]
    if not published:
        raise UnknownRound(f"Federation {federation} has no published round yet.")
    return published[-1]


def _print_round(record: Round, *, as_json: bool) -> None:
    found = translate.to_wire(wire.Round, record)
    if as_json:
        print_json(found)
        return
    show_round(found)
