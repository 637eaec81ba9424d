"""`consensus-server encoder`: make an encoder of one's own."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from client_kit.command_line import JsonOption, errors, print_json, say
from client_kit.input_files import lines_of, read_rows, text_in
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


def read_texts(source: Path, field: str) -> list[str]:
    """Texts of a prompt set's folder, of JSONL, or of the lines of a text file. Raises CommandFailed or FaultyFile."""
    if source.is_dir():
        return [prompt.prompt for prompt in read_prompt_set(str(source)).prompts]
    if ".jsonl" in source.suffixes:
        return read_rows(source, lambda row: text_in(row, field))
    return [line.strip() for _, line in lines_of(source, "Give UTF-8 text, plain or gzip")]
