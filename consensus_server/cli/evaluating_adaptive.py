"""`consensus-server evaluate-labels --adaptive`: what asking a few upstreams first saves, and what it changes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from client_kit.command_line import CommandFailed, Exit, print_json, print_table
from client_kit.wire import Refusals
from consensus_server.core.asking import Adaptive
from consensus_server.evaluation.adaptive import AdaptivePlan, AdaptiveRow, measure_adaptive
from consensus_server.evaluation.answer_files import JudgedAnswers
from consensus_server.evaluation.run import Plan, Progress
from consensus_server.ports import EmbeddingStore, Encoder

SHOWN = ("file", "order", "calls", "same", "verbatim", "wrongly_answered", "withheld", "quality_of_all", "difference")
FIRST = 4
LEAD = 3.0
_PANEL: Mapping[str, Any] = {"guards": False, "reliability": False, "abstain": True}
"""What a panel's policy has where nothing is said."""


def check_adaptive(plan: Plan, first: int) -> None:
    """Refuse what would be ignored. Raises CommandFailed."""
    if first > plan.panel_size:
        raise CommandFailed(f"--first {first}: a panel has {plan.panel_size} participants.", Exit.USAGE)
    if plan.attacks or plan.against or plan.equivalence is not None:
        raise CommandFailed(
            "--adaptive is held against asking everybody, on the file as it is.",
            Exit.USAGE,
            remedy="Leave out --attacks, --against and --equivalence.",
        )


def adaptive_rows(  # noqa: PLR0917 - the first two are bound by the command
    first: int,
    lead: float,
    answers: JudgedAnswers,
    plan: Plan,
    encoder: Encoder,
    store: EmbeddingStore,
    progress: Progress,
) -> list[AdaptiveRow]:
    """Measured under the plan's policy; what of it was not said is a panel's."""
    asked = AdaptivePlan(
        asking=Adaptive(first=first, lead=lead),
        panel_size=plan.panel_size,
        panels=plan.panels,
        seed=plan.seed,
        policy=replace(plan.policy, **{name: each for name, each in _PANEL.items() if name not in plan.fixed}),
        drop_refusals=plan.refusals is Refusals.DROP,
        comparisons=plan.comparisons,
    )
    return measure_adaptive(answers, asked, encoder, store, progress)


def show_adaptive(rows: Sequence[AdaptiveRow], out: Path, *, as_json: bool) -> None:
    """Write `adaptive.json`, and print the figures."""
    written = [row.as_json() for row in rows]
    (out / "adaptive.json").write_text(json.dumps(written, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if as_json:
        print_json({"rows": written})
        return
    cells = [[f"{each:.3f}" if isinstance(each := row[name], float) else each for name in SHOWN] for row in written]
    print_table([name.replace("_", " ") for name in SHOWN], cells, empty="Nothing was measured.")
