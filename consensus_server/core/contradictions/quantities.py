"""Quantities in a sentence: amounts with units, frequencies, clock times, dates and years, in digits or words.

Numbers in words stand inside the stream of tokens and may be bounds, ranges or denominators of what follows, so that the
readers of the usual libraries, which take a whole string, would find them a second time. Units are a table of our own, made
once: a library of units takes a tenth of a second to load and a millisecond a quantity.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from consensus_server.core.contradictions.lexicon import NUMBERS, UNITS, WORDS, Unit
from consensus_server.core.contradictions.stems import stem


class Quantity(NamedTuple):
    """A number with what it counts."""

    dimension: str
    """Of the unit; `frequency`, `clock`, `date`, `year`, `decade`; or `n:` and the stem of what is counted."""
    low: float
    high: float
    """Ends of a range, in the base unit; equal for one number."""
    bound: int
    """1: at least; -1: at most; 0: neither."""
    loose: bool
    """Only near, or a clock time that does not tell morning from evening."""
    shown: str

    @property
    def counted(self) -> bool:
        """Whether it counts things, rather than measures."""
        return self.dimension.startswith("n:")


class _Found(NamedTuple):
    """What a reader found from a word on."""

    end: int
    quantities: tuple[Quantity, ...] = ()
    used: tuple[int, ...] = ()
    """Tokens that belong to the quantities."""


_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MOST_DIGITS: Final = 18
_NOON: Final = 12
_LONGEST_MONTH: Final = 31
_YEARS: Final = range(1000, 2101)
"""Bare numbers that are read as years."""
_LARGEST_PART: Final = 100
"""Of a whole: 17/2024 is no share."""
_MINUTE: Final = 0.02
"""Hours within which two clock times are one."""
_MARK_OF_RANGE: Final = ("-", "\N{EN DASH}", "to")
_MONTHS: Final = NUMBERS["month"]
_TIMES: Final = NUMBERS["times"]
_ADVERBS: Final = NUMBERS["adverb"]
_PER_DAY: Final = {**NUMBERS["period"], **_ADVERBS}
_PRESCRIPTIONS: Final = NUMBERS["prescription"]
_DOSES: Final = frozenset(map(stem, WORDS["dose"]))


class _Tokens(tuple[str, ...]):
    """Tokens in small letters; beyond the ends stands nothing."""

    __slots__ = ()

    def at(self, i: int) -> str:
        return self[i] if 0 <= i < len(self) else ""

    def shown(self, start: int, end: int) -> str:
        return " ".join(self[start:end])


def read_quantities(tokens: Sequence[str]) -> tuple[list[Quantity], set[int]]:
    """The quantities of a sentence, and which of its tokens belong to them. tokens: in small letters."""
    words, found, used, at = _Tokens(tokens), list[Quantity](), set[int](), 0
    while at < len(words):
        part = _read_at(words, at) if words[at] in _STARTS or words[at][0].isdigit() else None
        if part is None:
            at += 1
            continue
        found += part.quantities
        used.update(part.used)
        at = part.end
    return found, used


def _read_at(tokens: _Tokens, at: int) -> _Found | None:
    return next(filter(None, (reader(tokens, at) for reader in _READERS)), None)


def _one(quantity: Quantity, start: int, end: int) -> _Found:
    return _Found(end, (quantity,), tuple(range(start, end)))


def _exactly(dimension: str, value: float, shown: str, *, loose: bool = False) -> Quantity:
    return Quantity(dimension, value, value, 0, loose, shown)


def _date_in_digits(tokens: _Tokens, at: int) -> _Found | None:
    """2024-05-17."""
    word = tokens[at]
    if not _DATE.fullmatch(word):
        return None
    year, month, day = map(int, word.split("-"))
    date = _exactly("date", 100.0 * month + day, word)
    return _Found(at + 1, (_exactly("year", year, word), date), (at,))


def _clock(tokens: _Tokens, at: int) -> _Found | None:
    """noon, midnight, 14:30, 2:30 pm."""
    word, following = tokens[at], tokens.at(at + 1)
    if word in ("noon", "midnight"):
        return _one(_exactly("clock", _NOON * (1.0 if word == "noon" else 2.0), word), at, at + 1)
    if not (":" in word and word[0].isdigit()):
        return None
    hour, minute = map(int, word.split(":"))
    marked = following in ("am", "pm")
    of_day = _of_day(hour, following)
    loose = not marked and hour <= _NOON and not word.startswith("0")
    return _one(_exactly("clock", of_day + minute / 60, word, loose=loose), at, at + 1 + marked)


def _of_day(hour: float, part: str) -> float:
    """The hour, 0..24, in that part of the day: 12 am is midnight, 12 pm noon."""
    if part == "am":
        return hour % _NOON
    return hour + _NOON if part in ("pm", "evening", "afternoon") and hour < _NOON else hour


def _frequency(tokens: _Tokens, at: int) -> _Found | None:
    """twice a day, daily, 5 mg bid, every 6 to 8 hours."""
    word, following = tokens[at], tokens.at(at + 1)
    if word == "every":
        return _interval(tokens, at)
    if word in _PRESCRIPTIONS and (tokens.at(at - 1) in UNITS or tokens.at(at - 1)[:1].isdigit()):
        return _one(_exactly("frequency", _PRESCRIPTIONS[word], word), at, at + 1)
    if word in _TIMES:
        end = at + 1 + (following in WORDS["each"])
        if tokens.at(end) in _PER_DAY:
            value = _TIMES[word] * _PER_DAY[tokens[end]]
            return _one(_exactly("frequency", value, tokens.shown(at, end + 1)), at, end + 1)
    if word in _ADVERBS and following not in WORDS["rated"]:
        return _one(_exactly("frequency", _PER_DAY[word], word), at, at + 1)
    return None


def _interval(tokens: _Tokens, at: int) -> _Found | None:
    """every day, every other day, every 6 hours, every 6 to 8 hours."""
    first = _number(tokens, at + 1) or ((2.0, 1) if tokens.at(at + 1) == "other" else None)
    low = high = first[0] if first else 1.0
    end = at + 1 + (first[1] if first else 0)
    if first and tokens.at(end) in _MARK_OF_RANGE and (second := _number(tokens, end + 1)):
        high, end = second[0], end + 1 + second[1]
    period = _PER_DAY.get(tokens.at(end).rstrip("s"))
    if period is None or low <= 0 or high <= 0:
        return None
    shown = tokens.shown(at, end + 1)
    quantity = Quantity("frequency", period / high, period / low, bound=0, loose=False, shown=shown)
    return _one(quantity, at, end + 1)


def _number(tokens: _Tokens, at: int) -> tuple[float, int] | None:
    """The number that stands at a word, in digits or words, and how many tokens it takes."""
    word = tokens.at(at)
    if word[:1].isdigit():
        if ":" in word or "-" in word or len(word) > _MOST_DIGITS:
            return None
        scale = NUMBERS["scale"].get(tokens.at(at + 1))
        value = float(word.replace(",", ""))
        return (value, 1) if scale is None else (value * scale, 2)
    if word == "half":
        if tokens.at(at + 1) in ("an", "a") and tokens.at(at + 2) in UNITS:  # half an hour
            return 0.5, 2
        return (0.5, 1) if tokens.at(at + 1) in ("an", "a", "of", "the") else None
    if word == "a":
        return _with_article(tokens, at)
    return _in_words(tokens, at) if word in NUMBERS["number"] else None


def _with_article(tokens: _Tokens, at: int) -> tuple[float, int] | None:
    """a hundred, a dozen, a third of."""
    following = tokens.at(at + 1)
    if following in NUMBERS["scale"] or following == "dozen":
        return NUMBERS["scale"].get(following, 12.0), 2
    return (NUMBERS["part"][following], 2) if following in NUMBERS["part"] and tokens.at(at + 2) == "of" else None


def _in_words(tokens: _Tokens, at: int) -> tuple[float, int]:
    """two hundred and five, three and a half, two thirds."""
    total, part, end = 0.0, 0.0, at
    while end < len(tokens):
        word = tokens[end]
        if word in NUMBERS["number"]:
            part += NUMBERS["number"][word]
        elif word == "hundred" and part:
            part *= 100
        elif word in NUMBERS["scale"] and part:
            total, part = total + part * NUMBERS["scale"][word], 0.0
        elif not (end > at and tokens.at(end + 1) in NUMBERS["number"] and _joins(word, tokens[end - 1], part)):
            break
        end += 1
    value = total + part
    if tokens[end : end + 3] == ("and", "a", "half"):
        return value + 0.5, end + 3 - at
    if tokens.at(end) in NUMBERS["part"]:
        return value * NUMBERS["part"][tokens[end]], end + 1 - at
    return value, end - at


def _joins(word: str, before: str, part: float) -> bool:
    """Whether a number goes on after this word: five hundred *and* six, twenty *-* one."""
    return (word == "and" and before in NUMBERS["scale"]) or (word == "-" and part >= NUMBERS["number"]["twenty"])


def _measured(tokens: _Tokens, at: int) -> _Found | None:
    """A number, and what it counts."""
    number = _number(tokens, at)
    if number is None:
        return None
    value, taken = number
    end = at + taken
    if part := _fraction(tokens, end):  # 1 1/2
        value, end = value + part, end + 3
    elif part := _fraction(tokens, at):
        value, end = part, at + 3
    elif tokens.at(end) == "/" and tokens.at(end + 1)[:1].isdigit():
        return _stroke(tokens, at)
    if tokens.at(at - 1) == "minus":
        value = -value
    if tokens.at(end) in ("st", "nd", "rd", "th"):
        return _day_of_month(tokens, at, end + 1, value) or _Found(end + 1)
    return (
        _times(tokens, at, end, value)
        or _hour(tokens, at, end, value)
        or _day_of_month(tokens, at, end, value)
        or _amount(tokens, at, end, value)
    )


def _fraction(tokens: _Tokens, at: int) -> float | None:
    """1/4: a proper fraction."""
    above, below = _number(tokens, at), _number(tokens, at + 2)
    if above is None or below is None or tokens.at(at + 1) != "/" or not (tokens[at] + tokens[at + 2]).isdigit():
        return None
    return above[0] / below[0] if 0 < above[0] < below[0] <= _LARGEST_PART else None


def _stroke(tokens: _Tokens, at: int) -> _Found:
    """120/80, 17/05/2024: numbers that are compared one by one, in their order."""
    found, end = list[Quantity](), at
    while (number := _number(tokens, end)) and tokens[end][0].isdigit():
        found.append(_exactly(f"stroke {len(found)}", number[0], tokens[end]))
        end += 2 if tokens.at(end + 1) == "/" else 1
        if tokens.at(end - 1) != "/":
            break
    return _Found(end, tuple(found), tuple(range(at, end)))


def _times(tokens: _Tokens, at: int, end: int, value: float) -> _Found | None:
    """three times a day."""
    if not (tokens.at(end) in ("times", "x") or (tokens.at(end) == "time" and value == 1)):
        return None
    end += 1 + (tokens.at(end + 1) in WORDS["each"])
    if tokens.at(end) not in _PER_DAY:
        return None
    value *= _PER_DAY[tokens[end]]
    return _one(_exactly("frequency", value, tokens.shown(at, end + 1)), at, end + 1)


def _hour(tokens: _Tokens, at: int, end: int, value: float) -> _Found | None:
    """8 am, 8 o'clock, 8 in the evening."""
    part = tokens.at(end)
    if part in ("am", "pm", "o'clock"):
        end += 1
    elif tokens[end : end + 2] == ("in", "the") and tokens.at(end + 2) in ("morning", "evening", "afternoon"):
        part, end = tokens[end + 2], end + 3
    else:
        return None
    return _one(_exactly("clock", _of_day(value, part), tokens.shown(at, end), loose=part == "o'clock"), at, end)


def _day_of_month(tokens: _Tokens, at: int, end: int, value: float) -> _Found | None:
    """17 May, May 17; the month stays a word of the sentence. The verb "may" comes before no number."""
    month = next((each for each in (tokens.at(end), tokens.at(at - 1)) if each in _MONTHS), None)
    if month is None or value > _LONGEST_MONTH or value != int(value) or tokens[at] == "one":
        return None
    date = _exactly("date", 100.0 * _MONTHS[month] + value, f"{tokens[at]} {month}")
    return _Found(end, (date,), (at,))


def _amount(tokens: _Tokens, at: int, end: int, value: float) -> _Found:
    """5 mg, 5-10 mg, at least 5 mg per day, $5, 5 tablets, in 1980."""
    low, high, unit_before, end = _range(tokens, at, end, value)
    if tokens.at(end) == "-" and tokens.at(end + 1) in UNITS:
        end += 1
    unit = UNITS.get(tokens.at(end))
    end += unit is not None
    unit = unit or unit_before
    if (sign := tokens.at(at - 1)) in ("$", "€", "£"):
        unit = unit if unit and unit.dimension == "money" else UNITS[sign]
    if unit is None:
        return _unitless(tokens, at, end, low, high)
    unit, end = _compound(tokens, end, unit)
    if unit.dimension == "temperature" and unit.size < 0:
        low, high, unit = (low - 32) / 1.8, (high - 32) / 1.8, Unit("temperature", 1.0)
    return _bounded(tokens, (at, end), unit.dimension, low * unit.size, high * unit.size)


def _range(tokens: _Tokens, at: int, end: int, value: float) -> tuple[float, float, Unit | None, int]:
    """Both ends of what may be a range, and the unit where it stands after the first number."""
    unit = UNITS.get(tokens.at(end)) if tokens.at(end + 1) in _MARK_OF_RANGE else None
    joint = end + (unit is not None)
    if tokens.at(joint) in _MARK_OF_RANGE or (tokens.at(joint) == "and" and tokens.at(at - 1) == "between"):
        second = _number(tokens, joint + 1)
        if second and second[0] > value:
            return value, second[0], unit, joint + 1 + second[1]
    return value, value, unit, joint


def _compound(tokens: _Tokens, end: int, unit: Unit) -> tuple[Unit, int]:
    """The unit with what follows it: degrees *Celsius*, mg *per litre*. A dose per day stays a dose; a length per day is a speed."""
    if unit.dimension == "temperature" and tokens.at(end) in ("celsius", "fahrenheit", "c", "f"):
        unit, end = Unit("temperature", -1.0 if tokens[end] in ("fahrenheit", "f") else 1.0), end + 1
    below = tokens.at(end + 1)
    if tokens.at(end) not in ("/", "per") or (below not in UNITS and below not in _PER_DAY):
        return unit, end
    other = UNITS.get(below, Unit("time", 1.0))
    if other.dimension != "time" or unit.dimension == "length" or below not in ("day", "daily"):
        unit = Unit(f"{unit.dimension}/{other.dimension}", unit.size / other.size)
    return unit, end + 2


def _unitless(tokens: _Tokens, at: int, end: int, low: float, high: float) -> _Found:
    """A share, a year, or a count of what the next word says. "one" alone counts nothing, unless it counts doses."""
    word, single = tokens[at], end == at + 1
    if word == "one" and single and stem(tokens.at(end)) not in _DOSES:
        return _Found(end)
    if low < 1 and not word[0].isdigit():
        return _bounded(tokens, (at, end), "percent", low * 100, high * 100)
    if low == high and single and word.isdigit() and low in _YEARS:
        return _bounded(tokens, (at, end), "decade" if tokens.at(end) == "s" else "year", low, high)
    counted = (stem(word) for word in tokens[end : end + 2] if word not in WORDS["function"] and word.isalpha())
    return _bounded(tokens, (at, end), f"n:{next(counted, '')}", low, high)


def _bounded(tokens: _Tokens, span: tuple[int, int], dimension: str, low: float, high: float) -> _Found:
    """With the bound and the hedge that stand around the number."""
    at, end = span
    before = tokens[max(0, at - 3) : at]
    after = (tokens.at(end), tokens.at(end + 1))
    upper, lower = WORDS["upper_bound"], WORDS["lower_bound"]
    bound = -1 if not upper.isdisjoint(before) else 1 if not lower.isdisjoint(before) else 0
    bound = 1 if "minimum_before" in after else -1 if "maximum_before" in after else bound
    loose = not WORDS["hedge"].isdisjoint(tokens[max(0, at - 2) : at])
    used = [*range(at, end)]
    if bound:
        used += [i for i in range(max(0, at - 3), at) if tokens[i] in upper | lower | {"at", "than"}]
    quantity = Quantity(dimension, low, high, bound, loose, tokens.shown(at, end))
    return _Found(end, (quantity,), tuple(used))


_READERS: Final[tuple[Callable[[_Tokens, int], _Found | None], ...]] = (
    _clock,
    _date_in_digits,
    _frequency,
    _measured,
)
_STARTS: Final = frozenset(
    (*NUMBERS["number"], *_TIMES, *_PRESCRIPTIONS, *_ADVERBS, "a", "half", "every", "noon", "midnight")
)
"""Words with which a quantity may begin; digits are looked at apart."""


def same_dimension(first: Quantity, second: Quantity) -> bool:
    """Whether two quantities can be compared. A number that counts nothing named compares with any count."""
    return first.dimension == second.dimension or (
        first.counted and second.counted and "n:" in (first.dimension, second.dimension)
    )


def close(first: Quantity, second: Quantity, tolerance: float) -> bool:
    """Whether two quantities of one dimension say the same, up to a relative tolerance: equal, or one within the other's range."""
    if first.dimension == "clock":
        apart = abs(first.low - second.low) % 24
        half_day = apart % 12
        same = min(apart, 24 - apart) < _MINUTE
        return same or ((first.loose or second.loose) and min(half_day, 12 - half_day) < _MINUTE)
    for one, other in ((first, second), (second, first)):
        if one.low == one.high and other.low < other.high:
            return other.low * (1 - tolerance) <= one.low <= other.high * (1 + tolerance)
    return _near(first.low, second.low, tolerance) and _near(first.high, second.high, tolerance)


def _near(one: float, other: float, tolerance: float) -> bool:
    return abs(one - other) <= tolerance * max(abs(one), abs(other))


def usual_tolerance(first: Quantity, second: Quantity) -> float:
    """.1 where one is hedged, none for dates and whole counts, else .025: "a pound" is 450 g."""
    if first.loose or second.loose:
        return 0.1 + 1e-9
    exact = first.dimension in ("year", "date", "decade") or first.counted
    return (0.0 if exact and first.low == int(first.low) else 0.025) + 1e-9
