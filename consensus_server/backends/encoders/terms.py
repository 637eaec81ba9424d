"""Words and letters of a text, for encoders that count them."""

import re
import unicodedata
from collections.abc import Iterator

GRAM = 3
"""Letters of a character n-gram: catches inflections, and languages without spaces."""
OPENING_WORDS = 254
"""As many as MiniLM's window has tokens."""


def visible(text: str) -> str:
    """Folded case and white space, without control and format characters (zero-width marks, direction marks)."""
    kept = (char for char in unicodedata.normalize("NFKC", text) if char.isspace() or not _hidden(char))
    return " ".join("".join(kept).casefold().split())


def content_starts(text: str) -> int:
    """Index of the first character that somebody sees; the text's length where there is none."""
    return next((at for at, char in enumerate(text) if not char.isspace() and not _hidden(char)), len(text))


def _hidden(char: str) -> bool:
    return unicodedata.category(char)[0] == "C"


def words(text: str) -> Iterator[str]:
    """Runs of letters and digits of a text that `visible` gave."""
    return (match.group() for match in re.finditer(r"\w+", text))


def grams(text: str) -> Iterator[str]:
    """Character 3-grams of a text that `visible` gave, marked so that they do not meet the words; none of an empty one."""
    padded = f" {text} " if text else ""
    return ("#" + padded[at : at + GRAM] for at in range(len(padded) - GRAM + 1))


def opening(text: str) -> str:
    """The first 254 words of a text; the whole of a shorter one, as it is."""
    parts = text.split(maxsplit=OPENING_WORDS)
    return " ".join(parts[:OPENING_WORDS]) if len(parts) > OPENING_WORDS else text
