"""Answers looked through for personal data before anything counts, shows or sends them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from client_kit.generation.cleaning import Cleaned, Dropped
from client_kit.pii.findings import Detector, Finding, findings, masked
from client_kit.settings import PiiAction
from client_kit.wire import Answer


class Screen:
    """A detector and what is done about its findings; each text is looked at once."""

    def __init__(self, detect: Detector, action: PiiAction) -> None:
        self.action = action
        self._detect = detect
        self._seen: dict[str, list[Finding]] = {}

    def __call__(self, cleaned: Cleaned, max_chars: int) -> Cleaned:
        """The answers as they may leave, with how much was found by kind. Raises ConfigurationError where the detector fails.

        max_chars: the federation's `max_answer_chars`; a mask that makes an answer longer is cut there.
        """
        found = {id(answer): self._found(answer.text) for answer in cleaned.answers}
        counts = Counter(each.kind for some in found.values() for each in some)
        touched = [answer for answer in cleaned.answers if found[id(answer)]]
        screened = replace(cleaned, personal=dict(sorted(counts.items())))
        if self.action == "block":
            return _without(screened, touched)
        if self.action == "mask":
            return replace(screened, answers=[_mask(each, found[id(each)], max_chars) for each in cleaned.answers])
        return screened

    def _found(self, text: str) -> list[Finding]:
        if text not in self._seen:
            self._seen[text] = findings(self._detect, text)
        return self._seen[text]


def _without(cleaned: Cleaned, touched: Sequence[Answer]) -> Cleaned:
    if not touched:
        return cleaned
    gone = {id(answer) for answer in touched}
    dropped = {**cleaned.dropped, Dropped.PERSONAL_DATA.value: [answer.prompt_id for answer in touched]}
    return replace(cleaned, answers=[each for each in cleaned.answers if id(each) not in gone], dropped=dropped)


def _mask(answer: Answer, found: Sequence[Finding], max_chars: int) -> Answer:
    return answer.model_copy(update={"text": masked(answer.text, found)[:max_chars]}) if found else answer
