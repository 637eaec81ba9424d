"""Digests that both sides compute alike. All are SHA-256 in lower-case hexadecimal."""

import hashlib
import json
from collections.abc import Iterable


def content_digest(text: str) -> str:
    """Digest of the UTF-8 bytes of a text, exactly as sent: no normalisation, no stripping."""
    return hashlib.sha256(text.encode()).hexdigest()


def submission_digest(answers: Iterable[tuple[str, int, str]]) -> str:
    """Digest of a whole submission: lines `prompt_id TAB sample TAB content digest`, sorted, each ended by a newline.

    answers: (prompt_id, sample, content digest), in any order.
    """
    lines = (f"{prompt_id}\t{sample}\t{digest}\n" for prompt_id, sample, digest in sorted(answers))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces, so that equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def rows_digest(rows: Iterable[dict[str, object]]) -> str:
    """Digest of rows that carry a `prompt_id`: canonical JSON lines in the order of `prompt_id`."""
    ordered = sorted(rows, key=lambda row: str(row["prompt_id"]))
    return hashlib.sha256("".join(canonical_json(row) + "\n" for row in ordered).encode()).hexdigest()
