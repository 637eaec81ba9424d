"""`consensus-server evaluate-contradictions`: whether contradictory answers are kept apart, on judged pairs."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from client_kit.command_line import CommandFailed, Exit, JsonOption, print_json, print_table, say
from client_kit.stages import shown
from consensus_server.backends.encoders import DEFAULT_ENCODER
from consensus_server.backends.store import open_store
from consensus_server.cli.evaluating import TOLD_BY, cache_folder, folder_usable
from consensus_server.cli.operating import settings_from
from consensus_server.comparison_wiring import build_comparisons
from consensus_server.core.consensus.records import Policy
from consensus_server.core.errors import UnknownRule
from consensus_server.evaluation.contradictions import PairRow, measure_pairs, read_pairs
from consensus_server.service.contradictions import pinned
from consensus_server.wiring import load_configured_encoder


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "evaluate-contradictions",
        epilog="Example: consensus-server evaluate-contradictions pairs.jsonl",
    )(evaluate)


def evaluate(
    file: Annotated[
        Path, typer.Argument(help="JSON lines with a, b, label (contradict or same), and perhaps prompt and kind.")
    ],
    *,
    contradictions: Annotated[
        str, typer.Option(help=f"What tells contradictory answers apart. {TOLD_BY}", metavar="NAME")
    ] = Policy().contradictions,
    encoder: Annotated[str, typer.Option(help="Name or folder of the encoder.", metavar="NAME")] = DEFAULT_ENCODER,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps embeddings between runs.", metavar="DIR")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure on judged pairs of answers how many contradictions are found, and which answers still share a cluster."""
    pairs = read_pairs(file)
    folder = cache or cache_folder()
    with folder_usable(folder, "--cache"):
        folder.mkdir(parents=True, exist_ok=True)
        store = open_store(f"sqlite:///{(folder / 'embeddings.sqlite').resolve()}")
    try:
        settings = settings_from(encoder=encoder)
        comparisons = build_comparisons(settings, store.features, [contradictions])
        policy = Policy(contradictions=contradictions)
        pinned(policy, comparisons)
        loaded = load_configured_encoder(settings, store.embeddings)
        with shown() as progress:
            rows = measure_pairs(pairs, policy, loaded, store.embeddings, partial(progress, "embedding"), comparisons)
    except UnknownRule as error:
        raise CommandFailed(f"--contradictions: {error.faults[0].message}", Exit.USAGE) from None
    finally:
        store.close()
    if as_json:
        print_json({"rows": [row.as_json() for row in rows]})
        return
    print_table(
        ("label", "kind", "pairs", "found", "together, nobody looking", "together"),
        [*map(_cells, rows)],
        empty="no pairs",
    )
    say(
        "Found: a difference for which both cannot be right. Together: in one cluster, so that the two count as agreement."
    )


def _cells(row: PairRow) -> tuple[object, ...]:
    return row.label, row.kind, row.pairs, f"{row.found:.3f}", f"{row.together_without:.3f}", f"{row.together:.3f}"
