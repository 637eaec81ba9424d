"""What the comparison knows of English words, read from the files in `data/`. Each file says in its head what a line is."""

from collections.abc import Iterator, Mapping
from functools import cache
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


def _units() -> dict[str, Unit]:
    pairs = ((dimension, *each.split("=")) for dimension, words in lines("units.txt") for each in words.split())
    return {word: Unit(dimension, float(size)) for dimension, word, size in pairs}


WORDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {name: frozenset(words.split()) for name, words in lines("words.txt")}
)
"""Closed classes of words, by the part they play."""

BASE_FORMS: Final[Mapping[str, str]] = MappingProxyType(
    {form: base for base, forms in lines("forms.txt") for form in forms.split()}
)
"""Irregular form to base word."""

UNITS: Final[Mapping[str, Unit]] = MappingProxyType(_units())
"""By word or symbol, in small letters."""

@cache
def lexicon_digest() -> str:
    """SHA-256 over all files, by name."""
    digest = sha256()
    for name in sorted(each.name for each in _FOLDER.iterdir()):
        digest.update((_FOLDER / name).read_bytes())
    return digest.hexdigest()
