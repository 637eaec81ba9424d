"""Replies that call tools, beside replies in words: compared by the names and arguments of the calls.

A pool in which somebody calls tools has an equivalence of its own: the calls in it are compared as `calls_text` writes them, and
texts as the pool would compare them without calls. A call and a text never mean the same.
"""

from collections.abc import Iterable
from typing import Any, Final

from consensus_server.core.consensus.meaning.json_values import written

_MARK: Final = "\x1etool calls "
"""No text that an upstream gives begins so: white space around a text is stripped, and this begins with some."""
_OR: Final = "tool_calls_or_"


def calls_text(calls: Iterable[tuple[str, Any]]) -> str:
    """What stands for calls in a pool: (name, parsed arguments) of each, in one form of writing and whatever their order."""
    return f"{_MARK}[{','.join(sorted(written({'name': name, 'arguments': value}) for name, value in calls))}]"


def is_calls(text: str) -> bool:
    """Whether a text stands for calls of tools."""
    return text.startswith(_MARK)


def or_calls(equivalence: str) -> str:
    """The equivalence of a pool with calls in it, whose texts are compared by this one."""
    return _OR + equivalence


def of_texts(equivalence: str) -> str:
    """The equivalence by which the texts of a pool are compared."""
    return equivalence.removeprefix(_OR)
