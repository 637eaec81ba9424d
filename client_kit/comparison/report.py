"""The report of a comparison: `report.html`, `report.md`, `results.csv` and `results.json`."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from client_kit.comparison.results import Interval
from client_kit.comparison.tables import Report, Row
from client_kit.errors import MissingExtra
from client_kit.exports import write_whole

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS = {"labels": "#1f6feb", "parameters": "#d4762c", "alone": "#8b949e", "pooled": "#2da07a"}
_STATED = (
    "Quality is the share of right answers on test questions, mean over participants; 95 % intervals are Student's t over "
    "seeds. Bytes are counted on the wire, headers included, per participant and round."
)


def write_reports(report: Report, out: Path) -> None:
    """Write all four; each appears whole or not at all. Raises MissingExtra without the extra `report`."""
    page = _page(report)
    write_whole(out / "results.json", report.model_dump_json(indent=1) + "\n")
    write_whole(out / "results.csv", _csv(report))
    write_whole(out / "report.md", markdown(report))
    write_whole(out / "report.html", page)


def markdown(report: Report) -> str:
    """The tables as text."""
    lines = ["# Comparison", "", _setting(report), ""]
    for variant in dict.fromkeys(row.variant for row in report.rows):
        if variant:
            change = ", ".join(
                f"{key} {value}" for key, value in report.plan.variants[variant].items() if key != "methods"
            )
            lines += [f"## {variant}: {change}", ""]
        lines += [
            "| Method | Trains | Own questions | All questions | Sent | Received | Trainable | of LoRA's | CPU s | Labels right |",
            "|---|---|---|---|---|---|---|---|---|---|",
            *(_line(row) for row in report.rows if row.variant == variant),
            "",
            *_drift_lines([row for row in report.rows if row.variant == variant]),
        ]
    return "\n".join([*lines, _STATED, "", verdict_text(report), ""])


def verdict_text(report: Report) -> str:
    """The primary test in words."""
    found = report.verdict
    if found is None:
        return (
            "Primary test: not made; it needs consensus and a method that shares parameters in the plan's own setting."
        )
    said = f"Primary test, own questions: {found.consensus} less {found.best} is {_shown(found.difference)}"
    if found.lower_bound is None:
        return said + "; one seed is no test."
    outcome = "not inferior" if found.not_inferior else "not shown to be non-inferior"
    return f"{said}; one-sided 95 % bound {found.lower_bound:+.3f} against a margin of {found.margin:.3f} stated before: {outcome}."


def times_lora(row: Row) -> str:
    """Trainable numbers as a multiple of LoRA's of the same rank."""
    return "" if row.against_lora is None else f"{row.against_lora:.2f}"


def _drift_lines(rows: Sequence[Row]) -> list[str]:
    """Where facts are replaced: what became of the old and the new ones."""
    if all(row.rounds_to_recover is None for row in rows):
        return []
    heads = ["| Method | Kept facts | Replaced, new value | Replaced, still the old | Rounds to recover, by seed |",
             "|---|---|---|---|---|"]  # fmt: skip
    return [*heads, *map(_drift_line, rows), ""]


def _drift_line(row: Row) -> str:
    shares = [f"{row.groups[name]:.3f}" for name in ("kept", "replaced", "stale")]
    rounds = ", ".join("never" if each is None else str(each) for each in row.rounds_to_recover or ())
    return "| " + " | ".join([row.label, *shares, rounds]) + " |"


def _line(row: Row) -> str:
    right = "" if row.label_precision is None else f"{row.label_precision:.2f} of {row.label_coverage or 0:.2f}"
    cells = (
        row.label, row.training, _shown(row.private), _shown(row.overall), _bytes(row.sent_bytes), _bytes(row.received_bytes),
        f"{row.trainable:,.0f}", times_lora(row), f"{row.cpu_seconds:.0f}", right,
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _setting(report: Report) -> str:
    plan = report.plan
    return (
        f"Task `{plan.task}`, {plan.sites} participants, {plan.rounds} rounds, {plan.local_steps} + {plan.rounds} x "
        f"{plan.round_steps} steps each, seeds {', '.join(map(str, plan.seeds))}; base models, private data and training "
        "are drawn anew for each seed. Centralised takes the steps of all participants together."
    )


def _shown(value: Interval) -> str:
    if value.low is None or value.high is None:
        return f"{value.mean:.3f}"
    return f"{value.mean:.3f} ({value.low:.3f} to {value.high:.3f})"


def _bytes(count: float) -> str:
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def _csv(report: Report) -> str:
    text = io.StringIO()
    columns = [name for name in Row.model_fields if name not in {"private", "overall", "groups", "rounds_to_recover"}]
    means = [f"{name}{part}" for name in ("private", "overall") for part in ("", "_low", "_high")]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *means])
    for row in report.rows:
        intervals = [getattr(value, part) for value in (row.private, row.overall) for part in ("mean", "low", "high")]
        writer.writerow([*(getattr(row, name) for name in columns), *intervals])
    return text.getvalue()


def _page(report: Report) -> str:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 (an extra)
        from plotly.offline import get_plotlyjs  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise MissingExtra("the report", "report") from error
    environment = Environment(
        loader=PackageLoader("client_kit.comparison", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"shown": _shown, "bytes": _bytes, "times_lora": times_lora}
    options = {"displayModeBar": False, "responsive": True}
    figures = {"quality": quality(report), "traffic": traffic(report), "curves": curves(report)}
    charts = {
        name: figure.to_html(full_html=False, include_plotlyjs=False, div_id=f"chart-{name}", config=options)
        for name, figure in figures.items()
    }
    return environment.get_template("report.html.j2").render(
        report=report, plotly=get_plotlyjs(), charts=charts, setting=_setting(report), stated=_STATED,
        verdict=verdict_text(report),
    )  # fmt: skip


def quality(report: Report) -> "Figure":
    """Quality on own questions by method, with intervals, best at the top."""
    from plotly.graph_objects import Figure, Scatter  # noqa: PLC0415 (an extra)

    rows = sorted((row for row in report.rows if not row.variant), key=lambda row: row.private.mean)
    above = [(row.private.high or row.private.mean) - row.private.mean for row in rows]
    trace = Scatter(
        x=[row.private.mean for row in rows], y=[row.label for row in rows], mode="markers",
        error_x={"array": above, "color": "#8b949e"}, marker={"size": 10, "color": [_colour(row) for row in rows]},
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )  # fmt: skip
    figure = Figure([trace])
    figure.update_xaxes(tickformat=".0%", title_text="right answers on own questions", gridcolor="#e6e8eb")
    return _styled(figure, 60 + 28 * len(rows))


def traffic(report: Report) -> "Figure":
    """Quality against bytes sent: what is shared costs, and what it buys."""
    from plotly.graph_objects import Figure, Scatter  # noqa: PLC0415 (an extra)

    rows = [row for row in report.rows if not row.variant and row.sent_bytes > 0]
    trace = Scatter(
        x=[row.sent_bytes for row in rows], y=[row.overall.mean for row in rows], text=[row.label for row in rows],
        mode="markers+text", textposition="top center", marker={"size": 11, "color": [_colour(row) for row in rows]},
        hovertemplate="%{text}: %{x:,.0f} bytes, %{y:.1%}<extra></extra>",
    )  # fmt: skip
    figure = Figure([trace])
    figure.update_xaxes(type="log", title_text="bytes sent by a participant in a round", gridcolor="#e6e8eb")
    figure.update_yaxes(tickformat=".0%", title_text="right answers, all questions", gridcolor="#e6e8eb")
    return _styled(figure, 460)


def curves(report: Report) -> "Figure":
    """Quality after each training, by method."""
    from plotly.graph_objects import Figure, Scatter  # noqa: PLC0415 (an extra)

    stages = ["before", "private", *(f"round {number}" for number in range(1, report.plan.rounds + 1))]
    labels = {row.method: row for row in report.rows if not row.variant}
    traces = [
        Scatter(x=stages, y=values, name=labels[method].label, mode="lines+markers", line={"color": _colour(labels[method])},
                hovertemplate="%{x}: %{y:.1%}<extra>" + labels[method].label + "</extra>")
        for method, values in report.curves.items()
    ]  # fmt: skip
    figure = Figure(traces)
    figure.update_yaxes(tickformat=".0%", title_text="right answers, all questions", gridcolor="#e6e8eb")
    return _styled(figure, 420, legend=True)


def _colour(row: Row) -> str:
    from client_kit.comparison.arms import ARMS  # noqa: PLC0415 - kept beside its one use

    return COLOURS[ARMS[row.method].kind]


def _styled(figure: "Figure", height: int, *, legend: bool = False) -> "Figure":
    figure.update_layout(
        height=height,
        showlegend=legend,
        margin={"l": 56, "r": 16, "t": 24, "b": 56},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "Inter, system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 13, "color": "#24292f"},
    )
    figure.update_yaxes(automargin=True)
    return figure
