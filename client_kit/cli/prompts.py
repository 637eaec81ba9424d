"""`consensus prompts`: find, read, check and build public prompt sets."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from client_kit.cli.connection import FederationOption, ServerOption, TokenFileOption, connect
from client_kit.command_line import Exit, JsonOption, print_json, print_table, say
from client_kit.errors import ConfigurationError
from client_kit.overlap import overlap, read_private_prompts, read_texts
from client_kit.prompts import (
    PROMPTS_FILE,
    PromptSet,
    available_prompt_sets,
    find_prompt_set,
    load_prompt_set,
    require_new,
    save_prompt_set,
    validate_prompt_set,
    write_prompt_set,
)
from client_kit.wire import Equivalence, Prompt

app = typer.Typer(no_args_is_help=True, help="Public prompt sets: find, read, check and build them.")

SetArgument = Annotated[str, typer.Argument(help="Name (general, general@1.0) or folder of a prompt set.")]


@app.command("list")
def list_sets(as_json: JsonOption = False) -> None:
    """List the prompt sets that come with the kit.

    Example: consensus prompts list
    """
    manifests = [load_prompt_set(name).manifest for name in available_prompt_sets()]
    if as_json:
        print_json([manifest.model_dump(mode="json") for manifest in manifests])
        return
    rows = [(m.name, m.version, m.prompt_count, m.language, m.licence, m.digest[:12]) for m in manifests]
    print_table(
        ("Name", "Version", "Prompts", "Language", "Licence", "Digest"), rows, empty="No prompt set is installed."
    )


@app.command()
def show(
    name: SetArgument,
    limit: Annotated[int, typer.Option(min=0, help="Prompts to print; 0 for all.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Print what a prompt set is, and its first prompts.

    Example: consensus prompts show general --limit 3
    """
    found = load_prompt_set(name)
    chosen = found.prompts[: limit or None]
    if as_json:
        prompts = [prompt.model_dump(mode="json", exclude_none=True) for prompt in chosen]
        print_json({"manifest": found.manifest.model_dump(mode="json"), "prompts": prompts})
        return
    manifest = found.manifest
    say(f"{manifest.name} {manifest.version}: {manifest.description}")
    say(
        f"{manifest.prompt_count} prompts, {manifest.language}, {manifest.licence}, equivalence {manifest.equivalence.value}"
    )
    say(f"digest {manifest.digest}\n")
    rows = [(prompt.prompt_id, prompt.topic, prompt.prompt) for prompt in chosen]
    print_table(("Prompt", "Topic", "Text"), rows, empty="No prompts are to be shown.")


@app.command()
def validate(name: SetArgument, as_json: JsonOption = False) -> None:
    """Check every line of a prompt set, and its digest, count and topics. Exit code 4 when there is a fault.

    Example: consensus prompts validate ./prompts/mine/1.0
    """
    folder = find_prompt_set(name)
    faults = validate_prompt_set(folder)
    if as_json:
        print_json({"folder": str(folder), "valid": not faults, "faults": faults})
    else:
        say(f"{folder} is valid." if not faults else f"{folder} has {len(faults)} faults:\n  " + "\n  ".join(faults))
    if faults:
        raise typer.Exit(Exit.BAD_FILE)


@app.command()
def fetch(
    out: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the prompt set of your federation to a folder: `prompts.jsonl`, and the manifest that it is checked against.

    Example: consensus prompts fetch ./clinics-prompts --server http://127.0.0.1:8000 --token-file token
    """
    require_new(out)
    with connect(server, token_file, federation) as client:
        digest = client.federation().prompt_set
        found = PromptSet(client.prompt_set(digest), tuple(client.prompts(digest)))
    save_prompt_set(out, found)
    if as_json:
        print_json(found.manifest)
    else:
        say(f"{found.manifest.prompt_count} prompts in {out / PROMPTS_FILE}, digest {found.manifest.digest}")


@app.command("overlap")
def check_overlap(
    name: SetArgument,
    private: Annotated[Path, typer.Argument(help="JSONL of private or test data.")],
    field: Annotated[str, typer.Option(help="Field of the private rows to compare.")] = "prompt",
    threshold: Annotated[
        float, typer.Option(min=0.01, max=1, help="Share of common word sequences that counts.")
    ] = 0.7,
    as_json: JsonOption = False,
) -> None:
    """Check that public prompts repeat nothing private and nothing of a test. Runs here; sends nothing.

    Exit code 1 when something overlaps.

    Example: consensus prompts overlap general private.jsonl
    """
    rows = read_private_prompts(private, field)
    pairs = overlap(load_prompt_set(name).prompts, rows, threshold)
    if as_json:
        found = [{"prompt_id": pair.prompt_id, "row": pair.row, "containment": pair.containment} for pair in pairs]
        print_json({"rows": len(rows), "threshold": threshold, "overlaps": found})
    else:
        shown = [(pair.prompt_id, pair.row, f"{pair.containment:.2f}") for pair in pairs]
        print_table(("Prompt", "Row", "In common"), shown, empty=f"No public prompt overlaps any of {len(rows)} rows.")
    if pairs:
        raise typer.Exit(Exit.FAILED)


@app.command()
def build(
    source: Annotated[Path, typer.Argument(help="JSONL with one text per line, for example an exported dataset.")],
    out: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    *,
    name: Annotated[str, typer.Option(help="Name of the set.")],
    licence: Annotated[str, typer.Option(help="SPDX identifier of the texts' licence.")],
    description: Annotated[str, typer.Option(help="What the set is for, and where its texts come from.")],
    version: Annotated[str, typer.Option(help="Version; never changed once published.")] = "1.0",
    language: Annotated[str, typer.Option(help="BCP 47 tag of most prompts.")] = "en",
    field: Annotated[str, typer.Option(help="Field that holds the prompt.")] = "prompt",
    topic_field: Annotated[str | None, typer.Option(help="Field that holds its topic.")] = None,
    question_field: Annotated[
        str | None,
        typer.Option(help="Field with one value for all wordings of a question; their answers are counted together."),
    ] = None,
    equivalence: Annotated[Equivalence, typer.Option(help="When two answers mean the same.")] = Equivalence.SEMANTIC,
    as_json: JsonOption = False,
) -> None:
    """Build a prompt set from a JSONL file: each text once, in order, numbered, with manifest and digest.

    Example: consensus prompts build questions.jsonl ./prompts/mine/1.0 --name mine --licence CC-BY-4.0
    --description "Questions of our handbook" --field question
    """
    manifest = write_prompt_set(
        out, _read_texts(source, name, field, topic_field, question_field), name=name, version=version, description=description,
        licence=licence, language=language, equivalence=equivalence,
    )  # fmt: skip
    if as_json:
        print_json(manifest)
    else:
        say(f"{manifest.prompt_count} prompts in {out}, digest {manifest.digest}")


def _read_texts(
    source: Path, name: str, field: str, topic_field: str | None, question_field: str | None
) -> list[Prompt]:
    """Prompts from rows, each text once, where it stands first. Raises ConfigurationError that names the line."""
    found: dict[str, tuple[int, str | None, str | None]] = {}
    for line, given, row in read_texts(source, field):
        if text := given.strip():
            found.setdefault(text, (line, _value(row, topic_field), _value(row, question_field)))
    if not found:
        raise ConfigurationError(f"{source} has no texts in its field {field!r}")
    return [
        _prompt(f"{source} line {line}", prompt_id=f"{name}-{number:05}", prompt=text, topic=topic, question=question)
        for number, (text, (line, topic, question)) in enumerate(found.items(), start=1)
    ]


def _prompt(where: str, **fields: str | None) -> Prompt:
    try:
        return Prompt.model_validate(fields)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise ConfigurationError(f"{where}: {fault['loc'][0]}: {fault['msg']}") from error


def _value(row: dict[str, Any], field: str | None) -> str | None:
    value = row.get(field) if field else None
    return None if value is None else str(value)
