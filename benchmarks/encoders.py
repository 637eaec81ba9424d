"""Quality of the labels by encoder, rule, and how alike the participants are.

    python benchmarks/encoders.py pocket --out DIR
    python benchmarks/encoders.py FILE.jsonl.gz --prompts 100 --out DIR [--cache DIR] [--also NAME ...]

`pocket` makes judged answers of its own: twelve participants answer the questions of the pocket world in their own
wordings, right in 25 to 75 of 100 cases; each fact has three wrong values that go about. FILE: as for `consensus-server evaluate-labels`.

Encoders: the default; one fitted here (`consensus-server encoder fit`) to the answers to the file's prompts that are not
measured, or, where there are none, to the answers that are; the stand-in, which counts words and letters; `--also` adds
others by name or folder. Each gets the distances at which as many pairs of answers to a prompt lie close as with the
default encoder at the policy's: a cosine of one encoder says nothing about another's.

Panels of like participants have neighbours in the ranking by mean quality; panels of unlike ones have one of each of K
equal parts of it. Read each quality against `random` of its own panels.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from client_kit.pocket.world import load_world
from consensus_server.backends.encoders import DEFAULT_ENCODER, fit_lsa, load_encoder
from consensus_server.backends.store import open_store
from consensus_server.core.consensus.records import Policy
from consensus_server.evaluation.answer_files import JudgedAnswers, Wanted, read_judged_answers
from consensus_server.evaluation.bank import Bank, make_bank
from consensus_server.evaluation.figures import mean, two_way_interval
from consensus_server.evaluation.panels import decide_panel
from consensus_server.evaluation.records import Panel
from consensus_server.ports import Encoder

SIZE = 8
DISTANCES = (Policy().distance_short, Policy().distance_long)
"""Of the default encoder, for short and for long answers."""
BARE = {"guards": False, "reliability": False}
POLICIES = {
    "cluster_medoid": {"rule": "cluster_medoid", **BARE},
    "medoid": {"rule": "medoid", **BARE},
    "fused": {"rule": "fused", **BARE},
    "hybrid": {"rule": "hybrid", **BARE},
    "hybrid, guards, reliability": {"rule": "hybrid", "guards": True, "reliability": True},
}
screen = Console(stderr=True)


def main() -> None:
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        answers, others = _pocket() if options.file == "pocket" else _read(Path(options.file), options.prompts)
        fitted = fit_lsa(others, Path(temporary) / "fitted", source="benchmarks/encoders.py")
        named = [load_encoder(name) for name in (DEFAULT_ENCODER, "hashing", *options.also)]
        rows = measure(
            answers, [named[0], fitted, *named[1:]], options.panels, options.seed, options.cache or options.out
        )
    (options.out / "encoders.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    (options.out / "encoders.md").write_text(as_markdown(rows), encoding="utf-8")
    print(as_markdown(rows))


def measure(
    answers: JudgedAnswers, encoders: Sequence[Encoder], panels: int, seed: int, cache: Path
) -> list[dict[str, Any]]:
    """A row for each kind of panel, encoder and policy. The first encoder gives the distances."""
    store = open_store(f"sqlite:///{(cache / 'embeddings.sqlite').resolve()}")
    try:
        shares, rows = None, []
        for encoder in encoders:
            screen.print(f"{encoder.identity.name}: embedding and measuring")
            bank = make_bank(answers, [], encoder, store.embeddings)
            first = shares is None
            shares = shares or [_share_within(bank, distance) for distance in DISTANCES]
            distances = list(DISTANCES) if first else [_distance(bank, share) for share in shares]
            rows += _rows(answers, bank, encoder.identity.name, distances, panels, seed)
        return rows
    finally:
        store.close()


def _rows(  # noqa: PLR0917 - the arguments of `measure`
    answers: JudgedAnswers, bank: Bank, encoder: str, distances: list[float], panels: int, seed: int
) -> Iterator[dict[str, Any]]:
    for participants in ("like", "unlike"):
        drawn = [_panel(answers, participants, seed, number) for number in range(panels)]
        pools = np.stack([np.take_along_axis(answers.preferences, panel.columns, axis=1) for panel in drawn])
        policies = [_policy(fields, distances) for fields in POLICIES.values()]
        quality = np.stack(
            [_quality(bank, panel, policies) for panel in track(drawn, f"{encoder}, {participants}", console=screen)]
        )
        for name, values in zip(POLICIES, quality.transpose(1, 0, 2), strict=True):
            low, high = two_way_interval(values, seed)
            yield {
                "file": answers.name, "participants": participants, "encoder": encoder, "policy": name,
                "distances": [round(distance, 3) for distance in distances],
                "quality": mean(values), "quality_low": low, "quality_high": high,
                "random": mean(pools), "best_single": mean(np.nanmean(pools, axis=1).max(axis=1)),
            }  # fmt: skip


def _policy(fields: dict[str, Any], distances: list[float]) -> Policy:
    return Policy(**fields, abstain=False, distance_short=distances[0], distance_long=distances[1])


def _quality(bank: Bank, panel: Panel, policies: list[Policy]) -> np.ndarray:
    """What the labels are worth, by policy and prompt; nan for an abstention."""
    prompts = np.arange(len(panel.columns))
    slots = [picks.slot for picks in decide_panel(bank, panel, policies)]
    return np.stack([np.where(slot >= 0, bank.worth[prompts, panel.columns[prompts, slot]], np.nan) for slot in slots])


def _panel(answers: JudgedAnswers, participants: str, seed: int, number: int) -> Panel:
    """Members of panel `number`: neighbours in the ranking, or one of each of its equal parts."""
    ranking = np.argsort(np.nanmean(answers.preferences, axis=0), kind="stable")
    draw = np.random.default_rng([seed, SIZE, number])
    if participants == "like":
        start = draw.integers(len(ranking) - SIZE + 1)
        members = ranking[start : start + SIZE]
    else:
        members = np.array([draw.choice(part) for part in np.array_split(ranking, SIZE)])
    count = len(answers.prompts)
    return Panel(np.tile(draw.permutation(members), (count, 1)), SIZE, np.ones(count, dtype=bool))


def _pairs(bank: Bank) -> np.ndarray:
    """Cosines of all pairs of unlike answers to a prompt."""
    rows, columns = np.triu_indices(len(bank.names), 1)
    cosines = bank.cosine[:, rows, columns].ravel()
    return cosines[cosines < 1 - 1e-6]


def _share_within(bank: Bank, distance: float) -> float:
    return float((_pairs(bank) >= 1 - distance).mean())


def _distance(bank: Bank, share: float) -> float:
    return float(np.clip(1 - np.quantile(_pairs(bank), 1 - share), 0.001, 0.999))


def _read(file: Path, prompts: int | None) -> tuple[JudgedAnswers, list[str]]:
    """The answers to measure, and texts to fit to."""
    answers = read_judged_answers(file, Wanted(prompts))
    whole = read_judged_answers(file)
    used = set(answers.prompt_ids)
    rest = [row for name, row in zip(whole.prompt_ids, whole.outputs, strict=True) if name not in used] or whole.outputs
    return answers, [text for row in rest for text in row]


def _pocket() -> tuple[JudgedAnswers, list[str]]:
    """Judged answers of twelve participants, and all sentences of the world's topics with random values."""
    world, draw = load_world(), random.Random(0)  # noqa: S311 - not for secrets
    accuracy = np.linspace(0.25, 0.75, 12)
    favourite = [draw.randrange(4) for _ in accuracy]
    outputs, worth = [], []
    for fact in world.facts:
        topic = world.by_name[fact.topic]
        wrong = draw.sample(sorted(set(topic.values) - {fact.value}), 3)
        right = [draw.random() < share for share in accuracy]
        values = [fact.value if good else draw.choice(wrong) for good in right]
        wordings = [each if draw.random() < 0.7 else draw.randrange(4) for each in favourite]  # noqa: PLR2004 - a share
        outputs.append(tuple(map(topic.answer, [fact.subject] * 12, values, wordings)))
        worth.append([float(good) for good in right])
    judged = JudgedAnswers(
        name="pocket",
        prompt_ids=tuple(fact.fact_id for fact in world.facts),
        prompts=tuple(world.by_name[fact.topic].question(fact.subject, 0) for fact in world.facts),
        models=tuple(f"right-{share:.2f}" for share in accuracy),
        outputs=tuple(outputs),
        preferences=np.array(worth),
        equivalences=("semantic",) * len(world.facts),
    )
    return judged, [text for row in outputs for text in row]


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """A table with a line for each encoder and policy, and columns for like and unlike participants."""
    by_key = {(row["encoder"], row["policy"], row["participants"]): row for row in rows}
    lines = ["| Encoder | Rule | Like | Unlike |", "|---|---|---|---|"]
    for encoder, policy in dict.fromkeys((row["encoder"], row["policy"]) for row in rows):
        cells = [_cell(by_key[encoder, policy, kind]) for kind in ("like", "unlike")]
        lines.append(f"| {encoder} | {policy} | {cells[0]} | {cells[1]} |")
    for name in ("random", "best_single"):
        cells = [f"{by_key[rows[0]['encoder'], rows[0]['policy'], kind][name]:.3f}" for kind in ("like", "unlike")]
        lines.append(f"| | {name.replace('_', ' ')} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any]) -> str:
    return f"{row['quality']:.3f} ({row['quality_low']:.3f} to {row['quality_high']:.3f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="`pocket`, or a file of judged answers")
    parser.add_argument("--prompts", type=int, help="first prompts of the file; default: all")
    parser.add_argument("--panels", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--also", nargs="*", default=[], help="further encoders, by name or folder")
    parser.add_argument("--cache", type=Path, help="folder that keeps embeddings; default: DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    return parser.parse_args()


if __name__ == "__main__":
    main()
