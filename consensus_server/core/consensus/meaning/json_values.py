"""When two answers are the same JSON value, and in which of its parts two values differ.

Equal are values whose parts are: 1, 1.0 and 1e0 are one number and -0 is 0, exactly, whatever their size; strings and names are
equal in Unicode's composed form (NFC); the order of names, white space and a code fence around the whole are left aside. A
name that is missing is not one that is null, whatever default a schema declares: a default is a note to its reader.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from enum import Enum
from fractions import Fraction
from typing import Any, Final

MOST_CHARS: Final = 100_000
"""A longer text is not parsed."""
MOST_DEPTH: Final = 100
"""Arrays and objects inside one another; how deep a parser may go would depend on who calls it."""
MOST_DIGITS: Final = 1_000
"""Of a number as it is written, and greatest size of its exponent: exact arithmetic on it would take long."""

_FENCED: Final = re.compile(r"```[ \t]*(?:json[ \t]*)?\n(.*)\n[ \t]*```", re.DOTALL | re.IGNORECASE)
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
"""One that never ends, too: else the search would begin anew at each quotation mark in it, and take the square of its length."""
_WHITE: Final = " \t\r\n"


class Missing(Enum):
    """What stands for a part that one of several values does not have."""

    MISSING = "missing"


class NotJson(ValueError):  # noqa: N818 - reads as what is wrong
    """A text is no JSON, or more than is read. The message repeats nothing of it but a name."""


def parsed(text: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """The value that a text is: dict (names in NFC), list, str, bool, None, int, or Fraction for what is no integer.

    Raises NotJson, also for a name that stands twice in an object, for NaN and Infinity, for text before or behind the value,
    and for what exceeds `MOST_CHARS`, `MOST_DEPTH` or `MOST_DIGITS`.
    """
    if len(text) > MOST_CHARS:
        raise NotJson(f"it has more than {MOST_CHARS:,} characters")
    bare = text.strip()
    bare = (fenced[1] if (fenced := _FENCED.fullmatch(bare)) else bare).strip(_WHITE)
    if _depth(bare) > MOST_DEPTH:
        raise NotJson(f"it is nested more than {MOST_DEPTH} deep")
    try:
        return json.loads(
            bare, object_pairs_hook=_object, parse_int=_number, parse_float=_number, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise NotJson(str(error)) from None


def json_key(text: str) -> str | None:
    """The value in one form of writing, equal for equal values; None for a text that is no JSON."""
    try:
        return written(parsed(text))
    except NotJson:
        return None


def written(value: Any) -> str:  # noqa: ANN401 - as `parsed` gives it
    """A value in one form of writing. It is JSON but for numbers that are no integers, which are fractions: 1/10."""
    if isinstance(value, dict):
        named = (f"{_quoted(name)}:{written(value[name])}" for name in sorted(value))
        return f"{{{','.join(named)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, str):
        return _quoted(value)
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def differences(values: Sequence[Any], at: str = "") -> Iterator[tuple[str, list[Any]]]:
    """The smallest parts in which values differ: the JSON pointer of each (RFC 6901), and what every value has there.

    Objects are compared name by name, and arrays of one length place by place. `Missing.MISSING` stands for nothing.
    """
    if len({None if value is Missing.MISSING else written(value) for value in values}) == 1:
        return
    if all(isinstance(value, dict) for value in values):
        for name in sorted(set[str]().union(*values)):
            within = [value.get(name, Missing.MISSING) for value in values]
            yield from differences(within, f"{at}/{name.replace('~', '~0').replace('/', '~1')}")
    elif all(isinstance(value, list) for value in values) and len(set(map(len, values))) == 1:
        for place in range(len(values[0])):
            yield from differences([value[place] for value in values], f"{at}/{place}")
    else:
        yield at, list(values)


def _quoted(text: str) -> str:
    return json.dumps(unicodedata.normalize("NFC", text))


def _depth(text: str) -> int:
    depth = deepest = 0
    for mark in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        depth += 1 if mark in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        composed = unicodedata.normalize("NFC", name)
        if composed in found:
            raise NotJson(f"the name {composed[:50]!r} stands twice in an object")
        found[composed] = value
    return found


def _number(digits: str) -> int | Fraction:
    _, _, exponent = digits.lower().partition("e")
    if len(digits) > MOST_DIGITS or abs(int(exponent or 0)) > MOST_DIGITS:
        raise NotJson(f"a number has more than {MOST_DIGITS:,} digits")
    value = Fraction(digits)
    return value.numerator if value.denominator == 1 else value


def _constant(name: str) -> None:
    raise NotJson(f"{name} is no JSON")
