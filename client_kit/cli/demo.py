"""`consensus demo`: a federation of tiny models, made and run on this machine."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from client_kit.cli.board import Board
from client_kit.command_line import Exit, JsonOption, console, print_json, say

if TYPE_CHECKING:
    from client_kit.pocket.results import DemoResults

USUAL_GAIN = {"full": 0.59, "smoke": 0.25}
"""How far accuracy on test questions that a participant was never taught ends above training alone (0..1), as measured
for seeds 0, 1, 2: full .612, .587, .574; smoke .096, .378, .272. See docs/experiments.md, entry 4."""


def demo(
    *,
    smoke: Annotated[bool, typer.Option("--smoke", help="The small form: three participants, two rounds.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of base models, private data and training.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for report.html, results.json and work/.")] = Path("demo-output"),
    cache: Annotated[Path | None, typer.Option(help="Folder of cached base models; the user's by default.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit code 1 unless the gain is at least half the usual.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Pretrain tiny models of several architectures, run a real federation of them here, and write a report.

    Example: consensus demo --out demo-output
    """
    from client_kit.pocket.demo import Demo, run_demo  # noqa: PLC0415 (its libraries are of the extra `train`)

    # The tiny models are quickest on a processor, so a graphics card is left alone.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with Board(silent=as_json) as board:
        results = run_demo(Demo("smoke" if smoke else "full", seed, out, cache), board)
    if as_json:
        print_json(results)
    else:
        console.print(_table(results))
        say(
            "Share of right answers; alone: same steps without a federation, best: its best checkpoint; kB sent/received."
        )
        say(f"Report: {out / 'report.html'}   Numbers: {out / 'results.json'}   {results.seconds['total']:.0f} seconds")
    if check:
        _check(results, as_json=as_json)


def _check(results: "DemoResults", *, as_json: bool) -> None:
    gain, wanted = results.gain("never_taught"), USUAL_GAIN[results.form] / 2
    change = "rose" if gain >= wanted else "did not rise enough"
    if not as_json:
        say(
            f"Check: questions never taught {change}, {100 * gain:+.1f} points over training alone ({100 * wanted:.0f} wanted)"
        )
    if gain < wanted:
        raise typer.Exit(Exit.FAILED)


def _table(results: "DemoResults") -> Table:
    """A row per participant: accuracy before, alone (equal steps, best checkpoint), after each training; kB; seconds."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    rounds = [f"round {row.number}" for row in results.rounds]  # the columns fit 80 characters for three of them
    for column in ("Participant", "before", "alone", "best", "private", *rounds, "kB", "s"):
        table.add_column(
            column, justify="left" if column == "Participant" else "right", no_wrap=column == "Participant"
        )
    for site in results.participants:
        accuracy = [site.scores[0], site.local_only.scores[-1], site.local_only.best, *site.scores[1:]]
        table.add_row(
            site.participant,
            *(f"{scores['overall'].share:.3f}" for scores in accuracy),
            f"{site.sent_bytes / 1000:.0f}/{site.received_bytes / 1000:.0f}",
            f"{site.seconds['training'] + site.seconds['answering']:.0f}",
        )
    means = [results.mean("overall", 0), results.mean_local("overall"), results.mean_local("overall", best=True)]
    after = [results.mean("overall", stage) for stage in range(1, len(rounds) + 2)]
    table.add_row("mean", *(f"{value:.3f}" for value in [*means, *after]), "", "", style="bold")
    return table
