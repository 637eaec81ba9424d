"""The two bases of every message on the wire."""

from typing import Self

from pydantic import BaseModel, ConfigDict


class WireModel(BaseModel):
    """A message of the service. Unknown fields are ignored, so that an older client reads a newer server."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    @classmethod
    def read(cls, body: str | bytes) -> Self:
        """A message as the service sent it: what this version does not know is ignored at every depth.

        An answer may hold what was once a request, such as a policy, whose own reading is strict. Raises ValueError.
        """
        return cls.model_validate_json(body, extra="ignore")


class Request(WireModel):
    """A message to the service. Unknown fields are refused: a misspelt option must not pass unnoticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
