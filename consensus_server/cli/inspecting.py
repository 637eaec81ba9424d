"""`consensus-server round why|map|what-if`: published rounds looked at again."""

from pathlib import Path
from typing import Annotated

import typer

from client_kit import wire
from client_kit.command_line import JsonOption, print_json, print_table, say
from client_kit.showing import require_page, show_map, show_why, write_map
from consensus_server.cli.federations import NameArgument
from consensus_server.cli.operating import on_server
from consensus_server.cli.policies import checked_policy, fields_set
from consensus_server.core.consensus.records import Policy
from consensus_server.http_api import translate
from consensus_server.service.access import SERVER_OPERATOR
from consensus_server.wiring import Server

RoundArgument = Annotated[int, typer.Argument(help="Number of the published round.", min=1)]
PromptArgument = Annotated[str, typer.Argument(help="Id of the prompt.", metavar="PROMPT")]


def register(rounds: typer.Typer) -> None:
    """Add the commands about one round."""
    rounds.command(epilog="Example: consensus-server round why clinics 1 general-0001")(why)
    rounds.command("map", epilog="Example: consensus-server round map clinics 1 general-0001 --out map.html")(map_)
    rounds.command(
        "what-if", epilog="Example: consensus-server round what-if clinics 1 --set rule=medoid --set guards=false"
    )(what_if)


@on_server
def why(
    server: Server,
    federation: NameArgument,
    number: RoundArgument,
    prompt: PromptArgument,
    *,
    as_json: JsonOption = False,
) -> None:
    """Why a prompt has its pseudo-label: its clusters, where each answer stands, and why answers were kept out."""
    found = translate.explanation(server.use_cases.pseudo_labels.explain(SERVER_OPERATOR, federation, number, prompt))
    if as_json:
        print_json(found)
        return
    show_why(found)


@on_server
def map_(
    server: Server,
    federation: NameArgument,
    number: RoundArgument,
    prompt: PromptArgument,
    *,
    method: Annotated[str, typer.Option(help="pca, or umap where that extra is installed.")] = "pca",
    out: Annotated[Path | None, typer.Option(help="HTML file to write; needs the extra `report`.")] = None,
    as_json: JsonOption = False,
) -> None:
    """The answers to a prompt in two dimensions, as a table, JSON or a plot."""
    require_page(out)
    use_case = server.use_cases.inspection
    found = translate.to_wire(wire.PoolMap, use_case.map(SERVER_OPERATOR, federation, number, prompt, method=method))
    if out is not None:
        record = server.use_cases.pseudo_labels.explain(SERVER_OPERATOR, federation, number, prompt)
        write_map(found, out, f"{federation}, round {number}, {prompt}", translate.explanation(record).contests)
    if as_json:
        print_json(found)
    elif out is None:
        show_map(found)
    else:
        say(f"The map of {len(found.points)} answers is in {out}.")


@on_server
def what_if(
    server: Server,
    federation: NameArgument,
    number: RoundArgument,
    *,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Field of the policy and its value; repeat for each. A calibration is a FILE, or null: none.",
            metavar="FIELD=VALUE",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """A published round as another policy would have decided it. Nothing is changed."""
    policy = _changed(server, federation, changes or [])
    answer = server.use_cases.inspection.what_if(SERVER_OPERATOR, federation, number, policy)
    found = translate.to_wire(wire.WhatIf, answer)
    if as_json:
        print_json(found)
        return
    say(
        f"{found.changed} of {found.prompts} prompts would change: {found.gained} gain a label, {found.lost} lose theirs, "
        f"{found.changed - found.gained - found.lost} get another; {found.rescored} keep it with other figures."
    )
    say(f"Coverage {found.labels_before / found.prompts:.3f} -> {found.labels_after / found.prompts:.3f}.")
    rows = [(each.before.prompt_id, _outcome(each.before), _outcome(each.after)) for each in found.changes]
    print_table(("prompt", "as published", "under this policy"), rows, empty="The labels are the same.")


def _outcome(label: wire.PseudoLabel) -> str:
    return label.text if label.text is not None else f"({label.abstention})"


def _changed(server: Server, federation: str, changes: list[str]) -> Policy:
    """The federation's policy with some fields changed. Raises CommandFailed."""
    current = server.use_cases.federations.get(SERVER_OPERATOR, federation).terms.policy
    fields = translate.to_wire(wire.ConsensusPolicy, current).model_dump()
    return translate.policy(checked_policy(fields | fields_set(changes)))
