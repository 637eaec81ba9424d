"""What the bench found, as JSON for programs, Markdown for the docs and HTML with plots for people."""

import html
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from consensus_server.evaluation import plots
from consensus_server.evaluation.calibration import Calibrated
from consensus_server.evaluation.facts import mostly_mute, told
from consensus_server.evaluation.rows import Finding, Row

COLUMNS = (
    "rule", "guards", "reliability", "panel_size", "attack", "attackers", "quality", "quality_low", "quality_high",
    "random", "best_single", "oracle", "coverage", "length_ratio", "length_adjusted_quality", "confidence", "auroc", "rank_correlation",
    "top_half_quality", "attack_success", "votes", "turned_away", "refusals",
)  # fmt: skip
NOTE = (
    "Quality: mean preference of the chosen answers, or the share of right ones, with a 95 % interval over panels and "
    "prompts drawn again. Judges favour length: where they judged, read quality beside the length-adjusted one. "
    "AUROC and the quality of the top half go by the confidence score that is named before them."
)
_SETTING = ("rule", "guards", "reliability", "attack", "attackers", "quality", "coverage")
_DIFFERENCE = ("baseline", "baseline_quality", "baseline_coverage", "difference", "low", "high", "share")
DIFFERENCE_HEAD = tuple(name.replace("_", " ") for name in (*_SETTING, *_DIFFERENCE))
DIFFERENCES = (
    "Quality less a baseline's on the same panels and prompts, with the 95 % interval of the difference. Compared is where both "
    "gave a label whose worth is known; `share` says on how much of what either labelled. Below 1, read it with both coverages."
)
FAR_ABOVE = 0.1
"""How far the best participant may stand above the best label before a report warns."""
CONTROLS = ("random", "longest")
"""Rules that heed no agreement, so that their figures say nothing about it."""


def write_results(rows: Sequence[Row], folder: Path) -> None:
    """`results.json`: a list of rows."""
    _write(folder / "results.json", json.dumps([row.as_json() for row in rows], indent=1, allow_nan=False) + "\n")


def write_calibration(found: Calibrated, chosen: Finding, folder: Path, kind: str | None = None) -> Path:
    """`calibration.json`: what a federation takes over, and beside it where it comes from and what it is worth.

    kind: of the task, where it was fitted to one of several; it stands in the name of the file, which is returned.
    """
    made = {name: getattr(chosen.row, name) for name in ("file", "rule", "guards", "reliability", "panel_size")}
    path = folder / ("calibration.json" if kind is None else f"calibration-{kind}.json")
    made |= {} if kind is None else {"kind": kind}
    _write(path, json.dumps({**found.as_json(), "fitted_to": made}, indent=1) + "\n")
    return path


def write_reports(findings: Sequence[Finding], folder: Path, command: str) -> None:
    """`report.md` and `report.html`. Raises ImportError without the extra `report`."""
    files = list(dict.fromkeys(finding.row.file for finding in findings))
    _write(folder / "report.md", "\n".join(_markdown(findings, files, command)))
    _write(folder / "report.html", _page(findings, files, command))


def warning(rows: Sequence[Row]) -> str | None:
    """What to say where the best participant stands far above the best rule's labels, and above their interval."""
    calm = [row for row in rows if row.attack is None and row.rule not in CONTROLS]
    best = max(calm, key=lambda row: row.quality or 0, default=None)
    if best is None or best.quality is None or best.quality_high is None or best.best_single is None:
        return None
    if best.best_single <= max(best.quality + FAR_ABOVE, best.quality_high):
        return None
    return (
        f"Caution: the best participant of a panel reaches {best.best_single:.3f}, the best labels {best.quality:.3f} "
        f"({best.rule}, at most {best.quality_high:.3f} by its interval). A few participants stand "
        "far above the rest; there, agreement is no guide to quality."
    )


def cautions(rows: Sequence[Row]) -> list[str]:
    """What a reader of a file's figures must not miss."""
    return [caution for caution in (mostly_mute(rows[0].facts), warning(rows)) if caution]


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def _markdown(findings: Sequence[Finding], files: Sequence[str], command: str) -> list[str]:
    lines = ["# Quality of labels", "", f"`{command}`", "", NOTE, ""]
    for file in files:
        own = [finding for finding in findings if finding.row.file == file]
        rows = [finding.row for finding in own]
        calm = [finding for finding in own if finding.row.attack is None]
        lines += [f"## {file}", ""]
        for caution in cautions(rows):
            lines += [f"**{caution}**", ""]
        lines += [line for sentence in told(rows[0].facts) for line in (sentence, "")]
        lines += plots.mermaid_quality([finding.row for finding in calm])
        lines += plots.mermaid_risk_coverage(leading(calm))
        lines += _attacks(rows)
        lines += ["### Differences", "", DIFFERENCES, "", *_grid(DIFFERENCE_HEAD, difference_cells(rows))]
        lines += ["### All figures", "", *_grid([name.replace("_", " ") for name in COLUMNS], map(_cells, rows))]
    return lines


def leading(findings: Sequence[Finding]) -> Finding:
    """The setting whose curve is shown: the one with most safeguards, of equal ones the best."""
    return max(findings, key=lambda each: (each.row.guards and each.row.reliability, each.row.quality or 0))


def _attacks(rows: Sequence[Row]) -> list[str]:
    columns, attacks, cells = plots.attack_table(rows)
    if not attacks:
        return []
    lines = [[attack, *map(_cell, row)] for attack, row in zip(attacks, cells, strict=True)]
    return ["### Labels won by attackers", "", *_grid(["attack", *columns], lines)]


def _grid(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    rows = [head, ["---"] * len(head), *lines]
    return [*("| " + " | ".join(row) + " |" for row in rows), ""]


def _cells(row: Row) -> list[str]:
    return [_cell(getattr(row, name)) for name in COLUMNS]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(each)}" for name, each in value.items()) or "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def difference_cells(rows: Sequence[Row]) -> list[list[str]]:
    """A line for each row and baseline, under `DIFFERENCE_HEAD`."""
    return [
        [_cell(getattr(row, name)) for name in _SETTING] + [_cell(getattr(each, name)) for name in _DIFFERENCE]
        for row in rows
        for each in row.differences
    ]


def _page(findings: Sequence[Finding], files: Sequence[str], command: str) -> str:
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - an extra

    head = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Quality of labels</title><style>'
    parts = [head + _STYLE + "</style><script>" + get_plotlyjs() + "</script></head><body>"]
    parts.append(f"<h1>Quality of labels</h1><p><code>{html.escape(command)}</code></p><p>{html.escape(NOTE)}</p>")
    for file in files:
        parts += _chapter(file, [finding for finding in findings if finding.row.file == file])
    return "".join([*parts, "</body></html>\n"])


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1200px;margin:2rem auto;padding:0 1rem}"
    "td,th{padding:2px 8px;text-align:right;white-space:nowrap}table{border-collapse:collapse;font-size:13px}"
    "tr:nth-child(even){background:#f3f4f6}.wide{overflow-x:auto}.caution{background:#fef3c7;padding:.5rem 1rem}"
)


def _chapter(file: str, findings: Sequence[Finding]) -> list[str]:
    """What one file shows."""
    rows = [finding.row for finding in findings]
    calm = [finding for finding in findings if finding.row.attack is None]
    parts = [f"<h2>{html.escape(file)}</h2>"]
    parts += [f'<p class="caution">{html.escape(caution)}</p>' for caution in cautions(rows)]
    parts += [f"<p>{html.escape(sentence)}</p>" for sentence in told(rows[0].facts)]
    if any(finding.row.quality is not None for finding in calm):
        parts += ["<h3>Quality by rule</h3>", plots.quality_plot([finding.row for finding in calm])]
    if any(finding.row.coverage for finding in calm):
        parts += ["<h3>Risk and coverage</h3>", plots.risk_coverage_plot(calm)]
    if len(calm) < len(rows):
        parts += ["<h3>Labels won by attackers</h3>", plots.attack_map(rows)]
    parts += ["<h3>Differences</h3>", f"<p>{DIFFERENCES}</p>", _table(DIFFERENCE_HEAD, difference_cells(rows))]
    return [*parts, "<h3>All figures</h3>", _table([name.replace("_", " ") for name in COLUMNS], map(_cells, rows))]


def _table(names: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'
