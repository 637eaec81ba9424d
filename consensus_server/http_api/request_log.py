"""One structured log line, one set of metrics and one id per request; unexpected errors end here as a problem."""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from client_kit import tracing
from client_kit.wire import ProblemCode
from consensus_server.http_api.bounded_log import Allowance
from consensus_server.http_api.metrics import Metrics
from consensus_server.http_api.problems import problem_response

REQUEST_ID_HEADER = "X-Request-ID"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_OF_STRANGERS = frozenset({401, 404, 405, 429})
"""Statuses that anybody can have in any number: of their lines so many are written, and the others counted."""

_OF_THE_SERVER = 500
"""From here on statuses tell of faults of the server."""

_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = structlog.get_logger("consensus_server.http")


class RequestLogMiddleware:
    """Gives every request an id (the caller's own where it is harmless), logs it and measures it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._strangers = Allowance(per_second=5, burst=200)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        with tracing.span("request", kind="server", headers=Headers(scope=scope)) as drawn:
            with structlog.contextvars.bound_contextvars(request_id=request_id):
                status = await self._serve(scope, receive, send, request_id)
            self._draw(drawn, scope, status)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope["headers"]}
        if {b"content-length", b"transfer-encoding"} <= names:
            # A proxy and the server may each believe another of the two: where the request ends depends on who reads it.
            detail = "The request has Content-Length and Transfer-Encoding."
            await problem_response(scope, ProblemCode.AMBIGUOUS_LENGTH, detail)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> int:
        """The status that was sent; 0: the caller went away before there was one."""
        started = time.perf_counter()
        status = 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        try:
            await self._answer(scope, receive, send_named)
        except Exception:
            _log.exception("request failed", method=method_of(scope), route=route_of(scope))
            if status:
                raise  # half an answer is out: only the connection's end can say that it is broken
            detail = "The server met an error that it did not expect."
            await problem_response(scope, ProblemCode.INTERNAL, detail)(scope, receive, send_named)
        finally:
            self._report(scope, status, time.perf_counter() - started)
        return status

    @staticmethod
    def _draw(drawn: tracing.Drawn, scope: Scope, status: int) -> None:
        method, route = method_of(scope), route_of(scope)
        drawn.name(f"{method} {route}")
        drawn.tell(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status or None,
                "enduser.id": caller_named(scope),
            }
        )
        if status >= _OF_THE_SERVER:
            drawn.fail(str(status))

    def _report(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = method_of(scope), route_of(scope)
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.latency.labels(method, route).observe(seconds)
        kept_back = self._strangers.take() if status in _OF_STRANGERS else 0
        if kept_back is not None:
            more = {"not_logged": kept_back} if kept_back else {}
            # A status of 0: the caller went away before there was an answer.
            who = caller_named(scope)
            _log.info(
                "request", method=method, route=route, status=status, seconds=round(seconds, 4), caller=who, **more
            )


def method_of(scope: Scope) -> str:
    """The method, or OTHER: whoever invents methods makes no new labels of metrics."""
    method: str = scope["method"]
    return method if method in _METHODS else "OTHER"


def caller_named(scope: Scope) -> str | None:
    """Who sent the request, as the audit record has it; None for strangers."""
    state = scope.get("state", {})
    if (caller := state.get("caller")) is not None:
        return str(caller.title)
    asker = state.get("panel_caller")
    return None if asker is None or not asker.name else f"panels/{asker.name}"


def request_id_of(scope: Scope) -> str:
    """The id that the caller gave, where it is short and plain, else a new one."""
    given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
    return given if _ACCEPTABLE_ID.fullmatch(given) else uuid4().hex


def route_of(scope: Scope) -> str:
    """The template of the route, never the path: labels of metrics stay few, names stay out of them."""
    route: object = scope.get("route")
    return str(getattr(route, "path", "unknown"))
