"""Which characters a reader sees. One list for all who ask."""

import re
import unicodedata
from typing import Final

INVISIBLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
"""Format characters, variation selectors, tags and fillers, for the inside of a character class. They change a text's bytes
and nothing that is seen; right-to-left text has them honestly. The braille cell without dots is among them."""

_ONE: Final = re.compile(f"[{INVISIBLE}]")
_BLANK: Final = re.compile(rf"[\s{INVISIBLE}]+")
_UNSEEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
"""Control, format (zero-width and direction marks among them), and the separators."""


def visible(text: str) -> str:
    """`text` without its invisible characters."""
    return text if text.isascii() else _ONE.sub("", text)


def shows_something(text: str) -> bool:
    """Whether a reader would see any character of `text`. Ends at the first such character."""
    return any(unicodedata.category(char) not in _UNSEEN_CATEGORIES and visible(char) for char in text)


_LETTERS_READ: Final = 400


def is_latin(text: str) -> bool | None:
    """Whether most of the first letters of `text` are Latin ones; None for a text without letters."""
    letters = [char for char in text[: 4 * _LETTERS_READ] if char.isalpha()][:_LETTERS_READ]
    if not letters:
        return None
    latin = sum(char.isascii() or unicodedata.name(char, "").startswith("LATIN") for char in letters)
    return 2 * latin > len(letters)


def printable_share(text: str) -> float:
    """Share of the characters of `text` that can be printed, 0..1; 0 for a text without any.

    White space and invisible characters count neither way: joiners and direction marks belong to honest scripts. Control
    characters, lone surrogates, private and unassigned code points and the replacement character cannot be printed.
    """
    marks = _BLANK.sub("", text)
    if marks.isprintable() and "\ufffd" not in marks:
        return 1.0 if marks else 0.0
    good = sum(unicodedata.category(char)[0] != "C" and char != "\ufffd" for char in marks)
    return good / len(marks)
