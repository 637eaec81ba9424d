"""What a sentence says, as far as words tell.

That is: which words it affirms and which it denies, on which side of which opposites it stands, its quantities, its names and
the order of its words.

A sentence is read once, from left to right, clause by clause. A negation turns what follows in its clause; some words turn
the whole clause ("it is *unlikely* that", "not possible"). Two of them cancel.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from consensus_server.core.contradictions.classes import CATEGORIES, QUANTIFIERS, axes_of
from consensus_server.core.contradictions.lexicon import WORDS
from consensus_server.core.contradictions.quantities import Quantity, read_quantities
from consensus_server.core.contradictions.sentences import split, tokens_of
from consensus_server.core.contradictions.stems import stem

_PUNCTUATION: Final = frozenset(".,;:!?()\n")
_BREAKS: Final = _PUNCTUATION | WORDS["clause_end"]
_TO_BE: Final = frozenset(["is", "are", "was", "were", "been", "being", "be"])
_MODALS: Final = frozenset(["may", "can", "could", "should", "must"])
MOST_SENTENCES: Final = 400
"""Distinct sentences of a text that are read: those of fifty pages. What comes later is not looked at."""
_MOST_OF_SHORT: Final = 2
"""Sentences of a short answer."""
_LONGEST_ACRONYM: Final = 5
_LATEST_COMMA: Final = 10
"""Token up to which the first comma of a sentence may end its adjunct."""
_DRUG: Final = re.compile(
    r"(?:pril|olol|statin|sartan|azole|cillin|mycin|mab|nib|dipine|prazole|tidine|formin|gliptin|gliflozin|glutide|cycline"
    r"|floxacin|xaban|parin|pam|lam|setron|triptan|oxetine|azine|profen|fenac|gliz?ide|zide|thiazide)e?$"
)
"""Endings of international names of drugs: names, though they are written small."""
_PREFIX: Final = re.compile(
    r"^(hyper|hypo|tachy|brady|macro|micro)(?=[a-z]{5})(?!thes|crit|link|tenus|scop|phon|wav|soft|econ|nutri|chip)"
)
_PREFIXES: Final = {
    "hyper": ("hyper", 1),
    "hypo": ("hyper", -1),
    "tachy": ("tachy", 1),
    "brady": ("tachy", -1),
    "macro": ("macro", 1),
    "micro": ("macro", -1),
}
_FROM_TO: Final = re.compile(r"\bfrom (\w+(?: \w+)?) to (\w+(?: \w+)?)")


@dataclass(frozen=True, slots=True)
class Stand:
    """A word on one side of an axis of opposites."""

    word: str
    denied: bool
    """Whether a negation put it on that side."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What a sentence says. Words are stems unless said otherwise."""

    polarity: Mapping[str, int]
    """Content word to 1 where it is affirmed, -1 where it is denied, 0 where both."""
    denied: frozenset[str]
    """Words that a negation spoke about, also where two of them cancelled."""
    sides: Mapping[str, Mapping[int, Stand]]
    """Axis of opposites to who stands on its side 1 and -1."""
    quantities: tuple[Quantity, ...]
    categories: Mapping[str, Mapping[str, str]]
    """Category of exclusive words to those that occur: stem to word."""
    names: Mapping[str, str]
    """Proper names and drugs: stem to word."""
    order: tuple[str, ...]
    """Content words in their order, with "before" and "after"."""
    quantifier: int
    """How much of a whole it speaks of, 1 (few) to 4 (all); 0: not said."""
    modality: str
    """`oblige`, `free`, `forbid` or nothing."""
    passive: bool
    shown: Mapping[str, str]
    """Stem to the word as a person would read it, "not" before it where it is denied."""
    from_to: tuple[str, str] | None
    """The two ends of "from ... to ..."."""
    compared: frozenset[str]
    """Words before "than"."""
    raw: str
    """All tokens in small letters."""
    written: str
    """As a person reads it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says. Depends on nothing but the text and the lexicon."""

    sentences: tuple[Sentence, ...]
    verdict: int
    """1 for a yes at its beginning, -1 for a no, else 0."""
    short: bool
    """At most two sentences."""

    @property
    def stems(self) -> frozenset[str]:
        """All content words."""
        return frozenset().union(*(sentence.polarity for sentence in self.sentences))


def read(text: str) -> Reading:
    """Read a text, in about a millisecond for 300 words."""
    parts = split(text)
    distinct = list(dict(zip(parts.sentences, parts.written, strict=True)).items())[:MOST_SENTENCES]
    sentences = (_read_sentence(sentence, written, first=i == 0) for i, (sentence, written) in enumerate(distinct))
    return Reading(tuple(filter(None, sentences)), parts.verdict, len(parts.sentences) <= _MOST_OF_SHORT)


def _read_sentence(text: str, shown: str, *, first: bool) -> Sentence | None:
    """shown: the sentence as written. first: whether it opens its text. None for one without words."""
    written = tokens_of(text)
    if not any(word[0].isalnum() for word in written):
        return None
    return _Reader(written, shown, first=first).read()


@dataclass(slots=True)
class _Clause:
    """The clause that is being read."""

    words: list[tuple[str, int]] = field(default_factory=list)
    stands: list[tuple[str, int, str, bool | None]] = field(default_factory=list)
    """(axis, side, word, whether denied; None where the word is itself a negation, which its clause does not turn)."""
    turned: int = 1
    """-1 where the whole clause is denied."""


class _Reader:
    """Reads one sentence."""

    def __init__(self, written: Sequence[str], shown: str, *, first: bool) -> None:
        self._written, self._sentence, self._first = written, shown, first
        self._tokens = [word.lower() for word in written]
        self._quantities, self._taken = read_quantities(self._tokens)
        self._clause = _Clause()
        self._scope = 1
        """-1 while a negation turns the words that follow."""
        self._negated = self._phrase = self._adjunct_over = False
        self._less: str | None = None
        """The word after "less", which it denies."""
        self._polarity: dict[str, int] = {}
        self._denied: set[str] = set()
        self._sides: dict[str, dict[int, Stand]] = {}
        self._categories: dict[str, dict[str, str]] = {}
        self._names: dict[str, str] = {}
        self._order: list[str] = []
        self._shown: dict[str, str] = {}
        self._compared: set[str] = set()
        self._quantifier, self._modality, self._passive = 0, "", False

    def read(self) -> Sentence:
        for i, word in enumerate(self._tokens):
            if word in _BREAKS:
                self._break(i, word)
                continue
            self._note_quantifier(i, word)
            self._passive |= word == "by" and not _TO_BE.isdisjoint(self._tokens[max(0, i - 4) : i])
            if i in self._taken:
                continue
            if self._phrase and word in WORDS["auxiliary"]:  # "without evidence | can be irrational"
                self._scope, self._phrase = 1, False
            if word in WORDS["denying_clause"]:
                self._deny_clause(word)
            elif not (word in WORDS["denying"] and self._deny(i, word)):
                self._take(i, word)
        self._end_clause()
        raw = " ".join(self._tokens)
        return Sentence(
            polarity=self._polarity,
            denied=frozenset(self._denied),
            sides=self._sides,
            quantities=tuple(self._quantities),
            categories=self._categories,
            names=self._names,
            order=tuple(self._order),
            quantifier=self._quantifier,
            modality=self._modality,
            passive=self._passive,
            shown=self._shown,
            from_to=_from_to(raw),
            compared=frozenset(self._compared),
            raw=raw,
            written=self._sentence,
        )

    def _at(self, i: int) -> str:
        return self._tokens[i] if 0 <= i < len(self._tokens) else ""

    def _break(self, i: int, word: str) -> None:
        """A clause ends, unless this is the comma after an adjunct that opens the sentence."""
        adjunct = word == "," and self._tokens[0] in WORDS["adjunct"] and i <= _LATEST_COMMA
        if not adjunct or self._adjunct_over:
            self._end_clause()
        self._adjunct_over |= word == ","
        self._scope, self._negated = 1, False

    def _end_clause(self) -> None:
        clause, self._clause = self._clause, _Clause()
        for key, sign in clause.words:
            signed = sign * clause.turned
            self._polarity[key] = signed if self._polarity.get(key, signed) == signed else 0
            if clause.turned < 0:
                self._denied.add(key)
        for axis, side, word, denied in clause.stands:
            turned = clause.turned if denied is not None else 1
            self._sides.setdefault(axis, {})[side * turned] = Stand(word, bool(denied) != (turned < 0))

    def _note_quantifier(self, i: int, word: str) -> None:
        if word not in QUANTIFIERS or self._quantifier or (word == "most" and self._at(i - 1) == "at"):
            return
        self._quantifier = QUANTIFIERS[word]
        if word == "few" and self._at(i - 1) == "a":  # "a few" are some
            self._quantifier = QUANTIFIERS["some"]
        if word == "many" and self._scope < 0:  # "not many" are few
            self._quantifier = QUANTIFIERS["few"]

    def _deny_clause(self, word: str) -> None:
        """A word that denies its clause as a whole; a negation before it is cancelled."""
        if self._scope < 0:
            self._scope = 1
        else:
            self._clause.turned *= -1
        turned = self._negated and self._scope > 0 and self._clause.turned > 0
        key = stem(word)
        self._stand(key, word, -1 if turned else 1, None)
        self._shown.setdefault(key, word)
        self._order.append(key)

    def _stand(self, key: str, word: str, turned: int, denied: bool | None) -> None:  # noqa: FBT001 - of a stand
        self._clause.stands += [(axis, side * turned, word, denied) for axis, side in axes_of(key)]

    def _deny(self, i: int, word: str) -> bool:
        """A word that denies what follows it. False where it does not, and is a word like others."""
        before, after = self._at(i - 1), self._at(i + 1)
        if word == "against" and not before.startswith(("advis", "recommend", "warn", "argu")):
            return True
        if word in ("fail", "fails", "failed") and after != "to":
            return False
        if word == "no" and self._first and i == 0 and after in (",", ".", ""):
            return True
        if word == "not" and self._deny_auxiliary(i, before):
            return True
        if word in ("neither", "none", "nobody", "nothing") and self._scope < 0:
            return True
        if word == "exclude" and (after in _BREAKS or not after or before in _TO_BE):
            self._clause.turned *= -1
        else:
            self._scope = -self._scope
            self._phrase = word in ("without", "lacking")
        self._negated = True
        self._stand(stem(word), word, 1 if word == "exclude" else -self._scope, None)
        return True

    def _deny_auxiliary(self, i: int, before: str) -> bool:
        """May not forbids, need not frees, and "not possible" denies the clause. False for another "not"."""
        following = self._tokens[i + 1 : i + 3]
        stands = self._clause.stands
        if before in _MODALS:
            self._clause.stands = [stand for stand in stands if stand[2] != before]
            self._clause.stands.append(("allow", -self._scope, f"{before} not", None))
            self._scope, self._negated = -self._scope, True
            self._modality = "forbid" if self._scope < 0 else self._modality
        elif before == "need" or following in (["have", "to"], ["need", "to"]):
            self._clause.stands = [stand for stand in stands if stand[0] != "necessity"]
            self._clause.stands.append(("necessity", -1, "need not", None))
            self._scope, self._modality = -self._scope, "free"
        elif not WORDS["predicate"].isdisjoint(following):
            self._clause.turned *= -1
        else:
            return False
        return True

    def _take(self, i: int, word: str) -> None:
        """A word that denies nothing."""
        following = self._at(i + 1)
        if (
            word in ("less", "least")
            and following.isalpha()
            and following not in WORDS["function"]
            and self._at(i - 1) != "at"
        ):
            self._less = stem(following)
        key = self._note_sides(i, word)
        self._note_modality(i, word)
        if category := CATEGORIES.get(key) or CATEGORIES.get(word):
            self._categories.setdefault(category, {})[key] = word
        if word in ("before", "after"):
            self._order.append(key)
        if word == "then" and "first" in self._tokens[:i]:
            self._order.append(stem("before"))
            self._clause.stands.append(("order", self._scope, "then", self._scope < 0))
        if following == "than":
            self._compared.add(key)
        if self._is_content(i, word):
            self._note_content(i, word, key)

    def _note_sides(self, i: int, word: str) -> str:
        """Note on which sides of opposites a word stands. Its stem, without hyper-, hypo- and their like."""
        key = stem(word)
        scope = -self._scope if key == self._less else self._scope
        denied = scope < 0
        if match := _PREFIX.match(word):
            axis, side = _PREFIXES[match[1]]
            key = stem(word[match.end() :])
            self._clause.stands.append((f"{axis}:{key}", side * scope, word, denied))
            if axis == "hyper":
                self._clause.stands.append(("level", side * scope, word, denied))
        month = word == "may" and self._written[i] == "May" and i > 0
        forbids = word == "must" and self._at(i + 1) == "not"
        for axis, side in () if month else axes_of(key):
            if (axis, word) == ("love", "like") or (axis == "necessity" and forbids):
                continue
            self._clause.stands.append((axis, side * scope, word, denied))
        return key

    def _note_modality(self, i: int, word: str) -> None:
        if self._modality:
            return
        if word in WORDS["oblige"] or (word in ("has", "have", "needs", "need") and self._at(i + 1) == "to"):
            self._modality = "oblige" if self._scope * self._clause.turned > 0 else "free"
        elif word in WORDS["permit"] and self._written[i] != "May":
            self._modality = "free" if self._scope > 0 else "forbid"

    def _is_content(self, i: int, word: str) -> bool:
        if len(word) == 1:  # "vitamin K" has a name, "a" has none
            return i > 0 and word.isalpha() and self._written[i].isupper()
        return word[0].isalpha() and word not in WORDS["function"]

    def _note_content(self, i: int, word: str, key: str) -> None:
        written = self._written[i]
        shouted = len(written) > _LONGEST_ACRONYM and written.isupper()
        if written[0].isupper() and not shouted and i > 0 and self._tokens[i - 1] not in _BREAKS and word != "i":
            self._names[key] = written
        elif _DRUG.search(word):
            self._names[key] = word
        self._order.append(key)
        self._shown.setdefault(key, word if self._scope > 0 else f"not … {word}")
        less = key == self._less
        self._clause.words.append((key, -self._scope if less else self._scope))
        if less:
            self._less = None
        if less or self._scope < 0:
            self._denied.add(key)


def _from_to(raw: str) -> tuple[str, str] | None:
    found = _FROM_TO.search(raw)
    if found is None:
        return None
    start = found[1].split()
    return start[-1] if start[0] in ("ward", "the") else start[0], found[2].split()[-1]
