r"""The final answer that a text states, wherever and however it states it.

Conventions, the strongest first; of several statements by one convention the last counts:

1. `\boxed{42}`, `<answer>42</answer>`, `#### 42`, and the field `"answer": "42"` of JSON;
2. "the final answer is 42", "Answer: (B)", "the correct option is B";
3. the whole text is the answer: "42 km", "B) Paris", "Yes.", "(2, 3)", "x = 2, y = 3", "'abc'", "Paris", "None";
4. the text begins with yes or no, true or false: "Yes, because ...";
5. the last sentence has a number: its last one. ("So she has 42 apples left.")

A number that is denied ("42, not 43") is no answer, one of several ("3 to 5") is none by the last convention, and
courtesies at the end ("I hope this helps") are left out, save for what marks set apart in them.

English only. A text that does none of this states no final answer.
"""

import re
from functools import lru_cache
from typing import Final

from consensus_server.core.consensus.answers.characters import visible
from consensus_server.core.consensus.meaning.units import IN_PARTS, Measured, in_parts, unit_behind
from consensus_server.core.consensus.meaning.values import (
    ONE_PART,
    PARTS,
    is_formal,
    plain,
    value_key,
    words_key,
    written_key,
)

LOOKED_AT: Final = 4000
"""Characters at the end of a text in which a final answer is looked for; the beginning of one sees as many."""

_BOXED: Final = re.compile(r"\\(?:boxed|fbox)\s*\{")
_BOXES: Final = 10
"""Boxes, from the end, that are looked into: thousands that never close would each be read to the end."""
_TAGGED: Final = re.compile(r"<answer>(.{0,500}?)</answer>", re.IGNORECASE | re.DOTALL)
_HASHES: Final = re.compile(r"^\s*####\s*(\S.*)$", re.MULTILINE)
_FIELD: Final = re.compile(
    r"""["'](?:final[ _-]?)?answer["']\s*:\s*(?:"(?P<double>(?:[^"\\]|\\.){0,500})(?:"|$)|'(?P<single>[^'\n]{0,500})(?:'|$)"""
    r"""|(?P<bare>\[[^\[\]]{0,500}\]|[^\s,{}\[\]"'][^,}\n]{0,200}))""",
    re.IGNORECASE,
)
"""The field of an object in JSON, whole or broken off: a string, a list without lists in it, or a bare value."""
_SUBJECT: Final = (
    r"(?:(?:the|my|our|your|a)\s+)?(?:(?:final|correct|right|best|overall|numerical)\s+)*"
    r"(?:answer|option|choice|solution|result)"
)
_STATED: Final = re.compile(
    rf"\b{_SUBJECT}(?:\s+(?:to|for|of)\s+(?:the|this|that)\s+(?:\w+\s+){{0,2}}?(?:question|problem))?"
    r"[*_`\s]*(?:\b(?:is|are|would be|must be|should be|equals|comes to)\b|[:=])[*_`:\s]*+(?!not\b)(?=([^\n]{1,200}))",
    re.IGNORECASE,
)
_CLAUSE_ENDS: Final = re.compile(
    r"[.!?;](?=\s|$)|\s+(?:because|since|as|which|so|given that|due to|but|(?:and )?not|rather than|instead of)\b"
    r"|,\s+(?=[a-z](?!\s*=))|(?<=\w)\s+\((?![A-J]\))"
)
_SENTENCE_ENDS: Final = re.compile(r"(?<=[.!?])\s+(?=\S)|\n+")
_COURTESY: Final = re.compile(
    r"[\W_]*(?:please,?\s+)?(?:(?:i\s+)?(?:really\s+)?hope\s+(?:this|that|it)\s+(?:helps|helped|makes sense|(?:is|was) helpful)"
    r"|let me know (?:if|whether|when|should)|feel free to|(?:if|should) you have any (?:\w+ )?questions"
    r"|(?:i'm |i am |i'd be |always )?(?:happy|glad) to help|thank(?:s| you) for|good luck (?:with|in|on)"
    r"|have a (?:good|great|nice) (?:day|evening|weekend))\b[^:;=]*",
    re.IGNORECASE,
)
"""A sentence that begins so and has no mark after which an answer may follow."""
_NUMERAL: Final = r"[-+]?[$€£¥₹]?(?:\d[\d,.']*\d|\d)(?:(?:\s+\d+)?\s*/\s*\d+|e[-+]?\d+)?"
_SCALE: Final = r"(?:\s(?:hundred|thousand|million|billion|trillion)\b){0,2}"
_SHARE: Final = rf"(?:\s(?:and\s(?:an?|one|two|three)[-\s](?:{ONE_PART}|{PARTS})|{PARTS}))?"
_JOINT: Final = r"\s?%?(?:\s+(?:to|and|or|in|(?:out )?of|plus|minus|times|by)\s+|\s+-\s*)"
_LAST_NUMBER: Final = re.compile(
    rf"(?<![\w.,/^:-])(?P<joined>(?:between\s+{_NUMERAL}\s+\S+\s+and\s+|{_NUMERAL}{_SCALE}{_JOINT})*(?:{_NUMERAL}%?-\s*)?)"
    rf"(?P<number>(?:(?:minus|negative)\s)?{_NUMERAL}(?!\w|[/^:-]\w){_SCALE}{_SHARE})",
    re.IGNORECASE,
)
"""A number, and what joins it to others before it: it is then one of a pair, the end of a range or part of a sum."""
_DENIED: Final = re.compile(
    r"(?:\b(?:not|cannot|neither|nor|rather than|instead of)|n't)\s+(?:(?:be|the|just|exactly|equal to|between)\s+){0,2}"
    rf"{_NUMERAL}(?:{_JOINT}{_NUMERAL})*{_SCALE}",
    re.IGNORECASE,
)
_DIGITS: Final = re.compile(_NUMERAL)
_ESCAPED: Final = re.compile(r"\\(.)")
_KEPT: Final = 4096
"""Keys that are kept: trust and clusters of one round both read them."""
_BARE: Final = 60
"""Characters that a text may have and still be nothing but an answer."""


@lru_cache(maxsize=_KEPT)
def final_answer(text: str) -> str | Measured | None:
    """Key of the final answer that `text` states (see `values.value_key`); None where it states none."""
    text = visible(text).rstrip()  # marks of direction stand around numbers in honest right-to-left text
    set_apart = _marked(text[-LOOKED_AT:])
    marked = _first(set_apart) or next(filter(None, map(words_key, set_apart)), None)
    text = _without_courtesies(text)
    end = text[-LOOKED_AT:].strip()
    return marked or _first(_said(end)) or _bare(text) or _opening(text) or _concluding(end)


def _without_courtesies(text: str) -> str:
    """`text` up to the courtesies at its end."""
    end = text[-LOOKED_AT:]
    stop = len(end)
    for start in reversed([0, *(found.end() for found in _SENTENCE_ENDS.finditer(end))]):
        if not _COURTESY.fullmatch(end, start, stop):
            break
        stop = start
    return text[: len(text) - len(end) + stop].rstrip()


def _first(statements: list[str]) -> str | Measured | None:
    """Key of the first statement of one value; where there is none, of the first with one number; else of the first with digits."""
    keys = (key(stated) for key in (value_key, _only_number, written_key) for stated in statements)
    return next((key for key in keys if key is not None), None)


def _only_number(stated: str) -> str | Measured | None:
    """Key of the number in a sentence that has no other: "the book has 300 pages"."""
    one = len(_DIGITS.findall(stated)) == 1 or IN_PARTS.search(stated)
    return _concluding(stated) if one and not is_formal(stated) else None


def _marked(text: str) -> list[str]:
    """What marks set apart, the last of each kind of mark."""
    found = (_boxed(text), _last(_TAGGED, text), _last(_HASHES, text), _field(text))
    return [stated for stated in found if stated is not None]


def _boxed(text: str) -> str | None:
    """Content of the last box that is closed, among the last few."""
    for start in reversed([found.end() for found in _BOXED.finditer(text)][-_BOXES:]):
        depth = 1
        for at in range(start, len(text)):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            if not depth:
                return text[start:at]
    return None


def _field(text: str) -> str | None:
    """Value of the last field of JSON that is called the answer."""
    found = list(_FIELD.finditer(text))
    return _ESCAPED.sub(r"\1", found[-1][found[-1].lastgroup or 0]) if found else None


def _last(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.findall(text)
    return found[-1] if found else None


def _said(text: str) -> list[str]:
    """What sentences call the answer, the last one first."""
    return [_clause(stated) for stated in reversed(_STATED.findall(text))]


def _clause(stated: str) -> str:
    """`stated` up to the end of its sentence, or to a reason given for it."""
    end = _CLAUSE_ENDS.search(stated)
    return stated[: end.start()] if end and end.start() else stated


def _bare(text: str) -> str | Measured | None:
    """A text that is nothing but an answer."""
    whole = text.strip()
    if len(whole) > _BARE or "\n" in whole:
        return None
    return value_key(whole) or (written_key(whole) if is_formal(whole) else _one_word(whole))


def _one_word(whole: str) -> str | None:
    return words_key(whole) if len(whole.split()) == 1 else None


def _opening(text: str) -> str | None:
    """A text that begins with its verdict."""
    key = value_key(text[:_BARE].lstrip())
    return key if isinstance(key, str) and key.startswith("truth") else None


def _concluding(text: str) -> str | Measured | None:
    """The last number of the last sentence that is not denied, with its unit; none where it is one of several."""
    sentence = _DENIED.sub(" ", plain(_SENTENCE_ENDS.split(text)[-1]))
    found = list(_LAST_NUMBER.finditer(sentence))
    if not found:
        return None
    last = found[-1]
    for parts in IN_PARTS.finditer(sentence):
        if parts.start() < last.start("number") < parts.end() and (together := in_parts(parts[0])) is not None:
            return together
    if last["joined"]:
        return None
    return value_key(last["number"] + unit_behind(sentence[last.end() :]))
