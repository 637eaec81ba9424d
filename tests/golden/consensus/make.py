"""Writes `pools.json` and `decisions.json`. Run it only when decisions are meant to change, and read the difference.

python tests/golden/consensus/make.py
"""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from consensus_server.core.consensus import CONFIDENCES, RULES, Decision, Policy, Pool, decide

HERE = Path(__file__).parent


def made_up_pools(count: int = 14, dimension: int = 6) -> list[dict[str, object]]:
    """Pools of 1 to 9 answers around three meanings: copies, many samples, an empty answer, short and long texts."""
    rng = np.random.default_rng(20_26)
    return [_made_up_pool(rng, number, dimension) for number in range(count)]


def _made_up_pool(rng: np.random.Generator, number: int, dimension: int) -> dict[str, object]:
    size = 1 + number % 9
    meanings = rng.normal(size=(3, dimension))
    meaning = rng.choice(3, size, p=[0.5, 0.3, 0.2])
    vectors = np.round(meanings[meaning] + 0.4 * rng.normal(size=(size, dimension)), 3)
    texts = [f"Meaning {m}, told as number {i}. ".ljust(40 + 70 * (number % 2), ".") for i, m in enumerate(meaning)]
    if size > 3:
        texts[2], vectors[2] = texts[0], vectors[0]
    if size > 5:
        texts[4], vectors[4] = " \u200b", 0.0
    return {
        "prompt_id": f"golden-{number:02}",
        "participants": [f"site-{i}" for i in rng.integers(0, max(2, size - 1), size).tolist()],
        "samples": list(range(size)),
        "texts": texts,
        "vectors": vectors.tolist(),
        "equivalence": "exact" if number % 5 == 4 else "semantic",
    }


def read_pools() -> list[Pool]:
    """The pools as they stand in the file."""
    rows = json.loads((HERE / "pools.json").read_text())
    return [
        Pool(
            prompt_id=row["prompt_id"],
            participants=tuple(row["participants"]),
            samples=tuple(row["samples"]),
            texts=tuple(row["texts"]),
            digests=tuple(hashlib.sha256(text.encode()).hexdigest() for text in row["texts"]),
            vectors=np.array(row["vectors"], dtype=np.float32),
            equivalence=row["equivalence"],
            prompt=f"Prompt of {row['prompt_id']}.",
            prompt_opening=np.mean(row["vectors"], axis=0, dtype=np.float32),
            openings=np.array(row["vectors"], dtype=np.float32) ** 3,
        )
        for row in rows
    ]


def decisions_json(pools: list[Pool]) -> str:
    """Every decision under every rule and score, with and without abstention, one to a line."""
    lines = [
        json.dumps({**policy, **_decided(decision)}, sort_keys=True)
        for policy in _policies()
        for decision in decide(
            [told_apart(pool) for pool in pools] if "guards" in policy else pools,
            Policy(**({"guards": False, "reliability": False, "decide_by": "support"} | policy), seed=7),
        )
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _decided(decision: Decision) -> dict[str, Any]:
    """Without what guards measured: it explains a decision and is no part of it."""
    left_out = {"readings", "contests"} if decision.stands_on else {"readings", "contests", "stands_on"}
    return {name: value for name, value in asdict(decision).items() if name not in left_out}


def told_apart(pool: Pool) -> Pool:
    """The pool in words that stand in no other: without that its participants would repeat themselves across prompts."""
    texts = tuple(text.replace(".", f" {pool.prompt_id[-2:]}") for text in pool.texts)
    return replace(pool, texts=texts, digests=tuple(hashlib.sha256(text.encode()).hexdigest() for text in texts))


def _policies() -> list[dict[str, Any]]:
    """Each rule with the default score, each score with one rule, each rule with guards and reliability; then by evidence."""
    named = [{"rule": rule, "confidence": "dominant_share"} for rule in sorted(RULES)]
    named += [
        {"rule": "cluster_medoid", "confidence": score} for score in sorted(CONFIDENCES) if score != "dominant_share"
    ]
    named += [
        {"rule": rule, "confidence": "dominant_share", "guards": True, "reliability": True} for rule in sorted(RULES)
    ]
    named += [{"rule": rule, "confidence": "evidence", "decide_by": "evidence"} for rule in sorted(RULES)]
    return [{**policy, "abstain": abstain} for policy in named for abstain in (True, False)]


if __name__ == "__main__":
    (HERE / "pools.json").write_text("[\n" + ",\n".join(json.dumps(pool) for pool in made_up_pools()) + "\n]\n")
    (HERE / "decisions.json").write_text(decisions_json(read_pools()))
