"""Characters that no reader sees: format characters, variation selectors, tags, fillers. One list for all who leave them out."""

import re
from typing import Final

INVISIBLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
"""For the inside of a character class. They change a text's bytes and nothing that is seen; right-to-left text has them
honestly. The braille cell without dots is among them."""

_ONE: Final = re.compile(f"[{INVISIBLE}]")


def visible(text: str) -> str:
    """`text` without them."""
    return text if text.isascii() else _ONE.sub("", text)
