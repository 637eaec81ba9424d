"""Whether public prompts repeat what is private, or what somebody is tested on. Runs at the site; sends nothing."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from client_kit.errors import FaultyFile
from client_kit.input_files import Row, lines_of, parse_object, read_each
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
    """One field of every row of a JSONL file. Raises FaultyFile that names the line, or says that there is none."""
    rows = [text for _, text, _ in read_texts(file, field)]
    if not rows:
        raise FaultyFile(f"{file} has no rows, so nothing can be compared. Give the file with the data")
    return rows


def read_texts(file: Path, field: str) -> list[tuple[int, str, Row]]:
    """Line number, from 1, text in `field`, and the row, of each line of a JSONL file. Raises FaultyFile."""

    def take(numbered: tuple[int, str]) -> tuple[int, str, Row]:
        row = parse_object(numbered[1])
        if not isinstance(row.get(field), str):
            raise ValueError(f"has no text in a field {field!r}; name the field that has it")  # noqa: TRY004 - told as a fault of the file
        return numbered[0], row[field], row

    return read_each(file, ((number, (number, line)) for number, line in lines_of(file)), take)


def _grams(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    if not words:
        return set()
    last = max(1, len(words) - NGRAM_WORDS + 1)
    return {tuple(words[start : start + NGRAM_WORDS]) for start in range(last)}
