"""`consensus-server evaluate-labels --panel-memory`: what panels gain by what they remember."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from client_kit.command_line import CommandFailed, Exit, print_json, print_table, say
from client_kit.wire import Refusals
from consensus_server.evaluation.answer_files import JudgedAnswers
from consensus_server.evaluation.bank import make_bank
from consensus_server.evaluation.panel_memory import Gain, Learning, measure_learning
from consensus_server.evaluation.run import Plan, Progress
from consensus_server.panel_settings import MemorySettings
from consensus_server.ports import EmbeddingStore, Encoder
from consensus_server.service.contradictions import Comparisons

RESULTS: Final = "panel-memory.json"


@dataclass(frozen=True, slots=True)
class Measuring:
    """Files that were read, and what measures them."""

    answers: list[JudgedAnswers]
    encoder: Encoder
    store: EmbeddingStore
    comparisons: Comparisons
    progress: Progress


def refuse_for_learning(given: Mapping[str, object]) -> None:
    """Refuse options that would be ignored. Raises CommandFailed."""
    if ignored := [name for name, value in given.items() if value]:
        raise CommandFailed(
            f"--panel-memory measures one policy, and not by {', '.join(ignored)}.",
            Exit.USAGE,
            remedy="Name another rule with --set rule=NAME.",
        )


def learning_on(answers: JudgedAnswers, plan: Plan, material: Measuring) -> Learning:
    """Panels of the plan, by its policy as panels have it: without guards, which judge by the other prompts of a round."""
    if plan.equivalence is not None:
        answers = replace(answers, equivalences=(plan.equivalence,) * len(answers.prompts))
    policy = replace(plan.policy, abstain=False, guards=False)
    bank = make_bank(
        answers,
        [],
        material.encoder,
        material.store,
        lambda done, total: material.progress("embedding, answers", done, total),
        policy.contradictions,
        material.comparisons,
        drop_refusals=plan.refusals is Refusals.DROP,
    )
    half_life = MemorySettings().half_life_questions
    return measure_learning(answers.name, bank, policy, plan.panel_size, plan.panels, plan.seed, half_life)


def show_learning(found: list[Learning], out: Path, *, as_json: bool) -> None:
    """Write the results, and show them."""
    rows = {"rows": [each.as_json() for each in found]}
    (out / RESULTS).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(rows)
        return
    columns = ("file", "panel_size", "judged", "quality", "without_memory", "best_upstream")
    cells = [[_cell(getattr(each, name)) for name in columns] for each in found]
    print_table([name.replace("_", " ") for name in columns], cells, empty="no files")
    for each in found:
        say(f"{each.file}: less without a memory {_interval(each.over_none)}")
        say(f"{each.file}: less the best upstream {_interval(each.over_best)}")


def _interval(gain: Gain) -> str:
    if gain.mean is None or gain.low is None or gain.high is None:
        return "nothing to compare"
    return f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"


def _cell(value: object) -> object:
    return f"{value:.3f}" if isinstance(value, float) else value
