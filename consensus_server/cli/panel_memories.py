"""`consensus-server panel standing` and `panel forget`: what a panel has learned of its upstreams."""

from pathlib import Path
from typing import Annotated

import typer

from client_kit.command_line import CommandFailed, Exit, JsonOption, print_json, print_table, say
from consensus_server.cli.operating import on_server
from consensus_server.core.panel_memory import UpstreamMemory, reliability_among
from consensus_server.panel_settings import PanelsFile, load_panels
from consensus_server.panel_wiring import memory_terms
from consensus_server.service.panel_memory import MemoryTerms
from consensus_server.wiring import Server

PanelArgument = Annotated[str, typer.Argument(help="Name of the panel.", metavar="PANEL")]
PanelsFileOption = Annotated[
    Path | None, typer.Option(help="The panels file; not given: CONSENSUS_PANELS_FILE.", metavar="FILE")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: consensus-server panel standing triage --data-dir /srv/consensus")(on_server(standing))
    app.command(epilog="Example: consensus-server panel forget triage --data-dir /srv/consensus")(on_server(forget))


def standing(
    server: Server, panel: PanelArgument, *, panels_file: PanelsFileOption = None, as_json: JsonOption = False
) -> None:
    """Show how far a panel trusts each upstream, by what it remembers of past questions.

    Reliability, -1 to 1, is that where all upstreams answer. What counts no more is listed: another encoder's memory, and that of
    upstreams which the panels file no longer has, or has with another model.
    """
    terms = _terms(server, panel, panels_file)
    encoder = server.encoder.known_digest()
    rows = [_row(each, terms, encoder) for each in server.store.panel_memories.of(panel)]
    if as_json:
        print_json({"panel": panel, "upstreams": rows})
        return
    columns = ("upstream", "questions", "mean", "reliability", "counts")
    cells = [[_cell(row[name]) for name in columns] for row in rows]
    print_table(("upstream", "questions", "mean z", "reliability", "counts"), cells, empty="Nothing is remembered yet.")


def forget(server: Server, panel: PanelArgument, *, as_json: JsonOption = False) -> None:
    """Delete all that a panel remembers. A server that runs begins anew with its next question."""
    rows = server.store.panel_memories.forget(panel)
    if as_json:
        print_json({"panel": panel, "forgotten": rows})
        return
    say(f"{panel}: forgotten what was remembered of {rows} upstreams." if rows else f"{panel}: nothing was remembered.")


def _terms(server: Server, panel: str, given: Path | None) -> MemoryTerms:
    """How the panel remembers. Raises CommandFailed where it does not."""
    file = given or server.settings.panels_file
    content = PanelsFile() if file is None else load_panels(file)
    if panel not in content.panels:
        known = ", ".join(content.panels) or "none"
        raise CommandFailed(
            f"There is no panel {panel!r} in the panels file; there are: {known}.",
            Exit.USAGE,
            remedy="Name the file with --panels-file or CONSENSUS_PANELS_FILE.",
        )
    terms = memory_terms(content.panels[panel], content)
    if terms is None:
        raise CommandFailed(f"The panel {panel} has no memory: its settings or its rule want none.", Exit.USAGE)
    return terms


def _row(memory: UpstreamMemory, terms: MemoryTerms, encoder: str | None) -> dict[str, object]:
    return {
        "upstream": memory.upstream,
        "questions": memory.questions,
        "mean": round(memory.mean, 3),
        "reliability": round(reliability_among(memory, len(terms.versions)), 3),
        "counts": _counts(memory, terms, encoder),
        "encoder": memory.encoder,
    }


def _counts(memory: UpstreamMemory, terms: MemoryTerms, encoder: str | None) -> str:
    """Whether decisions make use of it, and why not."""
    if memory.upstream not in terms.versions:
        return "no: not in the panel"
    if memory.version != terms.versions[memory.upstream]:
        return "no: asked otherwise then"
    if encoder is not None and memory.encoder != encoder:
        return "no: another encoder"
    return "yes"


def _cell(value: object) -> object:
    return f"{value:.3f}" if isinstance(value, float) else value
