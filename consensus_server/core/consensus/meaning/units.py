"""The unit behind a number, and when two numbers with or without one agree: 5 km is 5,000 m and not 5 m, and 5 may be either.

The units are those of `core.contradictions`: weights, volumes, lengths, times, currencies, temperatures and the like. A unit
that is not among them, and what is only counted ("5 apples"), is no unit.
"""

import re
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

from consensus_server.core.contradictions.lexicon import UNITS

_NAME: Final = r"[^\W\d_°]+|°[CF]?"
_UNIT: Final = re.compile(
    rf"[\s-]?(?P<kind>square|sq\.?|cubic)?\s*(?P<name>{_NAME})(?P<of>\s(?:celsius|fahrenheit|[CF]\b))?"
    rf"(?:(?:\s?\^\s?\{{?)?(?P<power>[23])\}}?)?(?:\s*(?:/|\bper\b)\s*(?P<below>{_NAME}))?(?![\w-])",
    re.IGNORECASE,
)
"""A unit with what makes it another: square, to a power, of a scale of temperature, per something."""
_CURRENCY: Final = re.compile(r"-?\s*(?P<sign>[€£])")
_PART: Final = rf"(?P<number>\d+(?:[.,]\d+)*)[\s-]?(?P<name>{_NAME})"
_JOINT: Final = r"(?:\s*,\s*|\s+)(?:and\s+)?"
IN_PARTS: Final = re.compile(rf"{re.sub('P<[a-z]+>', ':', _PART)}(?:{_JOINT}{re.sub('P<[a-z]+>', ':', _PART)})+(?!\w)")
"""Amounts one after another: "6 feet 2 inches", "1 hour and 30 minutes"."""
_PARTS: Final = re.compile(_PART)
_NO_UNITS: Final = frozenset({"unit", "units", "percent", "pct", "pound", "pounds"})
"""A unit is not told from what it counts, 75 % is 75, and pounds are weighed or paid."""
_MIXED: Final = frozenset({"mL", "dL", "cL", "Kg", "kB", "\N{DEGREE SIGN}C", "\N{DEGREE SIGN}F"})
"""Names of two letters, one of them a capital. Others are other units: 5 Mg are no milligrams."""


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


def in_parts(text: str) -> Measured | None:
    """Key of amounts of one dimension that are told one after another, as their sum; None for any other text."""
    if not IN_PARTS.fullmatch(text):
        return None
    parts = [(Fraction(part["number"].replace(",", "")), _named(part["name"])) for part in _PARTS.finditer(text)]
    units = [unit for _, unit in parts if unit is not None and unit.size > 0]
    falling = all(larger.size > smaller.size for larger, smaller in pairwise(units))  # 3 km and 5 km are two
    if len(units) < len(parts) or len({unit.dimension for unit in units}) > 1 or not falling:
        return None
    total = sum(value * unit.size for (value, _), unit in zip(parts, units, strict=True))
    return Measured(f"number {total / units[0].size}", f"{units[0].dimension} {total}")


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
    changed = found["power"] or found["kind"] or found["below"]
    if unit is None or (below is None and found["below"]) or (changed and unit.size < 0):
        return None
    if found["power"] == "3" or (found["kind"] or "").lower() == "cubic":
        unit = _Unit("volume", 1000 * unit.size**3)  # in litres
    elif found["power"] or found["kind"]:
        unit = _Unit(f"square {unit.dimension}", unit.size**2)
    return unit if below is None else _Unit(f"{unit.dimension} per {below.dimension}", unit.size / below.size)


def _named(name: str, scale: str = "") -> _Unit | None:
    """The unit of that name. A capital alone is none (5 M is five million), but for the litre's."""
    unit, plain = UNITS.get(name.lower()), name.islower() or name.isupper() or len(name) > 2  # noqa: PLR2004
    if unit is None or name.lower() in _NO_UNITS or (len(name) == 1 and name.isupper() and name != "L"):
        return None
    if not (plain or name in _MIXED or not name.isalpha()):
        return None
    fahrenheit = scale.strip().lower().startswith("f")
    return _Unit(unit.dimension, Fraction(-1) if fahrenheit else Fraction(str(unit.size)))
