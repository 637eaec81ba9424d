"""Sizes that both sides hold to, and the types that carry them."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

MAX_ANSWER_CHARS = 100_000
"""Longest answer that any federation can admit, in characters; a federation may set less."""

MAX_PROMPT_CHARS = 100_000
"""Longest public prompt, in characters."""

MAX_PROMPTS = 100_000
"""Most prompts in one prompt set."""

MAX_SAMPLES = 64
"""Most answers of one participant to one prompt."""

MAX_APPEAL_CHARS = 4_000
"""Longest text of an appeal, and of an operator's note on it."""

MAX_REQUEST_BYTES = 16 * 1024 * 1024
"""Largest request body after decompression; a larger submission is sent as several requests."""

MAX_PAGE_ITEMS = 1_000
"""Most rows in one JSON page."""

MAX_WAIT_SECONDS = 60.0
"""Longest time that the server holds a long poll open."""


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("contains a NUL character, which databases cannot store; remove it")
    return text


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
"""Name of a federation, a participant or a prompt set: lower-case letters, digits, '.', '_' and '-'."""

PromptId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")]
"""Name of a prompt, unique within its prompt set."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in lower-case hexadecimal."""

NUL_FREE = AfterValidator(_without_nul)
"""Stands after the bounds of a text, so that pydantic tells those in characters."""

Unit = Annotated[float, Field(ge=0, le=1)]
"""A share, a probability."""

Text = Annotated[str, NUL_FREE]
"""Text that every supported database can store."""
