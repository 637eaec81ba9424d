"""Whether a text declines to answer. English only. Standard library only: sites and the server ask the same function.

A refusal begins by declining and goes on with nothing of its own: it apologises, names its reasons, warns, sends elsewhere or
offers other help. A text that declines something and then answers is an answer. So is one that finds its question
incomplete: to that, it may be the right one.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

MOST_CHARS: Final = 1_500
"""Longer texts say more than that they decline."""
MOST_OWN_CHARS: Final = 40
"""Characters that a refusal may have in clauses that neither decline nor go with it."""

_MARKUP: Final = re.compile(r"[*_#>~|]+")
_LONG_FORMS: Final = (
    ("\N{RIGHT SINGLE QUOTATION MARK}", "'"),
    ("can not", "cannot"),
    ("can't", "cannot"),
    ("won't", "will not"),
    ("n't", " not"),
    ("i'm", "i am"),
    ("i'd", "i would"),
    ("it's", "it is"),
    ("that's", "that is"),
    ("here's", "here is"),
    ("\N{LEFT DOUBLE QUOTATION MARK}", '"'),
    ("\N{RIGHT DOUBLE QUOTATION MARK}", '"'),
)
_BORDER: Final = re.compile(r"(?<=[.!?:;])\s+|\n+|(?<!\bhelp),?\s+(?=(?:but|however|nevertheless|nonetheless)\b)")
_TURN: Final = re.compile(r"(?:but|however|nevertheless|nonetheless|that said|instead)\b[, ]*")


def _any_of(*patterns: str) -> str:
    return f"(?:{'|'.join(patterns)})"


_MACHINE: Final = (
    r"\b(?:ai|artificial intelligence|(?:language )?model|assistant|chat ?bot|(?:computer )?program|machine)\b"
)
_POLITE: Final = _any_of(
    "no", "nope", "well", "oh", "hello", "hi", "sorry", "sadly", "unfortunately", "regrettably", r"i am (?:\w+ )?sorry", "i apologi[sz]e",
    "my apologies", "i am afraid", "apologies", "at this time", "currently", "i understand", "i appreciate", "while", "although", "thank you", "thanks",
    "i am (?:designed|programmed|only|just|here)",
)  # fmt: skip
_CANNOT: Final = _any_of(
    "cannot",
    "could not",
    "will not",
    r"am (?:\w+ )?(?:unable to|not (?:\w+ )?(?:able to|capable of|going to|allowed to|permitted to|programmed to|designed to|willing to))",
)
_SERVE: Final = _any_of(
    "help", "assist", "answer", "comply", "fulfil", "provid", "discuss", "engag", "generat", "creat", "writ", "giv", "offer", "shar", "support",
    "respond", "participat", "describ", "explain", "produc", "tell you", "access", "brows", "search", "recommend", "suggest", "advis",
    "encourag", "promot", "endors", "condon", "facilitat", "complet", "continu", "proceed", r"do (?:that|this|so)\b",
    r"mak(?:e|ing) (?:that|this|such|up|an?|any|decisions?)\b", "talk about", "reproduc", "display", "view", "predict", "pretend",
    "express", "perform", "process", "physically", "convert", "defin", "guess", "translat", "execut", "reveal", "verif", "look up", "analy[sz]", "summari[sz]",
)  # fmt: skip
_NO_SERVICE: Final = (
    r"(?!help (?:but|it|myself|\w+ing)\b)(?!give (?:up|in)\b)(?!(?:describe|explain|express|tell you) (?:how (?!to)|it|my)\b)"
    r"(?![^.,;]{0,40}\benough\b)"
)
"""What people cannot do either."""
_LACKED: Final = _any_of(
    "access",
    r"(?:the|any|an?) (?:ability|capability|capacity|means|way)",
    "real-time",
    "real time",
    "personal",
    "opinions",
)
_OPENS: Final = re.compile(rf"{_POLITE}\b|(?:as|i am) (?:\w+ )?an? [^.!?]{{0,60}}?{_MACHINE}")
"""What may stand before a refusal."""
_DECLINES: Final = re.compile(
    rf"(?:{_POLITE}\b[^.!?]{{0,120}}?[,. ]\s*)?"
    + _any_of(
        rf"i {_CANNOT} (?:\w+ly |in good conscience )?{_NO_SERVICE}{_SERVE}",
        rf"i {_CANNOT}\W*$",
        rf"i do not (?:\w+ly )?(?:have|possess) (?:\w+ )?{_LACKED}\b",
        r"i (?:do|am|would) not (?:feel )?(?:\w+ly |be )?comfortable",
        r"i (?:must|have to|need to|will have to|am going to have to|will|would)? ?(?:\w+ly )?(?:decline|refuse)\b",
        r"i would (?:rather|prefer) not\b",
        rf"as an? [^.!?]{{0,60}}?{_MACHINE}[^.!?]{{0,60}}?\bi (?:{_CANNOT}|(?:do|am) not)\b",
        rf"i am (?:just |only |merely )?an? [^.!?]{{0,40}}?{_MACHINE}[^.!?]{{0,60}}?\b(?:{_CANNOT}|(?:do|am) not)\b",
        r"(?:it|this|that) (?:is|would be) (?:not )?(?:\w+ for me to|something (?:that )?i (?:can|am able)|(?:against|outside(?: of)?|beyond) my)\b",
        r"my (?:\w+ )?(?:guidelines|polic(?:y|ies)|programming|training) (?:do(?:es)? not (?:allow|permit)|prevents?|prohibits?|forbids?)\b",
        r"(?:it|this|that|(?:this|your) request) (?:goes against|violates|would (?:go against|violate))",
    )
)
_OF_ITSELF: Final = re.compile(
    r"\bi (?:do not|cannot) (?:\w+ )?(?:have|possess|experience|feel|think)\b(?: (?:\w+|the (?:ability|capability|capacity) to))? "
    r"(?:feel|feelings?|emotions?|inspiration|think|thoughts?|consciousness|experiences?)\b"
)
"""What machines say of themselves when that is what they are asked."""
_GOES_WITH: Final = re.compile(
    r"\b"
    + _any_of(
        r"^(?:no|nope|hello|hi|well|hmm)\b(?=\W*$)", "sorry", r"apologi\w+", "i understand", "i appreciate", "thank you", "unfortunately",
        "i (?:cannot|do not|am|was|must|have been|aim|strive|only|just|hope|would|will not|could not|suggest|recommend|encourage|advise)",
        "for me", "allow me",
        r"(?<!as of )my (?:\w+ )?(?:knowledge|training|purpose|function|programming|responses|goal|role|capabilit\w+|guidelines)",
        "(?:can|may|could) i (?:help|assist|do|offer)",
        r"i (?:can|could|will)(?: \w+ly| still| also| only| try to)* (?:help|provide|offer|assist|try|suggest|give|guide|discuss|answer|share|recommend)",
        "is there (?:something|anything)", "let me know", "feel free", "would you like", "if you (?:have|need|would like|want|are|or)",
        r"(?:please|you (?:can|could|may|should|might)(?: \w+ly| also)?|best|need|want)(?: to)? (?:consult|contact|check|refer|seek|ask|visit|search|find|reach|note|call|talk to|speak to)",
    )
    + r"\b"
)  # fmt: skip
_WARNS: Final = re.compile(
    r"\b(?:il?legal|unlawful|crim|harm|danger|unethical|inappropriate|offensive|violat|respect|rights|privacy|consent|polic(?:y|ies)|"
    r"guideline|ethic|moral|safe|discriminat|violen|abus|threat|exploit|copyright|hate|hatred|sensitive|stereotyp|responsib|important to)"
)
_ANSWERS: Final = re.compile(r"\bhere (?:is|are|it is)\b|```|(?:^|[.!?:]\s)yes\b")
_INCOMPLETE: Final = re.compile(
    r"\bnot (?:\w+ )?(?:provided|mentioned|specified|given|included|stated|available|clear|complete|contain|include|mention|specify|see any|have enough)\b|"
    r"\b(?:please|could you|can you) (?:please )?(?:provide|clarify|specify|share|give|paste|rephrase)\b|"
    r"\b(?:more|further|additional|enough|sufficient) (?:information|context|details)\b|\bno (?:text|information|\w+ provided)\b"
)


IDENTITY: Final = (
    "english-1-"
    + sha256(
        "\n".join(
            [
                each.pattern
                for each in (_BORDER, _TURN, _OPENS, _DECLINES, _OF_ITSELF, _GOES_WITH, _WARNS, _ANSWERS, _INCOMPLETE)
            ]
        ).encode()
    ).hexdigest()[:12]
)
"""Of what this module calls a refusal. The number in it rises with a change that the patterns do not show."""


def is_refusal(text: str) -> bool:
    """Whether the text declines to answer, in English, and does not answer all the same."""
    if len(text) > MOST_CHARS:
        return False
    plain = _plain(text)
    if _ANSWERS.search(plain) or _INCOMPLETE.search(plain) or plain.startswith('"'):
        return False
    clauses = iter(_clauses(plain))
    for _, clause in clauses:
        if _declines(clause):
            return _says_no_more(clauses)
        if not _OPENS.match(clause):
            return False
    return False


def _declines(clause: str) -> bool:
    return _DECLINES.match(clause) is not None and _OF_ITSELF.search(clause) is None


def _says_no_more(clauses: Iterator[tuple[bool, str]]) -> bool:
    """Whether what follows a clause that declines only goes with it."""
    own, turned = 0, False
    for turns, clause in clauses:
        if _declines(clause):
            continue
        turned = turned or turns
        if _GOES_WITH.search(clause) or (not turned and _WARNS.search(clause)):
            continue
        own += len(clause)
        if turns or own > MOST_OWN_CHARS:
            return False
    return True


def _plain(text: str) -> str:
    """In small letters, without marks of emphasis, contractions written out."""
    plain = _MARKUP.sub("", text).strip().lower()
    for short, long in _LONG_FORMS:
        plain = plain.replace(short, long)
    return plain


def _clauses(plain: str) -> Iterator[tuple[bool, str]]:
    """Its clauses, and whether each begins with a turn such as `but`."""
    for part in _BORDER.split(plain):
        clause = " ".join(part.split())
        turn = _TURN.match(clause)
        rest = clause[turn.end() :] if turn else clause
        if rest:
            yield turn is not None, rest
