"""The answers of a round exactly as they leave, kept at the site, so that a digest of the egress record can be opened there."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from client_kit.egress.reading import Sent
from client_kit.exports import write_whole
from client_kit.federation.models import round_folder
from client_kit.wire import Answer, content_digest, submission_digest

SUBMISSION = "submission.jsonl"
"""In the folder of a round; lines as the body of a request has them."""


def keep(work: Path, number: int, answers: Sequence[Answer]) -> None:
    """Write what is about to be submitted in a round, in a file that only its owner reads."""
    file = round_folder(work, number) / SUBMISSION
    write_whole(file, "".join(answer.model_dump_json(exclude_none=True) + "\n" for answer in answers))


def kept(work: Path, number: int) -> list[Answer]:
    """The answers of a round as they were last kept; none where none were."""
    file = round_folder(work, number) / SUBMISSION
    return [Answer.model_validate_json(line) for line in file.read_bytes().splitlines()] if file.exists() else []


def digest_of(answers: Sequence[Answer]) -> str:
    """As a seal has it."""
    return submission_digest((answer.prompt_id, answer.sample, content_digest(answer.text)) for answer in answers)


def opened(work: Path, digest: str, sent: Sequence[Sent]) -> Iterator[tuple[int, list[Answer]]]:
    """(round, answers) for a digest, or its beginning, of one answer, of a sealed submission or of a request's body.

    sent: requests of the egress record, where a body's digest is looked for. A round whose answers are kept as other answers went
    out (a lost folder, another kit) gives nothing.
    """
    for file in sorted(work.glob(f"round-*/{SUBMISSION}")):
        number = int(file.parent.name.removeprefix("round-"))
        answers = kept(work, number)
        if digest_of(answers).startswith(digest):
            yield number, answers
        elif alone := [answer for answer in answers if content_digest(answer.text).startswith(digest)]:
            yield number, alone
        else:
            bodies = (each for each in sent if each.round == number and (each.body or "").startswith(digest))
            yield from ((number, found) for each in bodies if (found := _of_body(each, answers)))


def _of_body(request: Sent, answers: Sequence[Answer]) -> list[Answer]:
    """The answers that a request carried: so many that follow one another, with the digest of its body."""
    count = request.answers or 0
    lines = [answer.model_dump_json(exclude_none=True).encode() + b"\n" for answer in answers]
    for start in range(len(lines) - count + 1 if count else 0):
        if hashlib.sha256(b"".join(lines[start : start + count])).hexdigest() == request.unpacked:
            return list(answers[start : start + count])
    return []
