"""What the bench found, as JSON for programs, Markdown for the docs and HTML with plots for people."""

import html
import json
from collections.abc import Sequence
from pathlib import Path

from consensus_server.evaluation.run import Row

COLUMNS = (
    "rule", "guards", "reliability", "panel_size", "attack", "attackers", "quality", "quality_low", "quality_high",
    "random", "best_single", "coverage", "length_ratio", "length_adjusted_quality", "auroc", "top_half_quality",
    "attack_success",
)  # fmt: skip
NOTE = (
    "Quality: mean preference of the chosen answers, with a 95 % interval over panels and prompts drawn again. "
    "Judges favour length: read quality beside the length-adjusted one. Where a few participants stand far above the "
    "rest, agreement is no guide to quality."
)


def write_results(rows: Sequence[Row], folder: Path) -> None:
    """`results.json`: a list of rows."""
    _write(folder / "results.json", json.dumps([row.as_json() for row in rows], indent=1, allow_nan=False) + "\n")


def write_reports(rows: Sequence[Row], folder: Path, command: str) -> None:
    """`report.md` and `report.html`. Raises ImportError without the extra `report`."""
    files = list(dict.fromkeys(row.file for row in rows))
    _write(folder / "report.md", "\n".join(_markdown(rows, files, command)))
    _write(folder / "report.html", _page(rows, files, command))


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def _markdown(rows: Sequence[Row], files: Sequence[str], command: str) -> list[str]:
    lines = ["# Quality of labels", "", f"`{command}`", "", NOTE, ""]
    for file in files:
        lines += [f"## {file}", "", "| " + " | ".join(name.replace("_", " ") for name in COLUMNS) + " |"]
        lines += ["|" + "---|" * len(COLUMNS)]
        lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows if row.file == file]
        lines.append("")
    return lines


def _cells(row: Row) -> list[str]:
    return [_cell(getattr(row, name)) for name in COLUMNS]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _page(rows: Sequence[Row], files: Sequence[str], command: str) -> str:
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - an extra

    head = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Quality of labels</title><style>'
    style = "body{font:15px/1.5 system-ui;max-width:1200px;margin:2rem auto;padding:0 1rem}td,th{padding:2px 8px;text-align:right}table{border-collapse:collapse;font-size:13px}tr:nth-child(even){background:#f3f4f6}"
    parts = [head + style + "</style><script>" + get_plotlyjs() + "</script></head><body>"]
    parts.append(f"<h1>Quality of labels</h1><p><code>{html.escape(command)}</code></p><p>{html.escape(NOTE)}</p>")
    for file in files:
        own = [row for row in rows if row.file == file]
        parts += [f"<h2>{html.escape(file)}</h2>", _plot(own), _table(own)]
    return "".join([*parts, "</body></html>\n"])


def _plot(rows: Sequence[Row]) -> str:
    """Quality of each setting with its interval, between a random and the best participant."""
    from plotly.graph_objects import Figure, Scatter  # noqa: PLC0415 - an extra

    names = [_name(row) for row in rows]
    quality = [row.quality for row in rows]
    above = [(row.quality_high or 0) - (row.quality or 0) for row in rows]
    below = [(row.quality or 0) - (row.quality_low or 0) for row in rows]
    bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    figure = Figure(
        [
            Scatter(x=quality, y=names, mode="markers", name="quality", error_x=bars, marker={"size": 9}),
            Scatter(
                x=[row.length_adjusted_quality for row in rows], y=names, mode="markers", name="adjusted for length"
            ),
            Scatter(x=[row.random for row in rows], y=names, mode="markers", name="random", marker={"symbol": "x"}),
            Scatter(
                x=[row.best_single for row in rows],
                y=names,
                mode="markers",
                name="best single",
                marker={"symbol": "star"},
            ),
        ]
    )
    figure.update_layout(
        height=140 + 26 * len(rows), margin={"l": 320}, yaxis={"autorange": "reversed"}, template="plotly_white"
    )
    plot: str = figure.to_html(full_html=False, include_plotlyjs=False)
    return plot


def _name(row: Row) -> str:
    marks = [mark for mark, given in (("guards", row.guards), ("reliability", row.reliability)) if given]
    attack = [f"{row.attack} x {row.attackers}"] if row.attack else []
    return ", ".join([row.rule, *marks, f"K={row.panel_size}", *attack])


def _table(rows: Sequence[Row]) -> str:
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in COLUMNS)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(row)) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
