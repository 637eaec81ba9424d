"""Whether public prompts repeat what is private, or what somebody is tested on. Runs at the site; sends nothing."""

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client_kit.errors import ConfigurationError
from client_kit.wire import Prompt

NGRAM_WORDS = 5
"""Length of the word sequences compared. PaLM's study of contamination used 8 (Chowdhery et al. 2022, section 8), for
documents; questions are shorter."""

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\W{_IDEOGRAPHS}]+")
"""A word, or a single ideograph where a language writes no spaces."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """A public prompt and a private row that say the same."""

    prompt_id: str
    row: int
    """Number of the private row, from 1."""
    containment: float
    """Share of the shorter text's word sequences that stand in the other, 0..1; 1 where the words are equal."""


def overlap(prompts: Sequence[Prompt], private_rows: Iterable[str], threshold: float = 0.7) -> list[Overlap]:
    """Pairs of a public prompt and a private text whose containment is at least `threshold`, worst first.

    Containment is |A & B| / min(|A|, |B|) over the sets A, B of sequences of 5 words, compared without case,
    width of characters, punctuation and spacing. Texts of fewer words count as one sequence: they overlap where all words are equal.
    """
    grams = [_grams(prompt.prompt) for prompt in prompts]
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, own in enumerate(grams):
        for gram in own:
            holders[gram].append(index)
    found = []
    for row, text in enumerate(private_rows, start=1):
        theirs = _grams(text)
        shared = Counter(index for gram in theirs for index in holders.get(gram, ()))
        for index, hits in shared.items():
            containment = hits / min(len(grams[index]), len(theirs))
            if containment >= threshold:
                found.append(Overlap(prompts[index].prompt_id, row, containment))
    return sorted(found, key=lambda pair: (-pair.containment, pair.prompt_id, pair.row))


def read_private_prompts(file: Path, field: str = "prompt") -> list[str]:
    """One field of every row of a JSONL file. Raises ConfigurationError that names the line, or says that there is none."""
    rows = [row[field] for _, row in read_rows(file, field)]
    if not rows:
        raise ConfigurationError(f"{file} has no rows, so nothing can be compared. Give the file with the data")
    return rows


def read_rows(file: Path, field: str) -> list[tuple[int, dict[str, Any]]]:
    """Line numbers, from 1, and rows of a JSONL file, each with a text in `field`. Raises ConfigurationError that names the line."""
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")  # not splitlines: JSON may hold U+2028
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {file}: {error}. Give a JSONL file in UTF-8") from error
    return [(number, _row(file, number, line, field)) for number, line in enumerate(lines, start=1) if line.strip()]


def _row(file: Path, number: int, line: str, field: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{file} line {number} is no JSON: {error}") from error
    if not (isinstance(row, dict) and isinstance(row.get(field), str)):
        raise ConfigurationError(f"{file} line {number} has no text in a field {field!r}; name the field that has it")
    return row


def _grams(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    if not words:
        return set()
    last = max(1, len(words) - NGRAM_WORDS + 1)
    return {tuple(words[start : start + NGRAM_WORDS]) for start in range(last)}
