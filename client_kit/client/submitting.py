"""From answers to request bodies: what is held already is left out, the rest goes in batches below the limit."""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import ValidationError

from client_kit.errors import ConfigurationError
from client_kit.wire import Answer, Seal, SubmissionReceipt, content_digest, submission_digest

BATCH_BYTES = 4 * 1024 * 1024
"""A request is full when its body has this many bytes before compression: a quarter of the server's limit, so that one
more answer of the greatest length always fits, and a lost connection costs little."""

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


def batches(answers: Iterable[Answer], batch_bytes: int = BATCH_BYTES) -> Iterator[bytes]:
    """Bodies of gzip-compressed NDJSON, each of about `batch_bytes` before compression. Reads lazily."""
    pending: list[bytes] = []
    size = 0
    for answer in answers:
        pending.append(answer.model_dump_json(exclude_none=True).encode() + b"\n")
        size += len(pending[-1])
        if size >= batch_bytes:
            yield _compress(pending)
            pending, size = [], 0
    if pending:
        yield _compress(pending)


def _compress(lines: list[bytes]) -> bytes:
    return gzip.compress(b"".join(lines), compresslevel=6, mtime=0)
