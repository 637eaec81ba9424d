"""`consensus-server prompt-set`: what everybody answers."""

from typing import Annotated

import typer

from client_kit import wire
from client_kit.command_line import CommandFailed, Exit, JsonOption, print_json, print_table, say
from consensus_server.cli.operating import on_server
from consensus_server.cli.prompt_set_files import read_prompt_set
from consensus_server.core.errors import UnknownPromptSet
from consensus_server.core.federations import Manifest, Prompt
from consensus_server.http_api import translate
from consensus_server.service.access import SERVER_OPERATOR
from consensus_server.wiring import Server

app = typer.Typer(help="Add and list public prompt sets.", no_args_is_help=True)

SetArgument = Annotated[
    str,
    typer.Argument(
        help="Folder with manifest.json and prompts.jsonl, or name of a shipped set (general, general@1.0)."
    ),
]


@app.command(epilog="Example: consensus-server prompt-set add general@1.0")
@on_server
def add(server: Server, name: SetArgument, *, as_json: JsonOption = False) -> None:
    """Verify a prompt set and keep it. One that is held already changes nothing."""
    upload = read_prompt_set(name)
    manifest = upload.manifest
    added = server.use_cases.prompt_sets.add(
        SERVER_OPERATOR,
        translate.to_core(Manifest, manifest),
        [translate.to_core(Prompt, each) for each in upload.prompts],
    )
    if as_json:
        print_json({"added": added, "manifest": manifest.model_dump(mode="json")})
    else:
        state = "is added" if added else "was held already"
        say(f"{manifest.name} {manifest.version}, {manifest.prompt_count} prompts, {manifest.digest[:12]}, {state}.")


@app.command("list", epilog="Example: consensus-server prompt-set list")
@on_server
def list_(server: Server, *, as_json: JsonOption = False) -> None:
    """All prompt sets of the server."""
    found = server.use_cases.prompt_sets.all(SERVER_OPERATOR)
    items = [translate.to_wire(wire.Manifest, each) for each in found]
    if as_json:
        print_json(wire.PromptSetList(items=items))
        return
    rows = [(each.name, each.version, each.prompt_count, each.language, each.licence, each.digest) for each in items]
    print_table(
        ("name", "version", "prompts", "language", "licence", "digest"), rows, empty="There are no prompt sets."
    )


def find_prompt_set(server: Server, wanted: str) -> Manifest:
    """A prompt set by digest, NAME@VERSION, or NAME, which means its newest version.

    Raises UnknownPromptSet, and CommandFailed where several sets have the name and version.
    """
    held = server.use_cases.prompt_sets.all(SERVER_OPERATOR)
    matches = [each for each in held if wanted in {each.digest, each.name, f"{each.name}@{each.version}"}]
    if not matches:
        names = ", ".join(f"{each.name}@{each.version}" for each in held) or "none"
        raise UnknownPromptSet(f"The server holds no prompt set {wanted}; it holds: {names}.")
    newest = max(_version(each) for each in matches)
    matches = [each for each in matches if _version(each) == newest]
    if len(matches) > 1:
        digests = ", ".join(each.digest for each in matches)
        raise CommandFailed(
            f"Several prompt sets match {wanted}: {digests}.", Exit.USAGE, remedy="Name one by its digest."
        )
    return matches[0]


def _version(manifest: Manifest) -> tuple[int, ...]:
    return tuple(int(part) for part in manifest.version.split("."))
