"""From answers to request bodies: what is held already is left out, the rest goes in batches below the limit."""

import gzip
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import httpx
from pydantic import ValidationError

from client_kit.errors import BrokenEncoding, ConfigurationError, ServiceError
from client_kit.wire import Answer, Seal, SubmissionReceipt, content_digest, submission_digest

BATCH_BYTES = 4 * 1024 * 1024
"""A request is full when its body has this many bytes before compression: a quarter of the server's limit, so that one
more answer of the greatest length always fits, and a lost connection costs little."""

_FEW_PROMPTS = 10
"""Fewer may well have one answer."""

_log = logging.getLogger(__name__)

BATCH_SECONDS = 10.0
"""A request is full too when its first answer is so old: who answers as one asks loses little by an interruption."""

Answers: TypeAlias = Mapping[str, str] | Iterable[Answer]
"""Answers to submit: texts by prompt_id, or whole `Answer` records."""

AnswerKey: TypeAlias = tuple[str, int]
"""(prompt_id, sample)."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What `submit` did, and the seal that fits the answers it was given."""

    stored: int
    """Answers that were new to the server."""
    unchanged: int
    """Answers that the server held already, whether sent again or not."""
    replaced: int
    """Answers whose text was exchanged (`replace=True`)."""
    count: int
    """All answers given to `submit`."""
    digest: str
    """`submission_digest` of all answers given to `submit`."""

    @property
    def seal(self) -> Seal:
        """What `seal` sends: count and digest as this participant counts them."""
        return Seal(count=self.count, digest=self.digest)


class Ledger:
    """Counts the answers of one submission and says which of them still have to be sent."""

    def __init__(self, held: Mapping[AnswerKey, str]) -> None:
        self._held = held
        self._given: dict[AnswerKey, str] = {}
        self._stored = self._unchanged = self._replaced = 0

    def unsent(self, answers: Answers) -> Iterator[Answer]:
        """The answers that the server does not hold. Raises ConfigurationError for two texts under one key."""
        for answer in as_answers(answers):
            key = (answer.prompt_id, answer.sample)
            digest = content_digest(answer.text)
            if self._given.setdefault(key, digest) != digest:
                raise ConfigurationError(
                    f"prompt {answer.prompt_id} has two different answers as sample {answer.sample}; "
                    "give each answer of a prompt its own sample number, from 0"
                )
            if self._held.get(key) == digest:
                self._unchanged += 1
            else:
                yield answer

    def book(self, receipt: SubmissionReceipt) -> None:
        self._stored += receipt.stored
        self._unchanged += receipt.unchanged
        self._replaced += receipt.replaced

    def tell_if_nothing_is_said(self) -> None:
        """Warn where all prompts have the same answer: a stand-in that was left in place, and labels that mean nothing."""
        prompts = {prompt_id for prompt_id, _ in self._given}
        if len(prompts) >= _FEW_PROMPTS and len(set(self._given.values())) == 1:
            _log.warning(
                "All %d prompts have the same answer. Sites that say the same to everything agree on everything: is this the "
                "model that was meant?",
                len(prompts),
            )

    def total(self) -> Submission:
        digest = submission_digest((*key, digest) for key, digest in self._given.items())
        return Submission(self._stored, self._unchanged, self._replaced, len(self._given), digest)


def counted(answers: Answers | Submission) -> Submission:
    """Answers as a seal counts them, none of them sent."""
    if isinstance(answers, Submission):
        return answers
    ledger = Ledger({})
    for _ in ledger.unsent(answers):
        pass
    return ledger.total()


def as_answers(answers: Answers) -> Iterator[Answer]:
    """Answer records from either form. Raises ConfigurationError for a text that no server takes."""
    if not isinstance(answers, Mapping):
        yield from answers
        return
    for prompt_id, text in answers.items():
        try:
            yield Answer(prompt_id=prompt_id, text=text)
        except ValidationError as error:
            raise ConfigurationError(f"the answer to prompt {prompt_id} cannot be sent: {error}") from error


class Batches:
    """Lines of NDJSON in requests as large as the way to the server takes them. Reads answers lazily.

    A request that is refused for its size (a limit of a proxy) goes again in halves, and all that follow are no larger; one
    whose compression nobody understands (a proxy that unpacks it, or takes none) goes again as it is, like all that follow.
    """

    def __init__(self, answers: Iterable[Answer], most_bytes: int | None = None) -> None:
        """most_bytes: before compression, overshot by an answer at most; by default BATCH_BYTES."""
        self._lines = (answer.model_dump_json(exclude_none=True).encode() + b"\n" for answer in answers)
        self._most_bytes = most_bytes or BATCH_BYTES
        self._again: list[list[bytes]] = []
        """To be sent before any other."""
        self.compressed = True

    def __iter__(self) -> Iterator[list[bytes]]:
        """Lines for one request each."""
        while lines := self._again.pop() if self._again else self._next():
            yield lines

    def body(self, lines: list[bytes]) -> bytes:
        """What is sent of them."""
        body = b"".join(lines)
        return gzip.compress(body, compresslevel=6, mtime=0) if self.compressed else body

    def refused(self, lines: list[bytes], error: ServiceError) -> bool:
        """Take back a request that was not stored; False where nothing can be changed about it."""
        status = getattr(error, "status", None)
        unpacked = isinstance(error, BrokenEncoding) or status == httpx.codes.UNSUPPORTED_MEDIA_TYPE
        if unpacked and self.compressed:
            self.compressed = False
            self._again.append(lines)
        elif status == httpx.codes.REQUEST_ENTITY_TOO_LARGE and len(lines) > 1:
            half = len(lines) // 2
            self._most_bytes = min(self._most_bytes, sum(map(len, lines)) // 2)
            self._again += [lines[half:], lines[:half]]
        else:
            return False
        return True

    def _next(self) -> list[bytes]:
        lines: list[bytes] = []
        size = 0
        began = time.monotonic()
        while size < self._most_bytes and (line := next(self._lines, None)) is not None:
            lines.append(line)
            size += len(line)
            if time.monotonic() - began >= BATCH_SECONDS:
                break
        return lines
