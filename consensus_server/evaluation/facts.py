"""What a reader of the figures must know of the file: what was left out, what states nothing, what a gate cannot see."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from consensus_server.core.consensus.meaning.equivalences import KEYS
from consensus_server.evaluation.answer_files import JudgedAnswers
from consensus_server.evaluation.bank import Bank


@dataclass(frozen=True, slots=True)
class Facts:
    """Counts of one file, as it was measured."""

    models: int
    prompts: int
    left_out_models: int
    """Because of gaps, as `left_out_prompts`."""
    left_out_prompts: int
    empty_prompts: int
    """Prompts without a text: nothing is off topic there, and no word is the prompt's own."""
    keyed: int
    """Answers to prompts whose equivalence compares a key of each answer."""
    states_nothing: int
    """Of these: answers without a key. They agree with none, and are never right by `gold`."""
    equivalence: str | None
    """The one of most answers that state nothing; null where all do."""


def facts_of(answers: JudgedAnswers, bank: Bank) -> Facts:
    """bank: of the answers, with further columns or without."""
    columns, names = answers.preferences.shape[1], np.array(answers.equivalences, dtype=object)
    mute: Counter[str] = Counter()
    for name in sorted(set(answers.equivalences) & set(KEYS)):
        has_key = np.array([key is not None for key in bank.keys[name]]).reshape(bank.length.shape)[
            names == name, :columns
        ]
        mute[name] = int((~has_key).sum())
    keyed = sum(name in KEYS for name in answers.equivalences) * columns
    most = mute.most_common(1)
    return Facts(
        models=len(answers.models),
        prompts=len(answers.prompts),
        left_out_models=answers.left_out[0],
        left_out_prompts=answers.left_out[1],
        empty_prompts=sum(not prompt.strip() for prompt in answers.prompts),
        keyed=keyed,
        states_nothing=mute.total(),
        equivalence=most[0][0] if most and most[0][1] else None,
    )


def told(facts: Facts) -> list[str]:
    """Sentences on what was left out and what is not as usual; none for a whole file with nothing to say of it."""
    said = []
    if facts.left_out_models or facts.left_out_prompts:
        said.append(
            f"Because of gaps {facts.left_out_models} models and {facts.left_out_prompts} prompts were left out."
        )
    if facts.empty_prompts:
        said.append(
            f"{facts.empty_prompts} of {facts.prompts} prompts are empty: there the gate `off_topic` is off, and no word counts "
            "as the prompt's own."
        )
    if facts.states_nothing and not mostly_mute(facts):
        said.append(f"{facts.states_nothing} of {facts.keyed} answers state nothing under `{facts.equivalence}`.")
    return said


def mostly_mute(facts: Facts) -> str | None:
    """The warning where most answers state nothing that is compared; None elsewhere."""
    if 2 * facts.states_nothing <= facts.keyed:
        return None
    return (
        f"Caution: {facts.states_nothing} of {facts.keyed} answers state nothing under `{facts.equivalence}`: they agree with "
        "none, and these figures tell little of the rule. Another equivalence may read them (--equivalence)."
    )
