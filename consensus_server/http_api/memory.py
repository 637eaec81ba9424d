"""What requests hold while they run: bytes of bodies and files in memory, and places beside others of one caller.

Bounded over all requests, and for each caller, so that neither many slow uploads nor one impatient caller takes all of it.
"""

import threading
from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

from client_kit.wire import ProblemCode
from consensus_server.http_api.problems import RequestProblem

ROW_BYTES = 1024
"""What one row of a body takes beside its text once it is read."""

_STATE = "held"


class MemoryBudget:
    """Counts what all requests hold. Safe to use from many threads."""

    def __init__(self, total_bytes: int, caller_bytes: int, caller_requests: int) -> None:
        """Most bytes of all requests, most bytes of one caller's, and most requests of one caller at the same time."""
        self._total_bytes = total_bytes
        self.caller_bytes = caller_bytes
        self._caller_requests = caller_requests
        self._lock = threading.Lock()
        self._bytes: Counter[str] = Counter()
        self._requests: Counter[str] = Counter()

    @property
    def held_bytes(self) -> int:
        """Bytes that all requests hold now."""
        with self._lock:
            return self._bytes.total()

    def enter(self, caller: str) -> None:
        """Take a place for one more request of a caller. Raises RequestProblem rate_limited."""
        with self._lock:
            if self._requests[caller] >= self._caller_requests:
                detail = f"{self._caller_requests} requests of this caller are under way; no more are taken at the same time."
                raise RequestProblem(ProblemCode.RATE_LIMITED, detail)
            self._requests[caller] += 1

    def take(self, caller: str, size: int) -> None:
        """Hold so many bytes more. Raises RequestProblem rate_limited where the caller, server_busy where the server holds too many."""
        with self._lock:
            if self._bytes[caller] + size > self.caller_bytes:
                detail = f"The requests of this caller that are under way bring more than {self.caller_bytes} bytes."
                raise RequestProblem(ProblemCode.RATE_LIMITED, detail)
            if self._bytes.total() + size > self._total_bytes:
                detail = f"The requests that are under way bring more than {self._total_bytes} bytes."
                raise RequestProblem(ProblemCode.SERVER_BUSY, detail)
            self._bytes[caller] += size

    def leave(self, caller: str, size: int) -> None:
        """Give back a place and so many bytes."""
        with self._lock:
            self._bytes[caller] -= size
            self._requests[caller] -= 1
            # Callers come and go: none is remembered.
            self._bytes, self._requests = +self._bytes, +self._requests


class Held:
    """What one request holds, until its answer has been sent."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._caller: str | None = None
        self._size = 0

    def enter(self, caller: str) -> None:
        """Whose request this is. Raises RequestProblem rate_limited."""
        self._budget.enter(caller)
        self._caller = caller

    def take(self, size: int) -> None:
        """Hold so many bytes more.

        Raises RequestProblem rate_limited and server_busy, and body_too_large where no wait would help.
        """
        if self._caller is None:
            raise RuntimeError("nothing is read of a caller that nobody knows")
        if self._size + size > self._budget.caller_bytes:
            detail = f"The request takes more than {self._budget.caller_bytes} bytes of memory; send it as several."
            raise RequestProblem(ProblemCode.BODY_TOO_LARGE, detail)
        self._budget.take(self._caller, size)
        self._size += size

    def take_answer(self, size: int) -> None:
        """Hold an answer until it is sent. No caller can ask for it in parts: of a larger one the caller's share is counted.

        Raises RequestProblem rate_limited and server_busy.
        """
        self.take(min(size, self._budget.caller_bytes - self._size))

    def release(self) -> None:
        """Give everything back."""
        if self._caller is not None:
            self._budget.leave(self._caller, self._size)
            self._caller, self._size = None, 0


class MemoryMiddleware:
    """Gives every request its `Held`, and takes back what it holds when its answer has been sent or its caller has gone."""

    def __init__(self, app: ASGIApp, *, budget: MemoryBudget) -> None:
        self._app = app
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        held = Held(self._budget)
        scope.setdefault("state", {})[_STATE] = held
        try:
            await self._app(scope, receive, send)
        finally:
            held.release()


def held_by(scope: Scope) -> Held:
    """What the request of this scope holds."""
    held: Held = scope["state"][_STATE]
    return held
