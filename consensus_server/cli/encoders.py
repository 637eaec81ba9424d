"""`consensus-server encoder`: make an encoder of one's own."""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from client_kit.command_line import CommandFailed, Exit, JsonOption, errors, print_json, say
from consensus_server.backends.encoders import fit_lsa
from consensus_server.backends.encoders.lsa import DIMENSION
from consensus_server.cli.prompt_set_files import read_prompt_set

app = typer.Typer(help="Make an encoder of your own.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Make an encoder of your own."""


@app.command(epilog="Example: consensus-server encoder fit answers.jsonl --field output --out encoders/ours")
def fit(
    sources: Annotated[
        list[Path],
        typer.Argument(help="JSONL, plain text with a text per line (either may be .gz), or a prompt set's folder."),
    ],
    *,
    out: Annotated[Path, typer.Option(help="Folder to write; must not exist.", metavar="DIR")],
    field: Annotated[str, typer.Option(help="Field of JSONL rows that holds the text.", metavar="NAME")] = "text",
    dimension: Annotated[int, typer.Option(min=2, max=4096, help="Most axes of the vectors.")] = DIMENSION,
    as_json: JsonOption = False,
) -> None:
    """Fit a small lexical encoder (tf-idf, truncated SVD) to texts like those that it will encode.

    It needs no download and no graphics card, and knows words rather than meaning: see docs/encoders.md. Fit it on
    public texts, since its vocabulary can be read. Start a server with it: consensus-server serve --encoder DIR
    """
    with _spinner(len(sources)) as progress:
        texts = [text for source in sources for text in read_texts(source, field)]
        progress.update(progress.task_ids[0], description=f"Fitting to {len(texts)} texts")
        encoder = fit_lsa(texts, out, dimension=dimension, source=", ".join(source.name for source in sources))
    identity = encoder.identity
    if as_json:
        print_json({"folder": str(out), "identity": asdict(identity), "digest": identity.digest})
    else:
        say(f"{out}: {identity.name}, {identity.dimension} dimensions, weights {identity.weights[:12]}.")
        say("It counts words and letters; measure it on your texts before you trust its labels (docs/encoders.md).")


def _spinner(files: int) -> Progress:
    progress = Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=errors)
    progress.add_task(f"Reading {files} {'file' if files == 1 else 'files'}", total=None)
    return progress


def read_texts(source: Path, field: str) -> Iterator[str]:
    """Texts of a prompt set's folder, of JSONL, or of the lines of a text file. Raises CommandFailed naming the line."""
    if source.is_dir():
        yield from (prompt.prompt for prompt in read_prompt_set(str(source)).prompts)
        return
    rows = ".jsonl" in source.suffixes
    try:
        with _opened(source) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _text_of(line, field, f"{source} line {number}") if rows else line.strip()
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{source} is not UTF-8 ({error.reason}).", Exit.BAD_FILE) from None
    except (OSError, EOFError, zlib.error) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise CommandFailed(f"{source} cannot be read: {cause}.", Exit.BAD_FILE) from None


def _opened(source: Path) -> IO[str]:
    return gzip.open(source, "rt", encoding="utf-8") if source.suffix == ".gz" else source.open(encoding="utf-8")


def _text_of(line: str, field: str, where: str) -> str:
    try:
        text = json.loads(line)[field]
    except (ValueError, KeyError, TypeError):
        text = None
    if not isinstance(text, str):
        raise CommandFailed(
            f"{where} has no text in a field {field!r}.",
            Exit.BAD_FILE,
            remedy="Name the field that has it with --field.",
        )
    return text
