"""`consensus-server panel`: the panels file, before a server is started with it."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from client_kit.command_line import (
    CommandFailed,
    Exit,
    JsonOption,
    note,
    print_json,
    print_table,
    print_value,
    say,
)
from client_kit.commented_files import commented_file
from consensus_server.cli.operating import checked_name, settings_from
from consensus_server.core.inference import Message, Question, UpstreamFailed
from consensus_server.panel_settings import SCHEMA_COMMAND, PanelsFile, load_panels
from consensus_server.panel_wiring import build_upstreams
from consensus_server.ports import Upstream
from consensus_server.service.access import new_token, token_hash

app = typer.Typer(help="Panels: upstream APIs that answer together (docs/inference.md).", no_args_is_help=True)

FileArgument = Annotated[
    Path | None, typer.Argument(help="The panels file; not given: CONSENSUS_PANELS_FILE.", metavar="FILE")
]


@app.command(epilog='Example: consensus-server panel check panels.yaml --ask "What is the capital of France?"')
def check(
    file: FileArgument = None,
    *,
    ask: Annotated[
        str | None, typer.Option(help="Put this question to every upstream, which may cost money.", metavar="TEXT")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a panels file: its fields, its names, and that every key is where the file says."""
    content = load_panels(_file(file))
    upstreams = build_upstreams(content)
    if ask is None:
        _show_panels(content, as_json=as_json)
        return
    found = asyncio.run(_ask_all(upstreams, ask))
    _show_upstreams(found, as_json=as_json)
    if any(row["failure"] for row in found):
        raise CommandFailed("Some upstreams did not answer.", Exit.FAILED, remedy="The messages say what to do.")


@app.command(epilog="Example: consensus-server panel init --out panels.yaml")
def init(
    *,
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("panels.yaml"),
    as_json: JsonOption = False,
) -> None:
    """Write a commented panels file, with every field and its meaning. An existing file is left alone."""
    if out.exists():
        raise CommandFailed(f"{out} already exists.", Exit.USAGE, remedy="Name another file with --out, or remove it.")
    content = commented_file(
        "Panels", PanelsFile, _EXAMPLE, schema_command=SCHEMA_COMMAND, schema_file="panels.schema.json"
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(content, encoding="utf-8")
    if as_json:
        print_json({"file": str(out)})
        return
    say(f"{out} is written. Fill in your own values, then: consensus-server panel check {out}")


_EXAMPLE: Mapping[str, Any] = {
    "upstreams": {
        "llama": {"base_url": "http://127.0.0.1:11434/v1", "model": "llama3.2"},
        "qwen": {"base_url": "http://127.0.0.1:11434/v1", "model": "qwen3:4b"},
        "hosted": {"base_url": "https://api.example.com/v1", "model": "some-model", "api_key_env": "HOSTED_API_KEY"},
    },
    "panels": {"assistants": {"upstreams": ["llama", "qwen", "hosted"]}},
}


@app.command(epilog="Example: consensus-server panel token shop > shop.token")
def token(
    caller: Annotated[str, typer.Argument(help="Name of the caller.", metavar="CALLER")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Make a token for a caller. It goes to standard output, this once; the lines for the file stand beside it."""
    checked_name(caller)
    made = new_token()
    if as_json:
        print_json({"caller": caller, "token": made, "token_hash": token_hash(made)})
        return
    note(f"Put this under `callers` in the panels file and start the server again:\n\n  {caller}:")
    note(f"    token_hash: {token_hash(made)}\n    panels: all\n\nToken of {caller}; it cannot be shown again:")
    print_value(made)


@app.command(epilog="Example: consensus-server panel schema > panels.schema.json")
def schema(*, as_json: JsonOption = False) -> None:  # noqa: ARG001  it is JSON in any case
    """Print the JSON schema of the panels file, for editors."""
    print_json(PanelsFile.model_json_schema())


def _file(given: Path | None) -> Path:
    path = given or settings_from().panels_file
    if path is None:
        raise CommandFailed("No panels file is named.", Exit.USAGE, remedy="Name it, or set CONSENSUS_PANELS_FILE.")
    return path


def _show_panels(content: PanelsFile, *, as_json: bool) -> None:
    if as_json:
        print_json({name: panel.model_dump(mode="json") for name, panel in content.panels.items()})
        return
    rows = [
        (name, ", ".join(panel.upstreams), panel.quorum, panel.deadline_seconds, panel.policy.rule)
        for name, panel in content.panels.items()
    ]
    print_table(("panel", "upstreams", "quorum", "deadline, s", "rule"), rows, empty="The file has no panels.")


def _show_upstreams(found: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        print_json({"upstreams": found})
        return
    rows = [(row["upstream"], row["seconds"], row["failure"] or "answered", row["said"]) for row in found]
    print_table(("upstream", "seconds", "outcome", "answer, or what to do"), rows, empty="The file has no upstreams.")


async def _ask_all(upstreams: dict[str, Upstream], text: str) -> list[dict[str, object]]:
    question = Question(messages=(Message("user", text),), max_tokens=64)
    try:
        return await asyncio.gather(*(_ask_one(upstream, question) for upstream in upstreams.values()))
    finally:
        await asyncio.gather(*(upstream.close() for upstream in upstreams.values()))


async def _ask_one(upstream: Upstream, question: Question) -> dict[str, object]:
    started = time.perf_counter()
    try:
        failure, said = None, (await upstream.ask(question)).text
    except UpstreamFailed as error:
        failure, said = error.failure.value, str(error)
    seconds = round(time.perf_counter() - started, 3)
    return {"upstream": upstream.name, "seconds": seconds, "failure": failure, "said": said}
