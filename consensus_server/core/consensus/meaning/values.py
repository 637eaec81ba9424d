"""What a stated final answer comes to: one key for all ways of writing a number, a choice or a truth value.

A number keeps its unit (`units`). The dollar sign, which marks formulas too, and the percent sign are left out of the
comparison: 75 % is 75, never .75. These are decisions, not guesses about an answer; prompts for which they are wrong need
another equivalence. Words are English. "Three quarters" is 3/4, "3 quarters" is three of something.
"""

import re
import unicodedata
from fractions import Fraction
from typing import Final

from consensus_server.core.consensus.meaning.units import Measured, in_parts, with_unit

MOST_DIGITS: Final = 40
"""A longer number is compared as it is written: exact arithmetic on it would take long."""
MOST_EXPONENT: Final = 300

_WRITTEN: Final = str.maketrans(
    dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014", "-")
    | dict.fromkeys("\u2018\u2019\u00a0\u202f", "'")
    | {"\u00d7": "x", "\u2044": "/", "\u201c": '"', "\u201d": '"', "\u0131": "i", "\u0130": "I"}
)
"""Minus signs and dashes; apostrophes, and the spaces that stand between thousands as apostrophes do; the two letters that a
pattern takes for an i in spite of their case, and a dictionary does not."""
_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_RAISED: Final = re.compile("[⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_SPACED: Final = re.compile(r"(?<=\d) (?=\d{3}(?!\d))")
_VULGAR: Final = re.compile(r"(?<=\d)(?=[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")
_LATEX: Final = (
    (re.compile(r"\\[dt]?frac\s*\{([^{}]{1,50})\}\s*\{([^{}]{1,50})\}"), r" \1/\2"),
    (re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox)\s*\{([^{}]{0,200})\}"), r" \1 "),
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z])"), "x"),
    (re.compile(r"\\(?:left|right|displaystyle)(?![a-zA-Z])|\\[!,;: ]|\{,\}(?=\d)|\^\s*\\circ|\^\{\s*\\circ\s*\}"), ""),
    (re.compile(r"\\(?=[%$#&])|[$_`\"]|(?<!\d)\*|\*(?!\d)|\\[()\[\]]"), ""),
)
_LEAD: Final = re.compile(
    r"^(?:is\s|:|about\s|approximately\s|approx\.?\s|exactly\s|around\s|equal to\s|~|≈)\s*",
    re.IGNORECASE,
)
_CURRENCY: Final = re.compile(
    r"(?:US\$|usd|eur|gbp|chf|rs\.?|[$€£¥₹])\s*(?=[-+]?[\d.])|(?<=[-+])\s*[$€£¥₹]\s*", re.IGNORECASE
)

_CHOICE: Final = re.compile(
    r"^(?:(?:the\s+)?(?:option|choice|answer|letter)\s+)?(?:\(\s*([A-Ja-j])\s*\)|\[\s*([A-Ja-j])\s*\]|([A-HJ])(?=\s*(?:[).:,;-]|$))|(I)(?=\s*(?:[).:]|$))|([a-j])(?=\s*(?:[).:]|$)))"
)
_NAMED_CHOICE: Final = re.compile(r"^(?:the\s+)?(?:option|choice|letter)\s+\(?([A-Ja-j])\b", re.IGNORECASE)
_CHOICES: Final = re.compile(r"^\(?[A-J]\)?(?:\s*(?:,\s*and|,|and|&)\s*\(?[A-J]\)?)+(?=\W*$)")
_TRUTH: Final = re.compile(
    r"^(yes|no|true|false|correct|incorrect)(?=\s*[,.;:!)-]|\W*$|\s+(?:because|since|as|it|this|that|the|they|he|she|we|you)\b)",
    re.IGNORECASE,
)
_TRUE: Final = frozenset({"yes", "true", "correct"})

_QUOTED: Final = re.compile(r"""(?P<mark>['"])(?P<text>[^'"]*)(?P=mark)\.?$""")
_EMPTY: Final = frozenset({"none", "null", "[]", "{}", "()", "nan"})
_NO_ANSWERS: Final = frozenset(
    {"unknown", "unsure", "unclear", "undetermined", "maybe", "sorry", "idk", "n/a", "i don't know"}
)
_FEW_WORDS: Final = 4
_LISTED: Final = re.compile(r"[(\[{].*[)\]}]$")
_TERMS: Final = re.compile(
    r"\\[a-z]+|\b(?:sqrt|pi|sin|cos|tan|log|ln|exp|inf|infty|infinity|true|false|none|null|nan)\b|(['\"])[^'\"]*\1",
    re.IGNORECASE,
)
"""Words of formulas and literals, and quoted strings in them."""
_PROSE: Final = re.compile(r"[^\W\d_]{2}")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH: Final = rf"(?P<month>(?:{'|'.join(_MONTHS)})[a-z]{{0,6}})\.?"
_YEAR: Final = r"(?P<year>\d{3,4})\W*$"
_DAY: Final = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DAY_FIRST: Final = re.compile(rf"(?:the )?{_DAY} (?:of )?{_MONTH},? {_YEAR}", re.IGNORECASE)
_MONTH_FIRST: Final = re.compile(rf"{_MONTH} {_DAY},? {_YEAR}", re.IGNORECASE)
_DIGITS: Final = r"\d+(?:[,']\d+)*(?:\.\d+)*(?:,\d+)?|\.\d+"
_NUMBER: Final = re.compile(
    rf"^(?P<sign>[-+]?)\s*(?P<whole>{_DIGITS})"
    r"(?:\s*[x*]\s*10\s*\^?\s*[{(]?(?P<power>[-+]?\d+)[)}]?|e(?P<exponent>[-+]?\d+))?"
    r"(?:(?:\s+(?P<above>\d+))?\s*/\s*(?P<below>\d+))?"
    r"(?:\s*(?P<scale>hundred|thousand|million|billion|trillion)\b)?(?P<rest>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_PARENTHESES: Final = re.compile(r"^\(([^(),]*)\)")
_POWERS: Final = re.compile(
    r"\b([kcdm]?m|in|ft|yd|mi|inch(?:es)?|feet|units?|met(?:er|re)s?)(?:\s*\^\s*\{?[23]\}?|[23]\b)", re.IGNORECASE
)
_SMALL: Final = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS: Final = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORDS: Final = (
    {"a": 1}
    | {word: number for number, word in enumerate(_SMALL)}
    | {word: 10 * number for number, word in enumerate(_TENS, start=2)}
)
_HUNDRED: Final = 100
_THOUSANDS: Final = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SCALES: Final = {"hundred": _HUNDRED} | _THOUSANDS
_SCALE: Final = rf"(?:{'|'.join(_SCALES)})\b"
_WORD: Final = rf"(?:(?:{'|'.join(_TENS)})[-\s](?:{'|'.join(_SMALL[1:10])})|a(?=\s{_SCALE})|{'|'.join([*_SMALL, *_TENS, *_SCALES])})\b"
_MINUS: Final = re.compile(r"^(?:minus|negative)\s+(?=\S)", re.IGNORECASE)
_PARTS: Final = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4} | {
    part + plural: number
    for number, part in [
        *enumerate(["third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"], start=3),
        (100, "hundredth"),
        (1000, "thousandth"),
    ]
    for plural in ("", "s")
}
ONE_PART: Final = rf"(?:{'|'.join(part for part in _PARTS if not part.endswith('s'))})\b"
PARTS: Final = rf"(?:{'|'.join(part for part in _PARTS if part.endswith('s'))})\b"
_WORDED: Final = re.compile(rf"^(-?\s*)({_WORD}(?:(?:[-\s]|\s+and\s+){_WORD})*+)(?![-\s]{ONE_PART})", re.IGNORECASE)
_SHARE: Final = re.compile(
    r"^(-?\s*(?:[\w\s-]{1,80}?\s+and\s+(?=\S))?)"
    rf"((?:{'|'.join(_SMALL[2:])})[-\s]{PARTS}|one[-\s]{ONE_PART}|a[-\s]half\b|(?<=\sand\s)a[-\s]{ONE_PART}"
    rf"|(?:half|a[-\s]{ONE_PART})(?=\W*$|\s(?:of|an?|the)\b))",
    re.IGNORECASE,
)
"""Shares in words. "A third" is one only where nothing is third: not in "a third way"."""
_MORE: Final = re.compile(
    r"[\d\\^√π=+*]|^\s*[:/]|^-\w|^\s?[xyzn]\b"
    rf"|(?i:^\W{{0,3}}(?:(?:to|or|and|in|of|point|over|plus|minus|times|by|an?|out of)\s+){{0,2}}(?:{_WORD}|{PARTS}(?<!quarters)))"
    rf"|(?i:^\s?and\s+an?[-\s]{ONE_PART})"
)
"""What follows a number that is only part of an expression, a range, a time or a list."""


def plain(text: str) -> str:
    """`text` with LaTeX, Markdown marks, superscripts, full-width and vulgar forms written out plainly; case is kept."""
    text = _RAISED.sub(lambda found: "^" + found[0].translate(_SUPERSCRIPTS), text)
    text = unicodedata.normalize("NFKC", _VULGAR.sub(" ", text).translate(_WRITTEN)).translate(_WRITTEN)
    for pattern, written in _LATEX:
        text = pattern.sub(written, text)
    return _SPACED.sub("'", " ".join(text.split()))


def value_key(stated: str) -> str | Measured | None:
    """Key of what is stated: `number 3/4`, `choice B`, `truth yes`, `date 2020-05-04`; None where it is none of these.

    `number` is an exact fraction in lowest terms. A statement of several numbers (a pair, a range, a time) has none.
    """
    text = plain(stated).rstrip(" .!?:;,").lstrip(" !?:;,")
    bare = _LEAD.sub("", text.partition("=")[2].strip() if text.count("=") == 1 else text)
    return _choice(text) or _choice(bare) or _truth(bare) or _date(bare) or _number(bare)


def written_key(stated: str) -> str | None:
    """Key of a statement that is no single value (a pair, a time, an expression, a quoted string): as written, spaces aside.

    None for one that has no digits and is neither quoted nor bracketed: that is a word, and words state no value.
    """
    if quoted := _QUOTED.match(stated.strip()):
        return _text(quoted["text"])
    if _LISTED.match(stated):
        stated = stated.replace('"', "'")  # before it is taken for the mark of a quotation
    text = "".join(plain(stated).casefold().split()).strip(".!?:;,")
    formal = text in _EMPTY or _LISTED.match(text) or any(char.isdigit() for char in text)
    return f"written {text}" if formal else None


def words_key(stated: str) -> str | None:
    """Key of a name or a few words, as if they stood in quotation marks; None for a sentence, and where they say that nobody knows."""
    said = " ".join((plain(stated) if "\\" in stated else stated).split()).strip("*`$").rstrip(".!")
    short = len(said.split()) <= _FEW_WORDS and _PROSE.search(said)
    return _text(said) if short and said.casefold() not in _NO_ANSWERS else None


def _text(said: str) -> str:
    return f"text {said.rstrip('.') or said}"


def is_formal(stated: str) -> bool:
    """Whether a short text is no prose: a quoted string, or a term without words, such as `[1, 2]` or `x = 2, y = 3`."""
    text = stated.strip(" .")
    return bool(_QUOTED.match(text)) or text.casefold() in _EMPTY or not _PROSE.search(_TERMS.sub(" ", text))


def _date(text: str) -> str | None:
    """`date 2020-05-04` for a day of a year with the month in words; months in digits are read otherwise on each side of an ocean."""
    found = _DAY_FIRST.match(text) or _MONTH_FIRST.match(text)
    if not found:
        return None
    return f"date {int(found['year']):04}-{_MONTHS.index(found['month'][:3].lower()) + 1:02}-{int(found['day']):02}"


def _choice(text: str) -> str | None:
    if several := _CHOICES.match(text):
        letters = set(re.findall(r"\b[A-J]\b", several[0]))
        return f"choice {' '.join(sorted(letters))}"
    found = _CHOICE.match(text) or _NAMED_CHOICE.match(text)
    return f"choice {next(letter for letter in found.groups() if letter).upper()}" if found else None


def _truth(text: str) -> str | None:
    found = _TRUTH.match(text)
    return f"truth {'yes' if found[1].lower() in _TRUE else 'no'}" if found else None


def _number(text: str) -> str | Measured | None:
    digits = _in_digits(_PARENTHESES.sub(r"\1", text))
    if (together := in_parts(digits)) is not None:
        return together
    found = _NUMBER.match(_CURRENCY.sub("", digits).strip())
    if not found or _MORE.search(_POWERS.sub("", found["rest"])):
        return None
    value = _value(found)
    return None if value is None else with_unit(value, digits, found["rest"])


def _in_digits(text: str) -> str:
    """`text` with what it begins with in digits: -5 for "minus five", 2 1/2 for "two and a half"."""
    text = _SHARE.sub(lambda found: f"{found[1].removesuffix('and ')}{_share(found[2])}", _MINUS.sub("-", text))
    return _WORDED.sub(lambda found: found[1] + _cardinal(found[2]), text)


def _share(words: str) -> str:
    """2/3 for "two thirds"."""
    above, *_, below = ["one", *re.split(r"[-\s]", words.lower())][-2:]
    return f"{_WORDS[above]}/{_PARTS[below]}"


def _cardinal(words: str) -> str:
    """105 for "one hundred and five"; the words themselves where they are no one number ("two and five")."""
    total = part = 0
    for word in re.findall(_WORD, words.lower()):
        if word == "hundred" and 0 < part < _HUNDRED:
            part *= _HUNDRED
        elif word in _THOUSANDS and part and not total % (1000 * _THOUSANDS[word]):
            total, part = total + part * _THOUSANDS[word], 0
        elif word not in _SCALES and not part % _HUNDRED:
            part += sum(_WORDS[one] for one in re.split(r"[-\s]", word))
        else:
            return words
    return str(total + part)


def _value(found: re.Match[str]) -> Fraction | None:
    """The number that `_NUMBER` found; None for one beyond the limits, or without a value."""
    digits = _decimal(found["whole"])
    power = found["power"] or found["exponent"] or "0"
    above, below = found["above"], found["below"]
    if (
        digits is None
        or max(map(len, (power, above or "", below or ""))) > MOST_DIGITS
        or abs(int(power)) > MOST_EXPONENT
    ):
        return None
    value = Fraction(digits) * Fraction(10) ** int(power)
    if below is not None:
        if not int(below):
            return None
        value = value + Fraction(int(above), int(below)) if above else value / int(below)
    value *= _SCALES.get((found["scale"] or "").lower(), 1)
    return -value if found["sign"] == "-" else value


def _decimal(digits: str) -> str | None:
    """`digits` with a point for the decimals and no other separator; None where the separators make no sense.

    Of commas and points that both stand there the last one is the decimal mark. Commas alone separate thousands where
    each is followed by three digits, else a single one is a decimal mark; points alone the same, but a single point is
    always one. Apostrophes and narrow spaces separate thousands.
    """
    text = digits.replace("'", "")
    if len(text) > MOST_DIGITS:
        return None
    mark, other = (".", ",") if text.rfind(".") >= text.rfind(",") else (",", ".")
    whole, _, decimals = text.rpartition(mark) if mark in text else (text, "", "")
    if other not in text and _grouped(text, mark) and (mark == "," or text.count(".") > 1):
        return text.replace(mark, "")
    if mark in whole or (other in whole and not _grouped(whole, other)):
        return None
    return f"{whole.replace(other, '') or '0'}.{decimals or '0'}"


def _grouped(text: str, mark: str) -> bool:
    """Whether `mark` separates thousands in `text`: one to three digits, then threes (or twos and a three, as in India)."""
    return (
        re.fullmatch(rf"\d{{1,3}}(?:(?:{mark}\d{{3}})+|(?:{mark}\d\d)+{mark}\d{{3}})".replace(".", r"\."), text)
        is not None
    )
