"""`consensus erase`: what this participant answered is deleted, on the server, here, or on both."""

from pathlib import Path
from typing import Annotated

import typer

from client_kit.cli.connection import FederationOption, ServerOption, TokenFileOption, connect
from client_kit.command_line import JsonOption, YesOption, print_json, require_yes, say
from client_kit.federation.joining import JOURNAL
from client_kit.federation.journal import exclusively
from client_kit.showing import show_erasure
from client_kit.wiring import ANSWERS

_BESIDE = ("", "-wal", "-shm")
"""Ends of the names of what SQLite keeps."""


def erase(
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    local: Annotated[
        Path | None,
        typer.Option(help="Work folder of consensus join: its journal and kept answers go too.", metavar="FOLDER"),
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete all answers of yours that the server holds, their vectors, your parameters and what you wrote in appeals.

    What you sealed stays provable: counts and digests. Pseudo-labels that only you worded lose their text. Labels and adapters
    that others fetched before, and backups, are out of the server's reach.

    Example: consensus erase --server http://127.0.0.1:8000 --token-file token --local work
    """
    require_yes("Delete all your answers for good?", yes=yes)
    with connect(server, token_file, federation) as client:
        erased = client.erase()
    gone = [] if local is None else forget_local(local)
    if as_json:
        print_json({**erased.model_dump(mode="json"), "local": [str(each) for each in gone]})
        return
    show_erasure(erased)
    if local is not None:
        say(f"Here: {len(gone)} files deleted in {local}." if gone else f"Here: {local} held no answers.")


def forget_local(work: Path) -> list[Path]:
    """Delete journal and kept answers of a work folder; which files went. Raises JournalError while a process works with them."""
    with exclusively(work / JOURNAL):
        files = [work / JOURNAL, *(work / f"{ANSWERS}{end}" for end in _BESIDE)]
        gone = [file for file in files if file.exists()]
        for file in gone:
            file.unlink()
    return gone
