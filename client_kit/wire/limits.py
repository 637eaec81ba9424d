"""Sizes that both sides hold to, and the types that carry them."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from client_kit.vocabulary import Scope

MAX_ANSWER_CHARS = 100_000
"""Longest answer that any federation can admit, in characters; a federation may set less."""

MAX_PROMPT_CHARS = 100_000
"""Longest public prompt, in characters."""

MAX_PROMPTS = 100_000
"""Most prompts in one prompt set."""

MAX_ROUND = 2**31 - 1
"""Highest number of a round: what every database holds."""
MAX_SAMPLES = 64
"""Most answers of one participant to one prompt."""

MAX_APPEAL_CHARS = 4_000
"""Longest text of an appeal, and of an operator's note on it."""

MAX_CERTIFICATES = 8
"""Most client certificates that one participant is bound to."""

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


@dataclass(frozen=True, slots=True)
class Matching:
    """A pattern for programs, as the JSON schema has it, whose breach is told to people in words."""

    pattern: str
    rule: str
    """What the text must be, after "must"."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": self.pattern}

    def _checked(self, text: str) -> str:
        if re.fullmatch(self.pattern, text) is None:
            raise PydanticCustomError("string_pattern_mismatch", "must {rule}", {"rule": self.rule})
        return text


Name = Annotated[
    str,
    Matching(
        r"^[a-z0-9][a-z0-9._-]{0,62}$",
        "have lower-case letters, digits, '.', '_' and '-' only, begin with a letter or digit, and have 1 to 63 characters",
    ),
]
"""Name of a federation, a participant or a prompt set: lower-case letters, digits, '.', '_' and '-'."""

PromptId = Annotated[
    str,
    Matching(
        r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$",
        "have letters of the English alphabet, digits, '.', '_', ':', '/' and '-' only, begin with a letter or digit, and "
        "have 1 to 128 characters",
    ),
]
"""Name of a prompt, unique within its prompt set."""

Digest = Annotated[str, Matching(r"^[0-9a-f]{64}$", "be a SHA-256 in 64 digits from 0-9 and a-f, in lower case")]
"""SHA-256 in lower-case hexadecimal."""

NUL_FREE = AfterValidator(_without_nul)
"""Stands after the bounds of a text, so that pydantic tells those in characters."""

Unit = Annotated[float, Field(ge=0, le=1)]
"""A share, a probability."""

YEAR_SECONDS = 366 * 24 * 3600.0

Scopes = Annotated[list[Scope], Field(min_length=1)]
"""What a token may be used for."""

Lifetime = Annotated[float, Field(ge=1, le=10 * YEAR_SECONDS, allow_inf_nan=False)]
"""Of a token, in seconds."""

Text = Annotated[str, NUL_FREE]
"""Text that every supported database can store."""
