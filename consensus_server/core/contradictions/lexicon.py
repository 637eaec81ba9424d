"""What the comparison knows of English words, read from the files in `data/`. Each file says in its head what a line is."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from gzip import decompress
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import Final, NamedTuple

_FOLDER = files("consensus_server.core.contradictions") / "data"


class Unit(NamedTuple):
    """A unit of measurement."""

    dimension: str
    size: float
    """In the base unit of its dimension; negative for degrees Fahrenheit, which have another zero."""


def lines(name: str) -> Iterator[tuple[str, str]]:
    """(name, words) of each line of a file."""
    for line in (_FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            head, _, words = line.partition(":")
            yield head, words


def _valued(words: str) -> dict[str, float]:
    """`half=1/2` and the like."""
    return {word: float(Fraction(value)) for word, _, value in (each.partition("=") for each in words.split())}


WORDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {name: frozenset(words.split()) for name, words in lines("words.txt")}
)
"""Closed classes of words, by the part they play."""

BASE_FORMS: Final[Mapping[str, str]] = MappingProxyType(
    {form: base for base, forms in lines("forms.txt") for form in forms.split()}
)
"""Irregular form to base word."""

NUMBERS: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {name: MappingProxyType(_valued(words)) for name, words in lines("numbers.txt")}
)
"""Words that stand for numbers, by kind."""

UNITS: Final[Mapping[str, Unit]] = MappingProxyType(
    {word: Unit(dimension, size) for dimension, words in lines("units.txt") for word, size in _valued(words).items()}
)
"""By word or symbol, in small letters."""


def turns() -> Iterator[tuple[str, str]]:
    """(pattern, what is written instead) of turns of phrase, in the order in which they are rewritten."""
    for line in (_FOLDER / "turns.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern, _, instead = line.partition(" =>")
            yield pattern, f" {instead.strip()} "


def compressed_lines(name: str) -> list[str]:
    """The lines of a compressed file."""
    return decompress((_FOLDER / name).read_bytes()).decode().splitlines()


@cache
def lexicon_digest() -> str:
    """SHA-256 over all files, by name."""
    digest = sha256()
    for name in sorted(each.name for each in _FOLDER.iterdir()):
        digest.update((_FOLDER / name).read_bytes())
    return digest.hexdigest()
