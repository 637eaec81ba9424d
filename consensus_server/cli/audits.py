"""`consensus-server audit`: who did what, for whoever has to check it."""

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from client_kit.command_line import CommandFailed, Exit, JsonOption, print_json, say
from client_kit.storage import for_its_owner
from consensus_server.cli.operating import DatabaseOption, DataDirOption, on_server, operating
from consensus_server.core.audit import ChainBroken, Head, followed
from consensus_server.service import audit
from consensus_server.wiring import Server

app = typer.Typer(help="Export and verify the record of who did what.", no_args_is_help=True)

KeptOption = Annotated[
    str | None,
    typer.Option("--kept", help="Digest of a line that you noted before: it must still be there.", metavar="DIGEST"),
]


@app.command(epilog="Example: consensus-server audit export --out audit.jsonl")
@on_server
def export(
    server: Server,
    *,
    out: Annotated[
        Path | None, typer.Option(help="New file, which only you can read; by default standard output.", metavar="FILE")
    ] = None,
    as_json: JsonOption = False,  # noqa: ARG001 - lines of JSON in any case
) -> None:
    """Write the record as lines of JSON, from the first act to the last."""
    with server.store.reading() as tx:
        if out is None:
            sys.stdout.writelines(line + "\n" for line in tx.audit.lines())
            return
        with open(out, "x", encoding="utf-8", opener=for_its_owner) as stream:
            stream.writelines(line + "\n" for line in tx.audit.lines())


@app.command(epilog="Example: consensus-server audit verify audit.jsonl --kept 4f1c...")
def verify(
    file: Annotated[
        Path | None,
        typer.Argument(help="File of `audit export`; by default the database is looked at.", metavar="FILE"),
    ] = None,
    *,
    kept: KeptOption = None,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at every line of the record: the first that does not fit is named, and ends the command with exit code 1.

    Without a digest that was kept elsewhere, nobody can tell whether lines were cut off the end, or all written anew.
    """
    with _changes():
        if file is not None:
            head = followed(_lines(file), kept)
        else:
            with operating(data_dir, database_url) as server:
                head = audit.checked(server.store, kept)
    _say_head(head, as_json=as_json)


def verified_lines(file: Path) -> list[str]:
    """The lines of an exported record. Raises CommandFailed where it was changed."""
    lines = list(_lines(file))
    with _changes():
        followed(lines)
    return lines


@contextmanager
def _changes() -> Generator[None]:
    """Raises CommandFailed for a record that was changed."""
    try:
        yield
    except ChainBroken as error:
        raise CommandFailed(
            f"The record was changed: {error}", Exit.FAILED, remedy="Compare it with an export that was kept elsewhere."
        ) from None


def _lines(file: Path) -> Iterator[str]:
    """Those of a file; its last may have lost its end."""
    with file.open(encoding="utf-8", errors="replace", newline="\n") as stream:
        for line in stream:
            yield line.removesuffix("\n")


def _say_head(head: Head, *, as_json: bool) -> None:
    if as_json:
        print_json({"lines": head.number, "digest": head.digest})
    else:
        say(f"{head.number} lines follow one another. Keep the digest of the last one elsewhere: {head.digest}")
