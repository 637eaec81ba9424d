"""A replay's aggregation against plain sentence-transformers over the same chunks, and a second federation on the same answers.

    python benchmarks/replay.py FILE.jsonl.gz [--models 8] [--seed 7] [--out FOLDER] [--prompts 400]

Wanted: aggregation / plain at most 1.3, second / first at most 0.1. Half of the plain encoding runs before the first
replay and half after it, so that a slow drift of the machine's load falls on both sides alike. On a machine that others
use, wall time says little: `cpu_ratio` is the server's processor time in the first federation, less that in the second
(start, loading, deciding), against the plain side's. OMP_NUM_THREADS=1 keeps waiting threads from counting. FOLDER must
be new.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

from encoding import chunks_as_text

from client_kit.federation.replay import Replay, replay
from client_kit.federation.replay_file import AnswerFile, draw_models, read_answer_file
from client_kit.federation.replay_results import label_rows, summarise
from client_kit.wire import ConsensusPolicy
from consensus_server.backends.encoders import SentenceTransformerEncoder
from consensus_server.backends.encoders.weights import DEFAULT_ENCODER

POLICY = ConsensusPolicy(rule="cluster_medoid", abstain=False)


def main() -> None:
    options = _options()
    answers = _first_prompts(read_answer_file(options.file), options.prompts)
    models = draw_models(answers.outputs, options.models, options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(measure(answers, models, options.out or Path(temporary)), indent=2))


def measure(answers: AnswerFile, models: list[str], folder: Path) -> dict[str, Any]:
    """Seconds of both federations and of plain encoding, their ratios, and the quality of the picks."""
    model = SentenceTransformerEncoder.load(DEFAULT_ENCODER)._model  # noqa: SLF001 - the plain side, with the same weights
    texts = sorted({text for name in models for text in answers.outputs[name].values()})
    chunks = chunks_as_text(model.tokenizer, texts)
    model.encode(chunks[:64])  # warm caches and thread pools
    load = os.getloadavg()[0]
    plain, plain_cpu = _encode(model, chunks[::2])
    first, first_wall, first_cpu = _play(answers, models, folder)
    more, more_cpu = _encode(model, chunks[1::2])
    plain, plain_cpu = plain + more, plain_cpu + more_cpu
    second, second_wall, second_cpu = _play(answers, models, folder)
    seconds = {"first": first.card.timings, "second": second.card.timings}
    return {
        "texts": len(texts),
        "chunks": len(chunks),
        "load_at_start": round(load, 2),
        "plain_seconds": round(plain, 2),
        "timings": {name: timings.model_dump() for name, timings in seconds.items()},
        "wall_seconds": {"first": round(first_wall, 2), "second": round(second_wall, 2)},
        "cpu_seconds": {"plain": round(plain_cpu, 2), "first": round(first_cpu, 2), "second": round(second_cpu, 2)},
        "cpu_ratio": round((first_cpu - second_cpu) / plain_cpu, 3),
        "aggregation_to_plain": round(first.card.timings.total_seconds / plain, 3),
        "second_to_first": round(second.card.timings.total_seconds / first.card.timings.total_seconds, 4),
        "same_labels": first.card.labels == second.card.labels,
        "counts": second.card.counts.model_dump(),
        "summary": summarise(label_rows(first, answers), first, answers) if answers.judged else None,
    }


def _play(answers: AnswerFile, models: list[str], folder: Path) -> tuple[Replay, float, float]:
    """A replay, its wall seconds, and the processor seconds of its server."""
    start, before = time.perf_counter(), _children_cpu()
    played = replay(answers, models, folder, policy=POLICY)
    return played, time.perf_counter() - start, _children_cpu() - before


def _children_cpu() -> float:
    used = os.times()
    return used.children_user + used.children_system


def _encode(model: Any, chunks: list[str]) -> tuple[float, float]:  # noqa: ANN401 - a SentenceTransformer
    """Wall seconds and processor seconds of plain encoding."""
    start, before = time.perf_counter(), time.process_time()
    model.encode(chunks, batch_size=32)
    return time.perf_counter() - start, time.process_time() - before


def _first_prompts(answers: AnswerFile, count: int) -> AnswerFile:
    kept = sorted(answers.prompts)[:count]
    outputs = {name: {key: given[key] for key in kept if key in given} for name, given in answers.outputs.items()}
    return changed(answers, prompts={key: answers.prompts[key] for key in kept}, outputs=outputs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="JSONL or JSONL.gz, as `consensus replay` reads it")
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--prompts", type=int, default=400)
    parser.add_argument("--out", type=Path, help="new folder for the server's database; a temporary one without it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
