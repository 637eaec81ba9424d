"""Server-sent events: from lines to round events, across broken connections."""

from collections.abc import Iterator

from client_kit.errors import UnexpectedAnswer
from client_kit.wire import EventKind, RoundEvent

_LAST = frozenset({EventKind.PUBLISHED, EventKind.FAILED})


class EventFeed:
    """Reads the lines of an event stream and remembers where to resume.

    Source: WHATWG HTML, section 9.2 "Server-sent events"; of its fields only `data` is needed, since every event
    carries its number and kind in it.
    """

    def __init__(self, after: int | None = None) -> None:
        self.last_event_id = after
        """Number of the last event seen; sent as `Last-Event-ID`."""
        self.ended = False
        """True after the round was published or failed."""
        self._data: list[str] = []
        self._rest = b""

    def restart(self) -> None:
        """Forget half an event: its connection broke."""
        self._data.clear()
        self._rest = b""

    def take(self, chunk: bytes) -> Iterator[RoundEvent]:
        """The events that end in the next bytes of the stream. Lines end at newlines alone: JSON may hold U+2028."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if (event := self.feed(line.removesuffix(b"\r").decode(errors="replace"))) is not None:
                yield event

    def feed(self, line: str) -> RoundEvent | None:
        """Take one line without its end; an empty line completes an event."""
        if line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
        if line or not self._data:
            return None
        event = self._parse("\n".join(self._data))
        self._data.clear()
        self.last_event_id = event.event_id
        self.ended = event.kind in _LAST
        return event

    @staticmethod
    def _parse(data: str) -> RoundEvent:
        try:
            return RoundEvent.read(data)
        except ValueError as error:
            raise UnexpectedAnswer(f"the event stream carries no round event: {data[:200]}", status=200) from error
