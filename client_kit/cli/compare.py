"""`consensus compare`: methods side by side on one task."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client_kit.cli.board import Board
from client_kit.command_line import JsonOption, print_json, print_table, say

if TYPE_CHECKING:
    from client_kit.comparison.results import Interval


def compare(
    plan: Annotated[Path, typer.Argument(help="YAML: task, methods, seeds, steps, variants; {} takes all defaults.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for reports and results; a rerun goes on in it.")],
    cache: Annotated[Path | None, typer.Option(help="Folder of cached base models; the user's by default.")] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Runs at the same time; by default one per core.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run every method of a plan on the same data, seeds, base models and steps, through a real server, and report.

    Local-only, centralised, semantic consensus, exact vote, a random answer, FedAvg, the LoRA family, FedReFT. Needs the
    extra `all`.

    Example: consensus compare plan.yaml --out comparison
    """
    from client_kit.comparison.report import write_reports  # noqa: PLC0415 (reaches torch)
    from client_kit.comparison.run import Comparison, load_plan, run_comparison  # noqa: PLC0415 (as above)
    from client_kit.comparison.tables import report_of  # noqa: PLC0415 (as above)
    from client_kit.comparison.text import primary_test_text  # noqa: PLC0415 (as above)

    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the tiny models are quickest on a processor
    comparison = Comparison(load_plan(plan), out, cache, processes or os.cpu_count() or 1)
    with Board(silent=as_json) as board:
        results = run_comparison(comparison, board)
    report = report_of(comparison.plan, results)
    write_reports(report, out)
    if as_json:
        print_json(report)
        return
    rows = [
        (
            row.variant,
            row.label,
            *map(_mean, (row.private, row.overall, row.downloaded)),
            f"{row.total_sent_bytes / 1000:.1f}",
        )
        for row in report.rows
    ]
    columns = ("Variant", "Method", "Own", "All", "Download", "kB sent")  # with the method they fit 80 characters
    print_table(columns, rows, empty="There are no results.")
    say(
        "Shares of right answers: own questions, all questions, all at the last download. Bytes of a participant in all rounds."
    )
    say(primary_test_text(report))
    say(f"Report: {out / 'report.html'}   Numbers: {out / 'results.json'}")


def _mean(value: "Interval | None") -> str | None:
    return None if value is None else f"{value.mean:.3f}"
