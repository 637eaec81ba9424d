"""Which answers a request may bring. All faults of a request are found before it is refused."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from consensus_server.core.errors import (
    AnswerConflict,
    AnswerTooLong,
    DomainError,
    Fault,
    TooManySamples,
    UnknownPrompt,
    ValidationFailed,
)
from consensus_server.core.federations import Terms
from consensus_server.core.rounds import Answer, AnswerKey

MAX_TOKENS = 2**31 - 1
"""Beyond this a database has no number for a count of tokens, and no model an answer."""

_Finding = tuple[type[DomainError], Fault]


def check_answers(answers: Sequence[Answer], terms: Terms, known_prompts: Collection[str]) -> None:
    """Raise for answers that the federation's terms do not admit.

    known_prompts: those of the answers' prompts that are in the prompt set. The error is of the kind of the first
    fault (UnknownPrompt, TooManySamples, AnswerTooLong or ValidationFailed) and lists the others too, of whatever kind.
    """
    findings = [
        finding
        for place, answer in enumerate(answers, start=1)
        for finding in _faults(_where(place, answer), answer, terms, known_prompts)
    ]
    _raise_first(findings)


def check_conflicts(answers: Sequence[tuple[Answer, str]], held: Mapping[AnswerKey, str]) -> None:
    """Raise AnswerConflict where another text has the same prompt and sample, held already or in the same request.

    answers: with their content digests. held: content digests by key; empty where they may be replaced.
    """
    seen: dict[AnswerKey, str] = {}
    findings: list[_Finding] = []
    for place, (answer, digest) in enumerate(answers, start=1):
        key = (answer.prompt_id, answer.sample)
        if held.get(key, digest) != digest:
            message = f"a different text is already stored for prompt {answer.prompt_id}, sample {answer.sample}."
        elif seen.setdefault(key, digest) != digest:
            message = (
                f"the request has two texts for prompt {answer.prompt_id}, sample {answer.sample}; number the samples."
            )
        else:
            continue
        findings.append((AnswerConflict, Fault(_where(place, answer), message)))
    _raise_first(findings)


def _where(place: int, answer: Answer) -> str:
    return f"answer {place} (prompt {answer.prompt_id}, sample {answer.sample})"


def _faults(where: str, answer: Answer, terms: Terms, known_prompts: Collection[str]) -> Iterator[_Finding]:
    if answer.prompt_id not in known_prompts:
        message = f"prompt {answer.prompt_id} is not in the federation's prompt set {terms.prompt_set[:12]}..."
        yield UnknownPrompt, Fault(where, message)
    if answer.sample >= terms.samples_per_prompt:
        message = f"sample {answer.sample} is out of range: the federation takes {terms.samples_per_prompt} per prompt, numbered from 0."
        yield TooManySamples, Fault(where, message)
    if len(answer.text) > terms.max_answer_chars:
        message = f"{len(answer.text)} characters; the federation takes at most {terms.max_answer_chars}."
        yield AnswerTooLong, Fault(where, message)
    if max(answer.prompt_tokens or 0, answer.completion_tokens or 0) > MAX_TOKENS:
        yield ValidationFailed, Fault(where, f"its usage counts more than {MAX_TOKENS} tokens.")


def _raise_first(findings: Sequence[_Finding]) -> None:
    if not findings:
        return
    kind, first = findings[0]
    more = f" ({len(findings) - 1} more faults in this request.)" if len(findings) > 1 else ""
    raise kind(f"{first.where}: {first.message}{more}", [fault for _, fault in findings])
