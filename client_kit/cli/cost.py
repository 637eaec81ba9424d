"""`consensus cost`: what a round costs on the wire, by method."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client_kit.command_line import JsonOption, print_json, print_table, say
from client_kit.comparison.architectures import ARCHITECTURES, Architecture, architecture
from client_kit.comparison.cost import METHODS, Budget, cost, explain
from client_kit.errors import MissingExtra
from client_kit.exports import write_whole

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def cost_of(  # noqa: PLR0917 - a command's options are its parameters
    model: Annotated[
        str, typer.Option(help="Published name, or a folder with a config.json.")
    ] = "meta-llama/Llama-3.1-8B",
    method: Annotated[list[str] | None, typer.Option(help="A method; repeat for each. By default all.")] = None,
    rank: Annotated[int, typer.Option(help="Rank of LoRA and LoReFT.")] = 16,
    targets: Annotated[str, typer.Option(help="Matrices with an adapter: qv, attention or all-linear.")] = "all-linear",
    precision: Annotated[
        str, typer.Option(help="Number format on the wire: float32, bfloat16 or float16.")
    ] = "bfloat16",
    participants: Annotated[int, typer.Option(help="Participants, for FLoRA: it sends everyone's factors back.")] = 5,
    prompts: Annotated[int, typer.Option(help="Public prompts of a round.")] = 1_000,
    answer_tokens: Annotated[int, typer.Option(help="Tokens of an answer.")] = 128,
    bytes_per_token: Annotated[float, typer.Option(help="UTF-8 bytes of a token, uncompressed.")] = 4.2,
    factor: Annotated[
        float | None, typer.Option("--explain", help="The text budgets that would yield this factor, such as 1006.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write an HTML plot of bytes against model size.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Bytes of one participant in one round, by method, from architecture figures; no model is loaded.

    Example: consensus cost --model meta-llama/Llama-3.1-405B --rank 16 --prompts 1000 --answer-tokens 128
    """
    chosen = architecture(model)
    budget = Budget(rank, targets, precision, participants, prompts, answer_tokens, bytes_per_token)
    if plot is not None:
        _write_plot(plot, budget)
    if factor is not None:
        _explain(factor, model, chosen, budget, as_json=as_json)
        return
    rows = {name: cost(chosen, name, budget) for name in method or METHODS}
    if as_json:
        print_json({"model": model, "parameters": chosen.parameters, "budget": asdict(budget),
                    "methods": {name: asdict(row) for name, row in rows.items()}})  # fmt: skip
        return
    text = budget.text_bytes
    print_table(
        ["Method", "Up", "Down", "Up, against the answers"],
        [[name, f"{row.up:,}", f"{row.down:,}", f"{row.up / text:,.1f}"] for name, row in rows.items()],
        empty="There is nothing to count.",
    )
    say(f"Bytes per participant and round. {model}: {chosen.parameters:,} parameters. Text uncompressed, no headers.")


def _explain(factor: float, name: str, model: Architecture, budget: Budget, *, as_json: bool) -> None:
    fits = list(explain(factor, model, budget))
    if as_json:
        print_json([asdict(fit) for fit in fits])
        return
    print_table(
        ["Against", "Matrices", "Rank", "Precision", "Bytes up", "Text bytes", "Tokens"],
        [[f.method, f.targets, f.rank or "", f.precision, f"{f.adapter_bytes:,}", f"{f.text_bytes:,.0f}", f"{f.tokens:,.0f}"]
         for f in fits],
        empty="There is nothing to fit.",
    )  # fmt: skip
    say(f"The text of a round that would be {factor:g} times smaller, for {name}. A fit, not a reproduction.")


def _write_plot(file: Path, budget: Budget) -> None:
    try:
        figure = _figure(budget)
    except ImportError as error:
        raise MissingExtra("The plot", "report") from error
    write_whole(file, figure.to_html(include_plotlyjs=True))


def _figure(budget: Budget) -> "Figure":
    """Bytes up against model size, both on logarithmic axes."""
    from plotly.graph_objects import Figure, Scatter  # noqa: PLC0415 (an extra)

    models = sorted(ARCHITECTURES.items(), key=lambda item: item[1].parameters)
    traces = [
        Scatter(
            x=[found.parameters for _, found in models], y=[cost(found, name, budget).up for _, found in models],
            text=[title for title, _ in models], name=name, mode="lines+markers",
            hovertemplate="%{text}: %{y:,.0f} bytes<extra>" + name + "</extra>",
        )
        for name in METHODS
    ]  # fmt: skip
    figure = Figure(traces)
    figure.update_xaxes(type="log", title_text="parameters of the model")
    figure.update_yaxes(type="log", title_text="bytes sent by a participant in a round")
    return figure
