"""The time of the machine."""

from datetime import UTC, datetime


class SystemClock:
    """What the machine says, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)
