"""Time of chunked encoding against plain `SentenceTransformer.encode` over the same chunks, same model and dtype.

    python benchmarks/encoding.py [FILE.jsonl[.gz]] [--field output] [--texts 400] [--repeats 3] [--threads 1]

Both sides start from text: ours from whole answers, the plain side from the chunks as texts (cut at the tokens' places
in the answer). They take turns, and which goes first alternates; the ratio is that of the medians, at most 1.3 wanted.
"""

import argparse
import gzip
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from consensus_server.backends.encoders import SentenceTransformerEncoder
from consensus_server.backends.encoders.weights import DEFAULT_ENCODER
from consensus_server.core.chunking import ChunkRule, chunk_text

_WORDS = "river stone people answer because between light market seven slowly written question".split()  # noqa: SIM905


def main() -> None:
    options = _options()
    texts = _from_file(options.file, options.field) if options.file else _synthetic(options.texts)
    texts = random.Random(options.seed).sample(texts, min(options.texts, len(texts)))  # noqa: S311 - a sample, no secret
    encoder = SentenceTransformerEncoder.load(DEFAULT_ENCODER, threads=options.threads)
    print(json.dumps(measure(encoder, texts, options.repeats) | {"threads": options.threads}))


def measure(encoder: SentenceTransformerEncoder, texts: list[str], repeats: int) -> dict[str, float]:
    """Median seconds of both sides and their ratio."""
    model = encoder._model  # noqa: SLF001 - the very same model must run on both sides
    chunks = chunks_as_text(model.tokenizer, texts)
    sides = {
        "chunked": lambda: encoder.encode_with_openings(texts)[0],
        "plain": lambda: model.encode(chunks, batch_size=32),
    }
    sides["chunked"](), sides["plain"]()  # warm caches and thread pools
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats):
        for name in sorted(sides, reverse=repeat % 2 == 1):
            seconds[name].append(_time(sides[name]))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "texts": len(texts),
        "chunks": len(chunks),
        "chunked_seconds": round(medians["chunked"], 3),
        "plain_seconds": round(medians["plain"], 3),
        "ratio": round(medians["chunked"] / medians["plain"], 3),
    }


def chunks_as_text(tokenizer: Callable[..., dict[str, list]], texts: list[str]) -> list[str]:
    """The chunks of all texts, cut out of the texts themselves."""
    encoded = tokenizer(texts, add_special_tokens=False, truncation=False, return_offsets_mapping=True, verbose=False)
    return [
        text[offsets[chunk.start][0] : offsets[chunk.stop - 1][1]]
        for text, offsets in zip(texts, encoded["offset_mapping"], strict=True)
        for chunk in chunk_text(0, len(offsets), ChunkRule())
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", help="JSONL or JSONL.gz of texts; made-up texts without it")
    parser.add_argument("--field", default="output", help="field of the text in each row")
    parser.add_argument("--texts", type=int, default=400, help="texts to draw from the file")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _from_file(path: Path, field: str) -> list[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line)[field] for line in lines]


def _synthetic(count: int) -> list[str]:
    """Made-up texts with lengths like those of real answers: median about 160 words, a long tail."""
    draw = random.Random(0)  # noqa: S311 - made-up texts
    return [" ".join(draw.choices(_WORDS, k=1 + int(draw.lognormvariate(5, 0.9)))) for _ in range(count)]


def _time(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
