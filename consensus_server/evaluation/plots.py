"""The plots of a report: plotly for people's browsers, Mermaid and tables where Markdown is read."""

from collections.abc import Sequence
from typing import Any

from consensus_server.evaluation import figures
from consensus_server.evaluation.rows import Finding, Row


def setting(row: Row) -> str:
    """Name of a rule with its settings."""
    marks = [mark for mark, given in (("guards", row.guards), ("reliability", row.reliability)) if given]
    return ", ".join([row.rule, *marks])


def quality_plot(rows: Sequence[Row]) -> str:
    """Quality of each setting with its interval, between a random and the best participant."""
    from plotly.graph_objects import Figure, Scatter  # noqa: PLC0415 - an extra

    names = [setting(row) for row in rows]
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [(row.quality_high or 0) - (row.quality or 0) for row in rows],
        "arrayminus": [(row.quality or 0) - (row.quality_low or 0) for row in rows],
    }
    shown = [
        ("quality", [row.quality for row in rows], "circle"),
        ("adjusted for length", [row.length_adjusted_quality for row in rows], "diamond-open"),
        ("random participant", [row.random for row in rows], "x"),
        ("best participant", [row.best_single for row in rows], "star"),
    ]
    traces = [
        Scatter(x=x, y=names, mode="markers", name=name, marker={"symbol": symbol, "size": 9})
        for name, x, symbol in shown
        if name == "quality" or any(value is not None for value in x)
    ]
    traces[0].error_x = bars
    return _drawn(Figure(traces), 160 + 28 * len(rows), xaxis="quality", yaxis={"autorange": "reversed"})


def risk_coverage_plot(findings: Sequence[Finding]) -> str:
    """How good the labels are that are left when the least confident ones are dropped."""
    from plotly.graph_objects import Figure, Scatter  # noqa: PLC0415 - an extra

    traces = []
    for finding in findings:
        curve, name = _curve(finding)
        if curve:
            coverage, quality = zip(*curve, strict=True)
            traces.append(Scatter(x=coverage, y=quality, mode="lines", name=name))
    return _drawn(
        Figure(traces), 460, xaxis="coverage: share of the labels kept, by confidence", yaxis="quality of those"
    )


def _curve(finding: Finding, points: int = 20) -> tuple[list[tuple[float, float]], str]:
    """The curve and its name; where no worth is known, the one that the confidence itself foretells."""
    name = setting(finding.row)
    if curve := figures.risk_coverage(finding.confidence, finding.worth, points):
        return curve, name
    return figures.risk_coverage(
        finding.confidence, finding.confidence, points
    ), f"{name} (by confidence alone, not judged)"


def attack_map(rows: Sequence[Row]) -> str:
    """Share of the labels that are the attackers', by attack, their number and rule."""
    from plotly.graph_objects import Figure, Heatmap  # noqa: PLC0415 - an extra

    columns, attacks, cells = attack_table(rows)
    figure = Figure(
        Heatmap(
            z=cells, x=columns, y=attacks, zmin=0, zmax=1, colorscale="Reds", texttemplate="%{z:.3f}", hoverongaps=False
        )
    )
    return _drawn(figure, 200 + 22 * len(attacks), xaxis="", yaxis={"autorange": "reversed"})


def attack_table(rows: Sequence[Row]) -> tuple[list[str], list[str], list[list[float | None]]]:
    """Columns (rule and number of attackers), attacks, and the attackers' share of the labels."""
    found = {(f"{setting(row)} x {row.attackers}", row.attack or ""): row.attack_success for row in rows if row.attack}
    columns, attacks = (list(dict.fromkeys(key[i] for key in found)) for i in (0, 1))
    return columns, attacks, [[found.get((column, attack)) for column in columns] for attack in attacks]


def _drawn(figure: Any, height: int, *, xaxis: str, yaxis: object) -> str:  # noqa: ANN401 - plotly has no types
    figure.update_layout(
        height=height, template="plotly_white", xaxis={"title": xaxis}, yaxis=yaxis if isinstance(yaxis, dict) else {"title": yaxis},
        legend={"orientation": "h", "y": -0.2}, margin={"t": 20, "r": 20},
    )  # fmt: skip
    figure.update_yaxes(automargin=True)
    drawn: str = figure.to_html(full_html=False, include_plotlyjs=False)
    return drawn


def mermaid_quality(rows: Sequence[Row]) -> list[str]:
    """Bars of quality; nothing where none is known."""
    known = [row for row in rows if row.quality is not None]
    if not known:
        return []
    names = ", ".join(f'"{setting(row)}"' for row in known)
    values = ", ".join(f"{row.quality:.4f}" for row in known)
    return ["```mermaid", "xychart-beta horizontal", '  title "Quality by rule"', f"  x-axis [{names}]", '  y-axis "quality" 0 --> 1', f"  bar [{values}]", "```", ""]  # fmt: skip


def mermaid_risk_coverage(finding: Finding) -> list[str]:
    """The curve of one setting; nothing where it gave no label."""
    curve, name = _curve(finding, points=10)
    if not curve:
        return []
    names = ", ".join(f'"{coverage:.0%}"' for coverage, _ in curve)
    values = ", ".join(f"{quality:.4f}" for _, quality in curve)
    return ["```mermaid", "xychart-beta", f'  title "Quality of the most confident labels: {name}"', f'  x-axis "coverage" [{names}]', '  y-axis "quality"', f"  line [{values}]", "```", ""]  # fmt: skip
