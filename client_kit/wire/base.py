"""The two bases of every message on the wire."""

from pydantic import BaseModel, ConfigDict


class WireModel(BaseModel):
    """A message of the service. Unknown fields are ignored, so that an older client reads a newer server."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Request(WireModel):
    """A message to the service. Unknown fields are refused: a misspelt option must not pass unnoticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
