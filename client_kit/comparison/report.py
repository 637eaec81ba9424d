"""The report of a comparison: `report.html`, `report.md`, `results.csv` and `results.json`."""

import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from client_kit.comparison.arms import ARMS
from client_kit.comparison.tables import Report, Row
from client_kit.comparison.text import STATED, byte_count, markdown, primary_test_text, setting_of, shown, times_lora
from client_kit.errors import MissingExtra
from client_kit.exports import write_whole

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS = {"labels": "#1f6feb", "parameters": "#d4762c", "alone": "#8b949e", "pooled": "#2da07a"}


def write_reports(report: Report, out: Path) -> None:
    """Write all four; each appears whole or not at all. Raises MissingExtra without the extra `report`."""
    page = _page(report)
    write_whole(out / "results.json", report.model_dump_json(indent=1) + "\n")
    write_whole(out / "results.csv", _csv(report))
    write_whole(out / "report.md", markdown(report))
    write_whole(out / "report.html", page)


_NOT_JUDGED = SimpleNamespace(mean=None, low=None, high=None)
_NO_COLUMN = frozenset({"private", "overall", "downloaded", "by_seed", "groups", "rounds_to_recover"})
"""Fields of a row that are no single number."""


def _csv(report: Report) -> str:
    text = io.StringIO()
    columns = [name for name in Row.model_fields if name not in _NO_COLUMN]
    means = [f"{name}{part}" for name in ("private", "overall", "downloaded") for part in ("", "_low", "_high")]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *means])
    for row in report.rows:
        means_of = (row.private, row.overall, row.downloaded or _NOT_JUDGED)
        intervals = [getattr(value, part) for value in means_of for part in ("mean", "low", "high")]
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
    environment.filters |= {"shown": shown, "bytes": byte_count, "times_lora": times_lora}
    options = {"displayModeBar": False, "responsive": True}
    figures = {"quality": quality(report), "traffic": traffic(report), "curves": curves(report)}
    charts = {
        name: figure.to_html(full_html=False, include_plotlyjs=False, div_id=f"chart-{name}", config=options)
        for name, figure in figures.items()
    }
    return environment.get_template("report.html.j2").render(
        report=report, plotly=get_plotlyjs(), charts=charts, setting=setting_of(report), stated=STATED,
        primary_test=primary_test_text(report),
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

    rows = [row for row in report.rows if not row.variant and row.total_sent_bytes > 0]
    trace = Scatter(
        x=[row.total_sent_bytes for row in rows], y=[row.overall.mean for row in rows], text=[row.label for row in rows],
        mode="markers+text", textposition="top center", marker={"size": 11, "color": [_colour(row) for row in rows]},
        hovertemplate="%{text}: %{x:,.0f} bytes, %{y:.1%}<extra></extra>",
    )  # fmt: skip
    figure = Figure([trace])
    figure.update_xaxes(type="log", title_text="bytes sent by a participant in all rounds", gridcolor="#e6e8eb")
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
