"""`consensus-server round reliability|rejections` and `consensus-server appeal`."""

from typing import Annotated

import typer

from client_kit import wire
from client_kit.command_line import JsonOption, print_json, print_table, say
from consensus_server.cli.federations import NameArgument
from consensus_server.cli.operating import on_server
from consensus_server.cli.rounds import NumberArgument, last_published
from consensus_server.http_api import translate
from consensus_server.service.access import SERVER_OPERATOR
from consensus_server.wiring import Server

app = typer.Typer(help="List and decide appeals against gates.", no_args_is_help=True)

_FEW_FAR_ABOVE = (
    "A few participants are far more central than the rest. This is not an alarm: it does not show whether they are better. "
    "Only judged answers can: consensus-server evaluate-labels."
)


def register(rounds: typer.Typer) -> None:
    """Add the commands about one round."""
    rounds.command(epilog="Example: consensus-server round reliability clinics 3 --json")(reliability)
    rounds.command(epilog="Example: consensus-server round rejections clinics 3")(rejections)


@on_server
def reliability(
    server: Server, federation: NameArgument, number: NumberArgument = None, *, as_json: JsonOption = False
) -> None:
    """How far each participant was trusted in a published round, and the reputation with which it began."""
    chosen = last_published(server, federation, number)
    rows = server.use_cases.reliabilities.of_round(SERVER_OPERATOR, federation, chosen)
    items = [translate.to_wire(wire.Reliability, row) for row in rows]
    if as_json:
        print_json(wire.ReliabilityList(items=items))
        return
    _show(items)
    card = server.use_cases.pseudo_labels.card(SERVER_OPERATOR, federation, chosen)
    if card.reliability is not None and card.reliability.few_far_above:
        say(_FEW_FAR_ABOVE)


def _show(items: list[wire.Reliability]) -> None:
    rows = [
        (
            each.participant,
            f"{each.mean:+.2f}" if each.prompts else None,
            each.prompts,
            each.refused,
            "newcomer" if each.newcomer else f"{each.prior_mean:+.2f} ({each.prior_prompts:.0f} prompts)",
            f"{each.reliability:+.2f}",
            f"{each.weight:.2f}" if each.prompts else None,
            "drifted" if each.drifted else "",
        )
        for each in items
    ]
    columns = ("participant", "mean", "prompts", "rejected", "reputation", "reliability", "weight", "")
    print_table(columns, rows, empty="The policy of this round decides each pool by itself and trusts all alike.")


@on_server
def rejections(
    server: Server,
    federation: NameArgument,
    number: NumberArgument = None,
    *,
    participant: Annotated[str | None, typer.Option(help="Only this participant's.")] = None,
    as_json: JsonOption = False,
) -> None:
    """The answers that gates kept out of a published round, and why."""
    chosen = last_published(server, federation, number)
    items: list[wire.Rejection] = []
    cursor: str | None = ""
    while cursor is not None:
        page = server.use_cases.rejections.page(SERVER_OPERATOR, federation, chosen, cursor=cursor)
        items += [translate.rejection(each) for each in page.items]
        cursor = page.next_cursor
    shown = [each for each in items if participant in {None, each.participant}]
    if as_json:
        print_json(wire.RejectionPage(items=shown))
        return
    rows = [(each.prompt_id, each.participant, each.gate, each.reason) for each in shown]
    print_table(("prompt", "participant", "gate", "reason"), rows, empty="No answer was kept out.")


@app.command("list", epilog="Example: consensus-server appeal list clinics")
@on_server
def list_(server: Server, federation: NameArgument, *, as_json: JsonOption = False) -> None:
    """All appeals of a federation, oldest first."""
    items = [translate.to_wire(wire.Appeal, each) for each in server.use_cases.appeals.all(SERVER_OPERATOR, federation)]
    if as_json:
        print_json(wire.AppealList(items=items))
        return
    rows = [
        (each.number, each.round, each.participant, each.gate, each.outcome or "open", each.text, each.note)
        for each in items
    ]
    columns = ("appeal", "round", "participant", "gate", "outcome", "text", "note")
    print_table(columns, rows, empty=f"{federation} has no appeals.")


@app.command(epilog="Example: consensus-server appeal resolve clinics 2 upheld --note 'They are quotations.'")
@on_server
def resolve(
    server: Server,
    federation: NameArgument,
    appeal: Annotated[int, typer.Argument(help="Number of the appeal.", min=1)],
    outcome: Annotated[wire.AppealOutcome, typer.Argument(help="What you decide.")],
    *,
    note: Annotated[str, typer.Option(help="Why; the participant reads it.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Decide an appeal, or decide it anew. Upheld: from the next aggregation on, the gate lets this participant pass."""
    resolved = translate.to_wire(
        wire.Appeal, server.use_cases.appeals.resolve(SERVER_OPERATOR, federation, appeal, outcome, note)
    )
    if as_json:
        print_json(resolved)
    else:
        say(f"Appeal {appeal} of {resolved.participant} against {resolved.gate} is {resolved.outcome}.")
