"""The report of a pocket federation: one HTML file that needs nothing else, not even a network."""

from pathlib import Path
from typing import TYPE_CHECKING

from client_kit.errors import MissingExtra
from client_kit.pocket.results import DemoResults, ParticipantResult

if TYPE_CHECKING:
    from plotly.graph_objects import Bar, Figure

FEDERATION, ALONE, BEST, CONTROL, RIGHT, WRONG = "#1f6feb", "#d4762c", "#b8a08a", "#8b949e", "#2da07a", "#d95f5f"
COMPARED = {
    "known": "held, and right",
    "never_taught_public": "never taught,<br>but public",
    "outvoted": "held wrong, public,<br>most others right",
    "held_wrong": "held wrong",
    "control": "control:<br>in no public prompt",
}
"""Groups of facts that the report compares, and what it calls them."""


def write_report(results: DemoResults, path: Path) -> None:
    """Write the report; the file appears whole or not at all. Needs the extra `report`."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 (an extra)
        from plotly.offline import get_plotlyjs  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise MissingExtra("the report", "report") from error
    environment = Environment(
        loader=PackageLoader("client_kit.pocket", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"points": _points, "percent": _percent, "bytes": _bytes}
    page = environment.get_template("report.html.j2").render(
        results=results, plotly=get_plotlyjs(), charts=_charts(results), last=len(results.rounds) + 1
    )
    unfinished = path.with_suffix(".part")
    unfinished.write_text(page, encoding="utf-8")
    unfinished.replace(path)


def _charts(results: DemoResults) -> dict[str, str]:
    figures = {
        "curves": curves(results),
        "groups": groups(results),
        "precision": precision(results),
        "traffic": traffic(results),
    }
    options = {"displayModeBar": False, "responsive": True}
    return {
        name: figure.to_html(full_html=False, include_plotlyjs=False, div_id=f"chart-{name}", config=options)
        for name, figure in figures.items()
    }


def curves(results: DemoResults) -> "Figure":
    """Accuracy of each participant over the federation's trainings, beside training alone for as many steps."""
    from plotly.graph_objects import Scatter  # noqa: PLC0415 (an extra)
    from plotly.subplots import make_subplots  # noqa: PLC0415 (an extra)

    sites = results.participants
    figure = make_subplots(
        cols=len(sites), shared_yaxes=True, horizontal_spacing=0.02, subplot_titles=[_title(site) for site in sites]
    )
    for column, site in enumerate(sites, start=1):
        best = site.local_only.best["overall"].share
        lines = {
            "in the federation": ([scores["overall"].share for scores in site.scores], FEDERATION, "solid"),
            "alone, equal steps": (_alone(site), ALONE, "solid"),
            "alone, best checkpoint": ([best] * len(site.scores), BEST, "dot"),
        }
        for name, (values, colour, dash) in lines.items():
            line = Scatter(
                x=_stages(results), y=values, name=name, legendgroup=name, showlegend=column == 1,
                mode="lines" if dash == "dot" else "lines+markers", line={"color": colour, "dash": dash, "width": 2.5},
                hovertemplate="%{x}: %{y:.1%}<extra>" + name + "</extra>",
            )  # fmt: skip
            figure.add_trace(line, row=1, col=column)
    figure.update_yaxes(range=[0, 1], tickformat=".0%", gridcolor="#e6e8eb", zeroline=False)
    figure.update_yaxes(title_text="right answers, held-out wordings", row=1, col=1)
    figure.update_xaxes(showgrid=False, tickangle=-45)
    return _styled(figure, height=380, bottom=116)


def groups(results: DemoResults) -> "Figure":
    """Accuracy by what a participant was taught itself, mean over participants: alone and in the federation."""
    from plotly.graph_objects import Figure  # noqa: PLC0415 (an extra)

    asked = [group for group in COMPARED if any(site.scores[-1][group].total for site in results.participants)]
    names = [COMPARED[group] for group in asked]
    bars = {
        "before training": ([results.mean(group, 0) for group in asked], CONTROL),
        "alone, equal steps": ([results.mean_local(group) for group in asked], ALONE),
        "alone, best checkpoint": ([results.mean_local(group, best=True) for group in asked], BEST),
        "in the federation": ([results.mean(group, -1) for group in asked], FEDERATION),
    }
    figure = Figure([_bar(names, values, name=name, colour=colour) for name, (values, colour) in bars.items()])
    figure.update_yaxes(range=[0, 1.05], tickformat=".0%", gridcolor="#e6e8eb", zeroline=False)
    return _styled(figure, height=340, top=24, bottom=96)


def precision(results: DemoResults) -> "Figure":
    """Right and wrong pseudo-labels by grade, a panel per round."""
    from plotly.graph_objects import Bar  # noqa: PLC0415 (an extra)
    from plotly.subplots import make_subplots  # noqa: PLC0415 (an extra)

    titles = [f"<b>Round {row.number}</b><br>{row.labels} labels, {row.precision:.0%} right" for row in results.rounds]
    figure = make_subplots(cols=len(titles), shared_yaxes=True, horizontal_spacing=0.03, subplot_titles=titles)
    for column, row in enumerate(results.rounds, start=1):
        grades = [level.grade.replace("_", " ") for level in row.by_grade]
        parts = {
            "right": ([level.right for level in row.by_grade], RIGHT),
            "wrong": ([level.labels - level.right for level in row.by_grade], WRONG),
        }
        for name, (values, colour) in parts.items():
            bar = Bar(
                x=grades, y=values, name=name, legendgroup=name, showlegend=column == 1, marker_color=colour,
                hovertemplate="%{x}: %{y} " + name + "<extra></extra>",
            )  # fmt: skip
            figure.add_trace(bar, row=1, col=column)
        for level, name in zip(row.by_grade, grades, strict=True):
            figure.add_annotation(
                x=name, y=level.labels, text=f"{level.right / level.labels:.0%}", showarrow=False, yshift=10,
                font={"size": 12, "color": "#424a53"}, row=1, col=column,
            )  # fmt: skip
    figure.update_layout(barmode="stack")
    figure.update_yaxes(gridcolor="#e6e8eb", zeroline=False)
    figure.update_yaxes(title_text="pseudo-labels", row=1, col=1)
    return _styled(figure, height=320)


def traffic(results: DemoResults) -> "Figure":
    """Kilobytes on the wire by participant, sent and received, all rounds together."""
    from plotly.graph_objects import Figure  # noqa: PLC0415 (an extra)

    names = [site.participant for site in results.participants]
    sent = [site.sent_bytes / 1000 for site in results.participants]
    received = [site.received_bytes / 1000 for site in results.participants]
    figure = Figure(
        [
            _bar(names, sent, name="sent", colour=FEDERATION, form=".0f"),
            _bar(names, received, name="received", colour="#79aef5", form=".0f"),
        ]
    )
    figure.update_yaxes(title_text="kB, all rounds", gridcolor="#e6e8eb", zeroline=False)
    return _styled(figure, height=270, top=28)


def _bar(x: list[str], y: list[float], *, name: str, colour: str, form: str = ".0%") -> "Bar":
    from plotly.graph_objects import Bar  # noqa: PLC0415 (an extra)

    text = f"%{{y:{form}}}"
    return Bar(
        x=x, y=y, name=name, marker_color=colour, texttemplate=text, textposition="outside", cliponaxis=False,
        hovertemplate="%{x}: " + text + "<extra>" + name + "</extra>",
    )  # fmt: skip


def _alone(site: ParticipantResult) -> list[float]:
    """Accuracy alone after as many steps as the federation's trainings: the base model first."""
    return [site.scores[0]["overall"].share, *(scores["overall"].share for scores in site.local_only.scores)]


def _stages(results: DemoResults) -> list[str]:
    return ["base", "private", *(f"round {row.number}" for row in results.rounds)]


def _title(site: ParticipantResult) -> str:
    return f"<b>{site.participant}</b><br>{site.architecture}, {site.tokenizer}"


def _styled(figure: "Figure", *, height: int, top: int = 56, bottom: int = 84) -> "Figure":
    figure.update_layout(
        height=height,
        margin={"l": 56, "r": 12, "t": top, "b": bottom},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "Inter, system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 13, "color": "#24292f"},
        legend={"orientation": "h", "yref": "container", "y": 0.02, "yanchor": "bottom", "x": 0.5, "xanchor": "center"},
        bargap=0.28,
    )
    figure.update_annotations(font_size=13)
    return figure


def _points(value: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * value:+.1f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _bytes(count: float) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"  # noqa: PLR2004 (units)
