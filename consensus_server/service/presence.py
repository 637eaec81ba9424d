"""When participants were last heard of: noted in memory with their requests, written down now and then."""

import threading
from datetime import datetime, timedelta

from consensus_server.core.federations import Participant
from consensus_server.ports import Clock, Store

SEEN_SECONDS = 15.0
"""How far the noted moment may be behind. Waits of the kit, and open streams, are requests too."""


class Presence:
    """Notes who asks. Safe to be shared by threads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: dict[int, datetime] = {}
        """By key of the participant."""
        self._unwritten: dict[int, datetime] = {}

    def note(self, participant: Participant) -> None:
        """The participant is there now."""
        now = self._clock.now()
        with self._lock:
            last = self._noted.get(participant.id)
            if last is None or now - last >= timedelta(seconds=SEEN_SECONDS):
                self._noted[participant.id] = self._unwritten[participant.id] = now

    def record(self) -> None:
        """Write down what was noted. Raises StoreUnavailable, and keeps what is not written."""
        with self._lock:
            seen = dict(self._unwritten)
        if not seen:
            return
        with self._store.writing() as tx:
            tx.participants.seen(seen)
        with self._lock:
            self._unwritten = {key: at for key, at in self._unwritten.items() if seen.get(key) != at}
