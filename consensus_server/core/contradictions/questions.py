"""What a prompt asks for. Only a closed question says which of an answer's sentences must agree with another's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from consensus_server.core.contradictions.classes import GENERIC
from consensus_server.core.contradictions.quantities import Quantity
from consensus_server.core.contradictions.reading import Reading, Stand, read

_LONGEST: Final = 400
"""Characters beyond which a prompt is taken to be open: it brings material, and asks for more than one thing."""
_LONGEST_WITHOUT_MARK: Final = 80
"""Characters up to which a prompt without a question mark is read as a question."""
_MOST_WORDS: Final = 12
"""Of a closed question that begins with "what", "which" or "who"."""

_QUESTION: Final = re.compile(r"[^.!?\n]*\?")
_OPENER: Final = re.compile(r"^(?:and|so|but|answer the following question)\W+", re.IGNORECASE)
_REQUEST: Final = re.compile(
    r"^(?:can|could|will|would) (?:you|i have|we)\b|^are you\b|^do you\b|.*\bcan you\b|.*\bplease\b",
    re.IGNORECASE | re.DOTALL,
)
"""An order in the form of a question."""
_YES_NO: Final = re.compile(
    r"^(?:is|are|was|were|can|could|may|might|do|does|did|has|have|had|should|shall|will|would|must|need|am)\b",
    re.IGNORECASE,
)
_AMOUNT: Final = re.compile(
    r"\b(?:when|how (?:many|much|often|long|old|far|tall|high|big|fast|late|soon|heavy)"
    r"|(?:what|which) (?:\w+ )?(?:year|date|day|time|dose|percentage|share|age|temperature|number|amount|price|distance))\b"
    r"|\bwhat is the (?:\w+ ){0,3}(?:dose|number|price|age|value|answer|limit|target|rate|length|size)\b",
    re.IGNORECASE,
)
_WHAT: Final = re.compile(
    r"^(?:what|which|who|where|whose|on which|in which|at which|from which|name|tell me)\b", re.IGNORECASE
)
_OPEN_WHAT: Final = re.compile(r"(?:what|which|who) (?:are|if|were|would|could|about)\b", re.IGNORECASE)
_SOMEWHERE: Final = re.compile(r"\bwhat did\b|\bon which\b", re.IGNORECASE)

_AUXILIARY_AXES: Final = {
    "can": "allow",
    "may": "allow",
    "could": "allow",
    "must": "necessity",
    "need": "necessity",
    "should": "necessity",
}
_DIMENSIONS: Final = {
    "when": ("year", "date", "clock", "decade"),
    "often": ("frequency",),
    "long": ("time",),
    "old": ("time",),
    "dose": ("mass", "volume", "amount"),
    "year": ("year",),
    "percentage": ("percent",),
    "many": ("n:",),
    "much": ("money", "mass", "volume", "percent"),
}


class Kind(StrEnum):
    """What a prompt asks for."""

    YES_NO = "yes_no"
    CHOICE = "choice"
    AMOUNT = "amount"
    WHAT = "what"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt, read."""

    kind: Kind = Kind.OPEN
    stems: frozenset[str] = frozenset()
    """All content words of the prompt."""
    axes: frozenset[str] = frozenset()
    """Opposites that a closed question asks about."""
    dimensions: tuple[str, ...] = ()
    """Of the quantities that a closed question asks for; `n:` is a count."""
    sides: Mapping[str, Mapping[int, Stand]] | None = None
    quantities: tuple[Quantity, ...] = ()
    """Those that the prompt states itself."""

    @property
    def closed(self) -> bool:
        return self.kind is not Kind.OPEN

    def weight(self, key: str) -> int:
        """What a shared word tells of two sentences that they speak of the same, in tenths: less where the prompt has it too."""
        if key in GENERIC:
            return 2 if key in self.stems else 4
        return 5 if key in self.stems else 10

    def names_both_sides(self, axis: str) -> bool:
        """Whether the prompt itself says both opposites: "left or right?"."""
        return {1, -1} == (self.sides or {}).get(axis, {}).keys()

    def asks_for(self, quantity: Quantity) -> bool:
        """Whether a quantity is of the kind that is asked for; a count, of things that the prompt names."""
        if quantity.counted:
            return "n:" in self.dimensions and quantity.dimension[2:] in self.stems
        return quantity.dimension in self.dimensions


OPEN: Final = Question()
"""Nothing is known of what is asked."""


@lru_cache(maxsize=4096)
def read_question(prompt: str) -> Question:
    """Read a prompt."""
    if not prompt:
        return OPEN
    reading = read(prompt)
    sides = {axis: stands for sentence in reading.sentences for axis, stands in sentence.sides.items()}
    quantities = tuple(each for sentence in reading.sentences for each in sentence.quantities)
    open_prompt = Question(stems=reading.stems, sides=sides, quantities=quantities)
    question = _only_question(prompt)
    if question is None or _REQUEST.match(question):
        return open_prompt
    question = _OPENER.sub("", question)
    kind = _kind(question)
    return Question(kind, reading.stems, _axes(question, kind, reading), _dimensions(question), sides, quantities)


def _only_question(prompt: str) -> str | None:
    """The question of a prompt that asks exactly one and is not long."""
    found = [each.strip() for each in _QUESTION.findall(prompt)]
    if not found and len(prompt) < _LONGEST_WITHOUT_MARK:
        found = [prompt.strip()]
    return found[0] if len(found) == 1 and len(prompt) <= _LONGEST else None


def _kind(question: str) -> Kind:
    if re.search(r"\bor\b", question) and (_YES_NO.match(question) or _WHAT.match(question)):
        return Kind.CHOICE
    if _YES_NO.match(question):
        return Kind.YES_NO
    if _AMOUNT.search(question):
        return Kind.AMOUNT
    closed_what = _WHAT.match(question) and len(question.split()) <= _MOST_WORDS and not _OPEN_WHAT.match(question)
    return Kind.WHAT if closed_what or _SOMEWHERE.search(question) else Kind.OPEN


def _axes(question: str, kind: Kind, reading: Reading) -> frozenset[str]:
    """The opposites that the prompt's words stand on, and that of its auxiliary verb: "may I" asks what is allowed."""
    axes = {axis for sentence in reading.sentences for axis in sentence.sides}
    axes |= {_AUXILIARY_AXES[word] for word in question.lower().split()[:1] if word in _AUXILIARY_AXES}
    if kind is Kind.YES_NO and "safety" in axes:
        axes.add("harmless")
    return frozenset(axes)


def _dimensions(question: str) -> tuple[str, ...]:
    words = set(re.findall(r"[a-z]+", question.lower()))
    return tuple(each for word, dimensions in _DIMENSIONS.items() if word in words for each in dimensions)
