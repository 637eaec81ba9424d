"""The unit behind a number, and when two numbers with or without one agree: 5 km is 5,000 m and not 5 m, and 5 may be either.

The units are those of `core.contradictions`: weights, volumes, lengths, times, currencies, temperatures and the like. A unit
that is not among them, and what is only counted ("5 apples"), is no unit.
"""

import re
from fractions import Fraction
from typing import Final, NamedTuple

from consensus_server.core.contradictions.lexicon import UNITS

_NAME: Final = r"[^\W\d_°]+|°[CF]?"
_UNIT: Final = re.compile(
    rf"[\s-]?(?P<kind>square|sq\.?|cubic)?\s*(?P<name>{_NAME})(?P<of>\s(?:celsius|fahrenheit|[CF]\b))?"
    rf"\s?\^?\{{?(?P<power>[23])?\}}?(?:\s*(?:/|\bper\b)\s*(?P<below>{_NAME}))?(?![\w-])",
    re.IGNORECASE,
)
"""A unit with what makes it another: square, to a power, of a scale of temperature, per something."""
_CURRENCY: Final = re.compile(r"-?\s*(?P<sign>[€£])")
_NO_UNITS: Final = frozenset({"unit", "units", "percent", "pct"})
"""A unit is not told from what it counts, and 75 % is 75."""


class _Unit(NamedTuple):
    """A unit, exactly: floating point would part 3.6 km/h from 1 m/s."""

    dimension: str
    size: Fraction
    """In the base unit of its dimension; negative for degrees Fahrenheit, which have another zero."""


class Measured(NamedTuple):
    """Key of a number with a unit."""

    number: str
    """Key of the number as it stands, such as `number 5`."""
    amount: str
    """The same in the base unit of its dimension, exactly, such as `length 5000`."""


def agree(one: object, other: object) -> bool:
    """Whether two keys may mean the same: equal ones, equal amounts, and a number with and without its unit.

    A bare number agrees with two measured ones that do not agree with one another. None agrees with nothing.
    """
    if isinstance(one, Measured) and isinstance(other, Measured):
        return one.amount == other.amount
    first, second = (each.number if isinstance(each, Measured) else each for each in (one, other))
    return first is not None and first == second


def with_unit(value: Fraction, text: str, rest: str) -> str | Measured:
    """Key of a number. text: from before the number on; rest: what follows it."""
    number, unit = f"number {value}", _unit(text, rest)
    if unit is None:
        return number
    in_base = (value - 32) * 5 / 9 if unit.size < 0 else value * unit.size
    return Measured(number, f"{unit.dimension} {in_base}")


def unit_behind(text: str) -> str:
    """What `text` begins with, where that is a unit; else nothing."""
    found = _UNIT.match(text)
    return found[0] if found and _read(found) else ""


def _unit(text: str, rest: str) -> _Unit | None:
    if sign := _CURRENCY.match(text):
        return _named(sign["sign"])
    found = _UNIT.match(rest)
    return _read(found) if found else None


def _read(found: re.Match[str]) -> _Unit | None:
    unit = _named(found["name"], found["of"] or "")
    below = _named(found["below"]) if found["below"] else None
    if unit is None or (below is None and found["below"]):
        return None
    if found["power"] == "3" or (found["kind"] or "").lower() == "cubic":
        unit = _Unit("volume", 1000 * unit.size**3)  # in litres
    elif found["power"] or found["kind"]:
        unit = _Unit(f"square {unit.dimension}", unit.size**2)
    return unit if below is None else _Unit(f"{unit.dimension} per {below.dimension}", unit.size / below.size)


def _named(name: str, scale: str = "") -> _Unit | None:
    """The unit of that name. A capital alone is none (5 M is five million), but for the litre's."""
    unit = UNITS.get(name.lower())
    if unit is None or name.lower() in _NO_UNITS or (len(name) == 1 and name.isupper() and name != "L"):
        return None
    fahrenheit = scale.strip().lower().startswith("f")
    return _Unit(unit.dimension, Fraction(-1) if fahrenheit else Fraction(str(unit.size)))
