"""What a penalty on length gives and costs, and which one cross-validation over prompts would choose.

    python benchmarks/length_penalty.py FILE... [--panel-size 8] [--panels 100] [--penalties 0,0.1,0.3,0.7,1] [--encoder NAME]

FILE: as for `consensus-server evaluate-labels`. One row per penalty: quality of `hybrid` with guards and reliability, the
same adjusted for length, and length of the picks over their pool's mean. `chosen` is what each of five folds' other four
choose by the sum of both qualities, `held_out` the qualities of those choices on the prompts that had no part in them.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from consensus_server.backends.encoders import DEFAULT_ENCODER, load_encoder
from consensus_server.backends.store import open_store
from consensus_server.core.consensus.pools import Policy
from consensus_server.evaluation import figures
from consensus_server.evaluation.answer_files import read_judged_answers
from consensus_server.evaluation.bank import Bank, make_bank
from consensus_server.evaluation.panels import Panel, decide_panel, draw_panel

FOLDS = 5


def main() -> None:
    options = _options()
    options.cache.mkdir(parents=True, exist_ok=True)
    store = open_store(f"sqlite:///{(options.cache / 'embeddings.sqlite').resolve()}")
    encoder = load_encoder(options.encoder, threads=None)
    try:
        for file in options.files:
            answers = read_judged_answers(file, options.prompts)
            bank = make_bank(answers, [], encoder, store.embeddings)
            print(json.dumps({"file": answers.name, **measure(bank, options)}, indent=2))
    finally:
        store.close()


def measure(bank: Bank, options: argparse.Namespace) -> dict[str, Any]:
    """The rows of one file, and what cross-validation says."""
    prompts, models = bank.worth.shape
    members = [draw_panel(models, options.panel_size, options.seed, i) for i in range(options.panels)]
    panels = [Panel(np.tile(each, (prompts, 1)), len(each), np.ones(prompts, dtype=bool)) for each in members]
    log_length = np.log(bank.length + 20.0)
    adjusted = bank.worth - figures.length_effect(bank.worth, log_length) * (
        log_length - log_length.mean(axis=1, keepdims=True)
    )
    rows, tables = [], []
    for penalty in options.penalties:
        policy = replace(Policy(abstain=False), length_penalty=penalty)
        picked = [panel.columns[np.arange(prompts), decide_panel(bank, panel, [policy])[0].slot] for panel in panels]
        quality, fair = (
            np.stack([table[np.arange(prompts), each] for each in picked]) for table in (bank.worth, adjusted)
        )
        ratio = np.mean([_length_ratio(bank, panel, each) for panel, each in zip(panels, picked, strict=True)])
        tables.append(np.stack([np.nanmean(quality, axis=0), np.nanmean(fair, axis=0)]))
        rows.append(
            {
                "penalty": penalty,
                "quality": round(float(np.nanmean(quality)), 4),
                "length_adjusted_quality": round(float(np.nanmean(fair)), 4),
                "length_ratio": round(float(ratio), 3),
            }
        )
    return {"rows": rows, **_cross_validated(np.stack(tables), options)}


def _length_ratio(bank: Bank, panel: Panel, picked: np.ndarray) -> float:
    rows = np.arange(len(picked))
    mean = bank.length[rows[:, None], panel.columns].mean(axis=1)
    return float((bank.length[rows, picked] / np.maximum(mean, 1)).mean())


def _cross_validated(tables: np.ndarray, options: argparse.Namespace) -> dict[str, Any]:
    """tables: quality and adjusted quality by penalty and prompt."""
    fold = np.random.default_rng(options.seed).permutation(tables.shape[2]) % FOLDS
    chosen = [int(np.nanmean(tables[:, :, fold != k], axis=2).sum(axis=1).argmax()) for k in range(FOLDS)]
    held_out = np.mean([np.nanmean(tables[best][:, fold == k], axis=1) for k, best in enumerate(chosen)], axis=0)
    return {"chosen": [options.penalties[best] for best in chosen], "held_out": held_out.round(4).tolist()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--panel-size", type=int, default=8)
    parser.add_argument("--panels", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--prompts", type=int)
    parser.add_argument(
        "--penalties", type=lambda text: [float(part) for part in text.split(",")], default=[0, 0.1, 0.3, 0.7, 1]
    )
    parser.add_argument("--encoder", default=DEFAULT_ENCODER)
    parser.add_argument("--cache", type=Path, default=Path("quality-cache"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
