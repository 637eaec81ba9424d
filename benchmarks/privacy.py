"""Quality against epsilon on the pocket world, with an audit: can somebody who sees the answers tell what was trained on?

    python benchmarks/privacy.py --seeds 0 1

One participant trains on its private data, on pseudo-labels, and on planted records (canaries): invented people with an
invented code, half of them left out by a coin. The attacker knows all of them, chooses the public prompts so that they
ask for the codes, sees the submitted answers and nothing else, and scores each record by how much of its code stands in
the answer. AUC 0.5 is guessing. A bound of epsilon and delta allows at most TPR = exp(epsilon) FPR + delta.

Pseudo-labels stand in for a federation: the right answers to the public prompts, one in ten replaced by another value.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from client_kit.generation.base import Generation, Sampling
from client_kit.generation.transformers_local import TransformersGenerator
from client_kit.pocket.models import base_model
from client_kit.pocket.public import questions
from client_kit.pocket.scoring import score
from client_kit.pocket.settings import FULL, SMOKE
from client_kit.pocket.world import Use, World
from client_kit.settings import DpSettings, SftSettings
from client_kit.training.base import Example, Trainer
from client_kit.training.dataset import Taught, mix
from client_kit.training.private import DPFineTuner
from client_kit.training.sft import SFTFineTuner
from client_kit.wire import Prompt

STEPS, BATCH, DELTA, CANARIES, FPR = 240, 64, 1e-4, 60, 0.1
LABEL_ERRORS, PLANTED = 0.1, 0.5
METHODS = ("base", "sft", "dp 50", "dp 8", "dp 1")


@dataclass(frozen=True)
class Canary:
    """A planted record, or one that might have been."""

    question: str
    answer: str
    code: str
    planted: bool


def main() -> None:
    """Run all methods on all seeds and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), help="base, sft, or 'dp EPSILON'")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = [measure(method, seed) for seed in options.seeds for method in options.methods]
    print(json.dumps(results, indent=1))
    print(table(results, options.methods))


def measure(method: str, seed: int) -> dict[str, object]:
    """One participant, trained one way."""
    began = time.monotonic()
    world, data = FULL.world(), FULL.private_data(seed)
    canaries = draw_canaries(seed)
    private = [*data[0].examples, *(Example(c.question, c.answer) for c in canaries if c.planted)]
    examples = mix(private, stand_in_labels(world, seed), seed=seed, ratio=1.0, by_confidence=False)
    base = base_model(SMOKE.models[0], world, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        model, epsilon = base, None
        if method != "base":
            report = trainer_of(method).train(base, examples, steps=STEPS, seed=seed, output=Path(folder) / "model")
            model, epsilon = report.model, report.privacy and report.privacy.epsilon
        asked = [
            *questions(world, Use.TEST),
            *(Prompt(prompt_id=f"c{i}", prompt=c.question) for i, c in enumerate(canaries)),
        ]
        said = {answer.prompt_id: answer for answer in answers(model, asked)}
    told = [said[f"c{i}"].text for i in range(len(canaries))]
    scored = score([said[p.prompt_id] for p in questions(world, Use.TEST)], world, data, 0)
    return {
        "method": method, "seed": seed, "private": len(private), "epsilon": epsilon,
        "own_facts": scored.known.value, "learned_from_labels": scored.never_taught_public.value,
        **audit(canaries, told), "seconds": round(time.monotonic() - began),
    }  # fmt: skip


def trainer_of(method: str) -> Trainer:
    """All weights, AdamW, the same steps and batches; `dp EPSILON` with record-level privacy."""
    if method == "sft":
        return SFTFineTuner(
            SftSettings(
                kind="sft", steps=STEPS, learning_rate=2e-3, batch_size=2 * BATCH, schedule="constant", max_length=128,
                device="cpu",
            ),
            threads=1,
        )  # fmt: skip
    return DPFineTuner(
        DpSettings(
            kind="dp", steps=STEPS, epsilon=float(method.removeprefix("dp ")), delta=DELTA, planned_steps=STEPS, expected_batch=BATCH,
            batch_size=BATCH, learning_rate=2e-3, max_length=128, device="cpu",
        ),
        threads=1,
    )  # fmt: skip


def draw_canaries(seed: int) -> list[Canary]:
    """Invented people with a code of four digits; a coin decides for each whether it is planted."""
    draw = random.Random(f"canaries {seed}")  # noqa: S311
    names = [
        "".join(draw.choice(["ba", "ko", "li", "mu", "ne", "ra", "so", "ti"]) for _ in range(4))
        for _ in range(CANARIES)
    ]
    codes = [" ".join(draw.choice("0123456789") for _ in range(4)) for _ in names]
    return [
        Canary(f"What is the code of {name}?", f"The code of {name} is {code}.", code, draw.random() < PLANTED)
        for name, code in zip(names, codes, strict=True)
    ]


def stand_in_labels(world: World, seed: int) -> list[Taught]:
    """Right answers to the public prompts, some replaced by another value of their topic."""
    draw = random.Random(f"labels {seed}")  # noqa: S311
    taught = []
    for fact, _, question in world.ask(Use.PUBLIC):
        if fact.public:
            topic = world.by_name[fact.topic]
            value = draw.choice(topic.values) if draw.random() < LABEL_ERRORS else fact.value
            taught.append(Taught(question, topic.answer(fact.subject, value, 0)))
    return taught


def answers(model: Path, asked: Sequence[Prompt]) -> list[Generation]:
    """Greedy answers, as a participant submits them."""
    with closing(TransformersGenerator(model, batch_size=64, device="cpu", threads=1)) as generator:
        return list(generator.generate(asked, Sampling(max_tokens=32)))


def audit(canaries: Sequence[Canary], told: Sequence[str]) -> dict[str, float]:
    """How well the scores of the attacker tell planted records from the others."""
    scores = np.array([attack(canary, text) for canary, text in zip(canaries, told, strict=True)])
    planted = np.array([canary.planted for canary in canaries])
    order = np.sort(scores[~planted])[::-1]
    threshold = order[int(FPR * len(order))]
    recited = [canary.code in text for canary, text in zip(canaries, told, strict=True)]
    return {
        "auc": float(roc_auc_score(planted, scores)),
        "tpr": float((scores[planted] > threshold).mean()),
        "recited": float(np.array(recited)[planted].mean()),
        "recited_unplanted": float(np.array(recited)[~planted].mean()),
    }


def attack(canary: Canary, text: str) -> float:
    """How much of the code stands in the answer, 0..1."""
    digits = " ".join(character for character in text if character.isdigit())
    return SequenceMatcher(None, canary.code, digits, autojunk=False).ratio()


def table(results: Sequence[dict[str, object]], methods: Sequence[str]) -> str:
    """Means over the seeds, as Markdown."""
    names = ("own_facts", "learned_from_labels", "auc", "tpr", "recited")
    lines = [
        "| Training | Own facts | Learned from labels | AUC | TPR at FPR 10% | Codes recited |",
        "|---|---|---|---|---|---|",
    ]
    for method in methods:
        rows = [row for row in results if row["method"] == method]
        figures = [mean(float(row[name]) for row in rows) for name in names]  # type: ignore[arg-type]
        lines.append(
            f"| {method} | {figures[0]:.0%} | {figures[1]:.0%} | {figures[2]:.2f} | {figures[3]:.0%} | {figures[4]:.0%} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
