"""What a round is decided from beside its answers, its prompts and its terms, as lines that a verifier can read again.

Earlier rounds and upheld appeals say it: reputations, exemptions, and what models were taught and had answered before.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from client_kit.wire import canonical_json, content_digest
from consensus_server.core.consensus.round.earlier import EarlierRounds, Reputation
from consensus_server.ports import PooledAnswer
from consensus_server.service.material import Held
from consensus_server.service.second_hand import Teachings


def basis_lines(held: Held) -> list[str]:
    """Canonical JSON, sorted."""
    return sorted(canonical_json(row) for row in _rows(held))


def _rows(held: Held) -> Iterator[dict[str, Any]]:
    for who, each in held.earlier.reputations.items():
        yield {"kind": "reputation", "participant": who, "mean": each.mean, "prompts": each.prompts}
    for who, gate in held.earlier.exempt:
        yield {"kind": "exempt", "participant": who, "gate": gate}
    for who, number in held.known.taught.items():
        yield {"kind": "taught", "participant": who, "round": number}
    for number, labels in held.known.labels.items():
        for prompt_id, text in labels.items():
            yield {"kind": "label", "round": number, "prompt_id": prompt_id, "text": text}
    for number, answer in held.known.earlier:
        yield {
            "kind": "answer", "round": number, "participant": answer.participant, "prompt_id": answer.prompt_id,
            "sample": answer.sample, "text": answer.text,
        }  # fmt: skip


def read_basis(lines: Iterable[str]) -> tuple[EarlierRounds, Teachings]:
    """What `basis_lines` wrote. Raises ValueError, KeyError, TypeError for anything else."""
    rows: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        row = json.loads(line)
        rows[row["kind"]].append(row)
    labels: dict[int, dict[str, str]] = {row["round"]: {} for row in rows["taught"]}
    for row in rows["label"]:
        labels[row["round"]][row["prompt_id"]] = row["text"]
    given = [(row["round"], _answer(row)) for row in rows["answer"]]
    given.sort(key=lambda each: (each[0], each[1].prompt_id, each[1].participant, each[1].sample))
    earlier = EarlierRounds(
        reputations={row["participant"]: Reputation(row["mean"], row["prompts"]) for row in rows["reputation"]},
        exempt=frozenset((row["participant"], row["gate"]) for row in rows["exempt"]),
    )
    return earlier, Teachings({row["participant"]: row["round"] for row in rows["taught"]}, labels, given)


def _answer(row: Mapping[str, Any]) -> PooledAnswer:
    return PooledAnswer(row["prompt_id"], row["participant"], row["sample"], row["text"], content_digest(row["text"]))
