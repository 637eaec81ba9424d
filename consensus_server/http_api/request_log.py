"""One structured log line, one set of metrics and one id per request; unexpected errors end here as a problem."""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from client_kit.wire import ProblemCode
from consensus_server.http_api.metrics import Metrics
from consensus_server.http_api.problems import problem_response

REQUEST_ID_HEADER = "X-Request-ID"

_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = structlog.get_logger("consensus_server.http")


class RequestLogMiddleware:
    """Gives every request an id (the caller's own where it is harmless), logs it and measures it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._serve(scope, receive, send, request_id)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        started = time.perf_counter()
        status = 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except Exception:
            _log.exception("request failed", method=scope["method"], route=route_of(scope))
            if status:
                raise  # half an answer is out: only the connection's end can say that it is broken
            detail = "The server met an error that it did not expect."
            await problem_response(scope, ProblemCode.INTERNAL, detail)(scope, receive, send_named)
        finally:
            self._report(scope, status, time.perf_counter() - started)

    def _report(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = scope["method"], route_of(scope)
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.latency.labels(method, route).observe(seconds)
        # A status of 0: the caller went away before there was an answer.
        _log.info("request", method=method, route=route, status=status, seconds=round(seconds, 4))


def request_id_of(scope: Scope) -> str:
    """The id that the caller gave, where it is short and plain, else a new one."""
    given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
    return given if _ACCEPTABLE_ID.fullmatch(given) else uuid4().hex


def route_of(scope: Scope) -> str:
    """The template of the route, never the path: labels of metrics stay few, names stay out of them."""
    route: object = scope.get("route")
    return str(getattr(route, "path", "unknown"))
