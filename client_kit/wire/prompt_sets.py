"""Public prompt sets: what everybody answers."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from client_kit.wire.base import Request, WireModel
from client_kit.wire.digests import rows_digest
from client_kit.wire.limits import MAX_PROMPT_CHARS, MAX_PROMPTS, NUL_FREE, Digest, Matching, Name, PromptId, Text


class Equivalence(StrEnum):
    """When two answers mean the same."""

    SEMANTIC = "semantic"
    """Their embeddings are close (the policy's distance)."""

    EXACT = "exact"
    """Their texts are equal after trimming and folding of case and white space."""

    FINAL_ANSWER = "final_answer"
    """They state the same number, choice or truth value, whatever leads to it and however it is written."""

    CODE = "code"
    """Their Python has one syntax tree but for names, comments and types; what does not parse is compared as `exact`."""

    JSON = "json"
    """They are the same JSON value, whatever the order of names, the way numbers are written and white space."""


class Prompt(Request):
    """One public prompt."""

    prompt_id: PromptId
    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT_CHARS), NUL_FREE]
    topic: Text | None = None
    equivalence: Equivalence | None = None
    """Overrides the manifest's for this prompt."""
    question: PromptId | None = None
    """Prompts with one value here ask the same question in other words: where evidence decides, their answers are one pool."""


class Manifest(Request):
    """What a prompt set is, beside its prompts."""

    name: Name
    version: Annotated[str, Matching(r"^[0-9]+(\.[0-9]+)*$", "be numbers with dots between, like 1.0")]
    digest: Digest
    """`prompt_set_digest` of its prompts."""
    prompt_count: Annotated[int, Field(ge=1, le=MAX_PROMPTS)]
    description: str
    licence: str
    """SPDX identifier."""
    language: str
    """BCP 47 tag of most of its prompts."""
    topics: dict[str, int]
    """Number of prompts by topic."""
    equivalence: Equivalence = Equivalence.SEMANTIC


class PromptSetUpload(Request):
    """A prompt set as an operator sends it. The server refuses it when digest, count or topics do not match."""

    manifest: Manifest
    prompts: Annotated[list[Prompt], Field(min_length=1, max_length=MAX_PROMPTS)]


class PromptSetList(WireModel):
    """All prompt sets that the server holds."""

    items: list[Manifest]


def unlike_wordings(prompts: Iterable[Any]) -> list[str]:
    """What is wrong with questions whose wordings are compared in unlike ways, a sentence each.

    prompts: with `prompt_id`, `question` and `equivalence`.
    """
    first: dict[str, Any] = {}
    return [
        f"question {prompt.question}: {prompt.prompt_id} and {earlier.prompt_id} ask it and have different equivalences; give "
        "them the same, or no question in common"
        for prompt in prompts
        if prompt.question is not None
        and (earlier := first.setdefault(prompt.question, prompt)).equivalence != prompt.equivalence
    ]


def prompt_set_digest(prompts: list[Prompt]) -> str:
    """Digest of the prompts of a set, whatever their order in the file; fields that are not set do not count."""
    return rows_digest(prompt.model_dump(mode="json", exclude_none=True) for prompt in prompts)
