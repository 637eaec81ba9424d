"""How well contradictions are told: pairs of answers that somebody judged, and what the default decision makes of them."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from client_kit.errors import FaultyFile
from client_kit.input_files import Row, read_rows, text_in
from client_kit.wire import content_digest
from consensus_server.core.consensus import decide
from consensus_server.core.consensus.records import Policy, Pool
from consensus_server.ports import EmbeddingStore, Encoder
from consensus_server.service.contradictions import BY_WORDS, Comparisons, pinned, with_findings
from consensus_server.service.embedding import embed_texts

LABELS: Final = ("contradict", "same")


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """Two answers to a prompt, and whether they contradict one another."""

    kind: str
    prompt: str
    texts: tuple[str, str]
    contradict: bool


@dataclass(frozen=True, slots=True)
class PairRow:
    """What was made of the pairs of a kind. Shares of the pairs, 0..1."""

    kind: str
    label: str
    pairs: int
    found: float
    """A hard finding: of contradictory pairs the more the better, of others the fewer."""
    together_without: float
    """In one cluster where nobody looks for contradictions."""
    together: float
    """In one cluster as the policy decides."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def read_pairs(path: Path) -> list[JudgedPair]:
    """Read a file of pairs: lines with `a`, `b`, `label`, and perhaps `prompt` and `kind`. Raises FaultyFile."""
    pairs = read_rows(path, _pair)
    if not pairs:
        raise FaultyFile(f"{path} has no pairs; it needs lines with a, b and label ({' or '.join(LABELS)}).")
    return pairs


def _pair(row: Row) -> JudgedPair:
    label = text_in(row, "label")
    if label not in LABELS:
        raise ValueError(f"label is {label!r}; it is {' or '.join(LABELS)}")
    kind, prompt = (text_in(row, name) if name in row else "" for name in ("kind", "prompt"))
    return JudgedPair(kind, prompt, (text_in(row, "a"), text_in(row, "b")), label == "contradict")


def measure_pairs(  # noqa: PLR0917 - what is asked
    pairs: Sequence[JudgedPair],
    policy: Policy,
    encoder: Encoder,
    store: EmbeddingStore,
    progress: Callable[[int, int], None] | None = None,
    comparisons: Comparisons = BY_WORDS,
) -> list[PairRow]:
    """A row for each label and kind, and one of all kinds (`all`) for each label. policy: its distances and contradictions count."""
    texts = {content_digest(text): text for pair in pairs for text in pair.texts}
    vectors = embed_texts(texts, encoder, store, progress=progress).vectors
    alone = pinned(replace(policy, guards=False, reliability=False), comparisons)
    pools = [_pool(pair, vectors) for pair in pairs]
    found = list(with_findings(pools, alone, comparisons))
    without = [len(decision.clusters) == 1 for decision in decide(pools, alone)]
    together = [len(decision.clusters) == 1 for decision in decide(found, alone)]
    hard = [any(finding.hard for finding in pool.findings) for pool in found]
    table = np.array([hard, without, together], dtype=float).T
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, pair in enumerate(pairs):
        label = LABELS[not pair.contradict]
        for kind in dict.fromkeys(("all", pair.kind or "all")):
            members[label, kind].append(i)
    return [
        PairRow(kind, label, len(rows), *table[rows].mean(axis=0).tolist())
        for (label, kind), rows in sorted(
            members.items(), key=lambda item: (item[0][0], item[0][1] != "all", item[0][1])
        )
    ]


def _pool(pair: JudgedPair, vectors: Any) -> Pool:  # noqa: ANN401 - by digest
    digests = tuple(map(content_digest, pair.texts))
    stacked = np.array([vectors[digest] for digest in digests], dtype=np.float32)
    return Pool("pair", ("a", "b"), (0, 0), pair.texts, digests, stacked, prompt=pair.prompt)
