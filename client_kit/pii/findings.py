"""What a detector says of a text, checked, and the text with it masked."""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from client_kit.errors import ConfigurationError


class Finding(NamedTuple):
    """Personal data in a text, from character `start` to before `end`."""

    start: int
    end: int
    kind: str
    """`email`, say: a word of letters, digits and underscores. It is counted and recorded, so it must not be of the text."""


Detector: TypeAlias = Callable[[str], Iterable[Finding | tuple[int, int, str]]]
"""Finds personal data in one text. May raise anything: then nothing is sent."""

_KIND = re.compile(r"[A-Za-z]\w{0,39}")


def findings(detect: Detector, text: str) -> list[Finding]:
    """What a detector finds, in the order of the text, of findings that overlap the longest, kinds in lower case.

    Raises ConfigurationError, without a word of the text, where the detector fails or its findings are none.
    """
    try:
        found = [Finding(*each) for each in detect(text)]
        faulty = any(not _is_finding(each, text) for each in found)
    except Exception as error:
        raise _failed(f"raised {type(error).__name__}") from error
    if faulty:
        raise _failed("gave a finding that is no (start, end, kind) within the text")
    chosen: list[Finding] = []
    for each in sorted(found, key=lambda one: (one.start - one.end, one.start, one.kind)):
        if all(each.end <= other.start or other.end <= each.start for other in chosen):
            chosen.append(each._replace(kind=each.kind.lower()))
    return sorted(chosen)


def masked(text: str, found: Iterable[Finding]) -> str:
    """The text with `<KIND>` in place of each finding. found: without overlaps."""
    for each in sorted(found, reverse=True):
        text = f"{text[: each.start]}<{each.kind.upper()}>{text[each.end :]}"
    return text


def _is_finding(found: Finding, text: str) -> bool:
    return 0 <= found.start < found.end <= len(text) and _KIND.fullmatch(found.kind) is not None


def _failed(what: str) -> ConfigurationError:
    return ConfigurationError(f"the detector that pii.find names {what}; nothing was sent. Repair it, or name another")
