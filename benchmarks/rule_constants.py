"""What the constants of the default rule give and cost, and which ones cross-validation over prompts would choose.

    python benchmarks/rule_constants.py FILE... --try length_penalty=0,0.5,0.8,1 [--try lambda=5,7] [--panel-size 8] [--panels 100]

FILE: as for `consensus-server evaluate-labels`. `--try NAME=VALUES` may stand several times; all combinations are tried.
Names: `length_penalty` and `distance_long` of the policy; `scale_words`, `scale_wording` of `core/consensus/round/standing.py`;
`beta`, `lambda`, `half_telling_votes` of `core/consensus/round/trust.py`; `information`, 1 or 0: whether rare words count for
more, or all words alike.

One row per combination: quality of `hybrid` with guards and reliability, what that is beyond the best single
participant's, the same adjusted for length, and length of the picks over their pool's mean. `chosen` is what each of
five folds' other four choose by the sum of both qualities, `held_out` what those choices come to on the prompts that had
no part in them: quality less the best single participant's, and adjusted quality.
"""

import argparse
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from consensus_server.backends.encoders import DEFAULT_ENCODER, load_encoder
from consensus_server.backends.store import open_store
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.round import measures, standing, trust
from consensus_server.core.consensus.words.lexical import Words
from consensus_server.evaluation import figures
from consensus_server.evaluation.answer_files import Wanted, read_judged_answers
from consensus_server.evaluation.bank import Bank, make_bank
from consensus_server.evaluation.panels import decide_panel, draw_panel
from consensus_server.evaluation.records import Panel

FOLDS = 5
POLICY = ("length_penalty", "distance_long")
STANDING = ("scale_words", "scale_wording")
TRUST = ("beta", "lambda", "half_telling_votes")
WORDS = "information"


def main() -> None:
    options = _options()
    options.cache.mkdir(parents=True, exist_ok=True)
    store = open_store(f"sqlite:///{(options.cache / 'embeddings.sqlite').resolve()}")
    encoder = load_encoder(options.encoder, threads=None)
    try:
        for file in options.files:
            answers = read_judged_answers(file, Wanted(options.prompts))
            bank = make_bank(answers, [], encoder, store.embeddings)
            print(json.dumps({"file": answers.name, **measure(bank, options)}, indent=2))
    finally:
        store.close()


def measure(bank: Bank, options: argparse.Namespace) -> dict[str, Any]:
    """The rows of one file, and what cross-validation says."""
    prompts, models = bank.worth.shape
    members = [draw_panel(models, options.panel_size, options.seed, i) for i in range(options.panels)]
    panels = [Panel(np.tile(each, (prompts, 1)), len(each), np.ones(prompts, dtype=bool)) for each in members]
    best = float(np.mean([figures.best_column(bank.worth[:, each]) for each in members]))
    log_length = np.log(bank.length + 20.0)
    adjusted = bank.worth - figures.length_effect(bank.worth, log_length) * (
        log_length - log_length.mean(axis=1, keepdims=True)
    )
    rows, tables = [], []
    for setting in _settings(options):
        picked = [panel.columns[np.arange(prompts), slot] for panel, slot in _decided(bank, panels, setting)]
        quality, fair = (
            np.stack([table[np.arange(prompts), each] for each in picked]) for table in (bank.worth, adjusted)
        )
        ratio = np.mean([_length_ratio(bank, panel, each) for panel, each in zip(panels, picked, strict=True)])
        tables.append(np.stack([np.nanmean(quality, axis=0), np.nanmean(fair, axis=0)]))
        rows.append(
            setting
            | {
                "quality": round(float(np.nanmean(quality)), 4),
                "beyond_best_single": round(float(np.nanmean(quality)) - best, 4),
                "length_adjusted_quality": round(float(np.nanmean(fair)), 4),
                "length_ratio": round(float(ratio), 3),
            }
        )
    return {"best_single": round(best, 4), "rows": rows, **_cross_validated(np.stack(tables), rows, best, options)}


def _settings(options: argparse.Namespace) -> Iterator[dict[str, float]]:
    """Every combination of the values to be tried."""
    names, values = zip(*options.tried, strict=True)
    return (dict(zip(names, each, strict=True)) for each in itertools.product(*values))


def _decided(bank: Bank, panels: list[Panel], setting: dict[str, float]) -> Iterator[tuple[Panel, np.ndarray]]:
    policy = replace(Policy(abstain=False), **{name: setting[name] for name in POLICY if name in setting})
    of_standing, of_trust = (
        {name.upper(): setting[name] for name in names if name in setting} for names in (STANDING, TRUST)
    )
    weight = {} if setting.get(WORDS, 1) else {WORDS: _all_alike}
    with _patched(standing, of_standing), _patched(trust, of_trust), _patched(measures, weight):
        yield from ((panel, decide_panel(bank, panel, [policy])[0].slot) for panel in panels)


def _all_alike(found: Words, _pool: np.ndarray) -> np.ndarray:
    """What `information` comes to where nothing tells which words are rare."""
    return np.ones(int(found.word.max(initial=-1)) + 1, dtype=np.int64)


@contextmanager
def _patched(module: ModuleType, values: dict[str, Any]) -> Iterator[None]:
    """Other parts of the rule for a while: no policy has them, since federations are to be comparable."""
    before = {name: getattr(module, name) for name in values}
    try:
        vars(module).update(values)
        yield
    finally:
        vars(module).update(before)


def _length_ratio(bank: Bank, panel: Panel, picked: np.ndarray) -> float:
    rows = np.arange(len(picked))
    mean = bank.length[rows[:, None], panel.columns].mean(axis=1)
    return float((bank.length[rows, picked] / np.maximum(mean, 1)).mean())


def _cross_validated(
    tables: np.ndarray, rows: list[dict[str, float]], best: float, options: argparse.Namespace
) -> dict[str, Any]:
    """tables: quality and adjusted quality by setting and prompt."""
    fold = np.random.default_rng(options.seed).permutation(tables.shape[2]) % FOLDS
    chosen = [int(np.nanmean(tables[:, :, fold != k], axis=2).sum(axis=1).argmax()) for k in range(FOLDS)]
    held_out = np.mean([np.nanmean(tables[row][:, fold == k], axis=1) for k, row in enumerate(chosen)], axis=0)
    names = [name for name, _ in options.tried]
    return {
        "chosen": [{name: rows[row][name] for name in names} for row in chosen],
        "held_out": [round(float(held_out[0]) - best, 4), round(float(held_out[1]), 4)],
    }


def _values(text: str) -> tuple[str, list[float]]:
    name, _, values = text.partition("=")
    if name not in (*POLICY, *STANDING, *TRUST, WORDS):
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join((*POLICY, *STANDING, *TRUST, WORDS))}")
    try:
        return name, [float(part) for part in values.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} has no numbers with commas between; such as {name}=0.5,1") from None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--try", dest="tried", action="append", type=_values, required=True, metavar="NAME=VALUES")
    parser.add_argument("--panel-size", type=int, default=8)
    parser.add_argument("--panels", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--prompts", type=int)
    parser.add_argument("--encoder", default=DEFAULT_ENCODER)
    parser.add_argument("--cache", type=Path, default=Path("quality-cache"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
