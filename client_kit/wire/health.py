"""Health and readiness."""

from pydantic import Field

from client_kit.wire.base import WireModel
from client_kit.wire.rounds import EncoderCard


class Health(WireModel):
    """The process answers."""

    status: str = "ok"
    version: str


class Readiness(WireModel):
    """The service can do its work: the database answers at the newest schema, the encoder is loaded and the threads work."""

    ready: bool
    database: str
    """`ok`, or what is wrong."""
    encoder: EncoderCard | None
    """None while it loads, and where that failed."""
    encoder_failure: str | None = None
    """Why the encoder cannot be loaded; the server must be started again."""
    troubled: list[str] = Field(default_factory=list)
    """Threads that an error ended a short while ago: `worker`, `puller`. They are started again."""
    stand_in: bool = False
    """True where the encoder is a stand-in that knows no meaning: for tests only."""
    version: str
