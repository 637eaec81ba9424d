"""Compiles what `core/contradictions` takes from WordNet 3.0: words of one meaning, and opposites.

    apt-get download wordnet-base && dpkg -x wordnet-base_*.deb wordnet
    python benchmarks/lexicon_from_wordnet.py wordnet/usr/share/wordnet

Single words only, as stems. Opposites are direct antonyms, and what is similar to one of them against the other.
"""

import gzip
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from consensus_server.core.contradictions.stems import stem

DATA = Path(__file__).parents[1] / "consensus_server" / "core" / "contradictions" / "data"
PARTS = ("noun", "verb", "adj", "adv")
SHORTEST = 3


class Synset(NamedTuple):
    """One meaning: its words, and where it points to."""

    words: tuple[str, ...]
    pointers: tuple[tuple[str, str, int, int], ...]
    """(symbol, offset, number of the word here, number of the word there); 0 for all words."""


def synsets(folder: Path, part: str) -> dict[str, Synset]:
    """The meanings of a part of speech, by offset."""
    found = {}
    for line in (folder / f"data.{part}").read_text(encoding="utf-8").splitlines():
        if not line.startswith("  "):
            fields = line.partition(" | ")[0].split()
            count = int(fields[3], 16)
            words = tuple(word.partition("(")[0] for word in fields[4 : 4 + 2 * count : 2])
            rest = fields[5 + 2 * count :]
            pointers = (rest[i : i + 4] for i in range(0, 4 * int(fields[4 + 2 * count]), 4))
            found[fields[0]] = Synset(
                words, tuple((symbol, at, *divmod(int(ends, 16), 256)) for symbol, at, _, ends in pointers)
            )
    return found


def single(words: tuple[str, ...]) -> tuple[str, ...]:
    """The stems of plain single words."""
    plain = (word for word in words if word.isalpha() and word.islower() and len(word) >= SHORTEST)
    return tuple(dict.fromkeys(map(stem, plain)))


def opposites(found: dict[str, Synset]) -> Iterator[tuple[str, str]]:
    """Direct antonyms, and the words similar to one of them against the other."""
    for here in found.values():
        for symbol, at, one, other in here.pointers:
            if symbol == "!" and one:
                yield here.words[one - 1], found[at].words[other - 1]
                satellites = (found[sat] for mark, sat, _, _ in here.pointers if mark == "&")
                yield from ((word, found[at].words[other - 1]) for each in satellites for word in each.words)


def main() -> None:
    """Write `synonyms.txt.gz` and `antonyms.txt.gz`."""
    folder = Path(sys.argv[1])
    alike, against = set(), set()
    for part in PARTS:
        found = synsets(folder, part)
        alike |= {" ".join(sorted(words)) for each in found.values() if len(words := single(each.words)) > 1}
        for pair in opposites(found):
            words = single(pair)
            if len(words) == len(pair):
                against.add(" ".join(sorted(words)))
    synonymous = {pair for line in alike for pair in combinations(line.split(), 2)}
    against = {line for line in against if tuple(line.split()) not in synonymous}
    for name, lines in (("synonyms", alike), ("antonyms", against)):
        text = "".join(f"{line}\n" for line in sorted(lines))
        (DATA / f"{name}.txt.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        print(f"{name}: {len(lines)} lines, {len(text)} characters")


if __name__ == "__main__":
    main()
