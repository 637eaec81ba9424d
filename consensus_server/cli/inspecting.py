"""`consensus-server round why|map|what-if`: published rounds looked at again."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client_kit import wire
from client_kit.command_line import CommandFailed, Exit, JsonOption, print_json, print_table, say
from client_kit.vocabulary import why_abstained
from consensus_server.cli.federations import NameArgument
from consensus_server.cli.operating import on_server
from consensus_server.cli.policies import checked_policy, fields_set
from consensus_server.core.consensus.records import Policy
from consensus_server.core.labels import ClusterContest
from consensus_server.http_api import translate
from consensus_server.service.access import SERVER_OPERATOR
from consensus_server.wiring import Server

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

RoundArgument = Annotated[int, typer.Argument(help="Number of the published round.", min=1)]
PromptArgument = Annotated[str, typer.Argument(help="Id of the prompt.", metavar="PROMPT")]

_PAGES = {".html", ".htm"}
_OPENING_CHARS = 60


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
    label = found.label
    if label.abstention is None:
        say(label.text or "")
    else:
        say(f"No label: {why_abstained(label.abstention)} ({label.abstention}).")
    say(f"Confidence {label.confidence:.3f} ({label.confidence_method}), support {label.support:.2f}.")
    if label.evidence is not None:
        grade = "" if label.grade is None else f": {label.grade.replace('_', ' ')}"
        say(f"Evidence {label.evidence:.2f}, leads by {label.margin:.2f}, {label.witnesses} sure of it{grade}.")
    clusters = [(i, each.answers, f"{each.votes:.2f}", f"{each.share:.3f}") for i, each in enumerate(label.clusters)]
    print_table(("cluster", "answers", "votes", "share"), clusters, empty="No answer was admitted.")
    if found.contests:
        contests = [
            (each.first, each.second, each.kind, each.words_first, each.words_second) for each in found.contests
        ]
        print_table(("cluster", "and", "differ in", "one says", "the other"), contests, empty="")
    print_table(
        ("participant", "sample", "cluster", "similarity", "", "answer"),
        [_row(each) for each in found.answers],
        empty="",
    )


def _row(fate: wire.AnswerFate) -> tuple[object, ...]:
    similarity = None if fate.similarity is None else f"{fate.similarity:.3f}"
    said = "chosen" if fate.chosen else fate.reason or ""
    return fate.participant, fate.sample, fate.cluster, similarity, said, _opening(fate.text or "")


def _opening(text: str) -> str:
    """The first line that says anything, cut."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= _OPENING_CHARS else f"{line[:_OPENING_CHARS]}..."


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
    if out is not None and out.suffix.lower() not in _PAGES:
        raise CommandFailed(
            f"A map is written as HTML, and {out} does not end in .html.",
            Exit.USAGE,
            remedy=f"For example: --out {out.with_suffix('.html')}" if out.name else "For example: --out map.html",
        )
    use_case = server.use_cases.inspection
    found = translate.to_wire(wire.PoolMap, use_case.map(SERVER_OPERATOR, federation, number, prompt, method=method))
    if out is not None:
        contests = server.use_cases.pseudo_labels.explain(SERVER_OPERATOR, federation, number, prompt).contests
        _write(found, out, "<br>".join([f"{federation}, round {number}, {prompt}", *map(_told, contests)]))
    if as_json:
        print_json(found)
    elif out is not None:
        say(f"The map of {len(found.points)} answers is in {out}.")
    else:
        rows = [
            (each.participant, each.sample, f"{each.x:+.3f}", f"{each.y:+.3f}", each.gate or each.cluster)
            for each in found.points
        ]
        print_table(("participant", "sample", "x", "y", "cluster or gate"), rows, empty="No answer has a vector.")


def _told(contest: ClusterContest) -> str:
    """A line under the title of a page: which clusters contradict one another, and by which words."""
    sides = f"cluster {contest.first}: {contest.words_first!r} / cluster {contest.second}: {contest.words_second!r}"
    return f"<sub>{escape(sides)} ({escape(contest.kind)})</sub>"


def _write(found: wire.PoolMap, out: Path, title: str) -> None:
    try:
        figure = _figure(found, title)
    except ImportError:
        raise CommandFailed(
            "The plot needs an optional extra.",
            Exit.USAGE,
            remedy="pip install 'semantic-consensus[report]', or use --json.",
        ) from None
    try:
        out.write_text(figure.to_html(include_plotlyjs=True, div_id="map"), encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"{out} cannot be written: {error.strerror}.", Exit.FAILED) from None


def _figure(found: wire.PoolMap, title: str) -> "Figure":
    """One trace for each cluster, and one for what was kept out; the chosen answer is a star."""
    from plotly.graph_objects import Figure, Scatter  # noqa: PLC0415 - an extra

    figure = Figure()
    groups = sorted({(each.cluster is None, each.cluster or 0) for each in found.points})
    for out, cluster in groups:
        points = [each for each in found.points if (each.cluster is None, each.cluster or 0) == (out, cluster)]
        figure.add_trace(
            Scatter(
                x=[each.x for each in points],
                y=[each.y for each in points],
                mode="markers+text",
                name="kept out" if out else f"cluster {cluster}",
                text=[each.participant for each in points],
                textposition="top center",
                hovertext=[each.gate or "" for each in points],
                marker={"size": 12, "symbol": ["star" if each.chosen else "x" if out else "circle" for each in points]},
            )
        )
    parts = found.explained or (None, None)
    names = [found.method if part is None else f"{found.method} ({part:.0%} of the variance)" for part in parts]
    figure.update_layout(title=title, xaxis_title=names[0], yaxis_title=names[1], template="plotly_white")
    figure.update_yaxes(scaleanchor="x")
    return figure


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
