"""The way of every request under /v1: who calls, how often, with what right, then the body, then the use case."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from consensus_server.http_api.admission import Admits, admission_of
from consensus_server.http_api.bodies import BodyLimits, parse_json, parse_message, read_body
from consensus_server.http_api.context import ApiOptions, context_of
from consensus_server.http_api.identity import admit_stranger, documented_bearer, identify
from consensus_server.http_api.memory import held_by
from consensus_server.http_api.openapi import problem_responses
from consensus_server.service.access import MEMBERS

_JSON = (b"content-type", b"application/json")


READ_AT_ONCE = 16 * 1024
"""Bytes of JSON that are read on the event loop: a thread would take longer."""

_WITHOUT_BODIES = frozenset({"GET", "HEAD", "DELETE"})


class ApiRoute(APIRoute):
    """A route that knows its caller and the caller's right before it reads a byte of the body, and reads within bounds."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        serve = super().get_route_handler()
        admits = self._admits()
        kind: Any = None if self.body_field is None else self.body_field.field_info.annotation
        message = None if kind is None else TypeAdapter(kind)

        async def handle(request: Request) -> Response:
            context = context_of(request)
            await identify(request, context)
            admits.check(request, request.state.caller)
            return await serve(BoundedRequest(request, self.limits(context.options), message))

        return handle

    def _admits(self) -> Admits:
        """Raises TypeError for a route with a body that does not say whose."""
        said = admission_of(self.endpoint)
        if said is None and not (self.methods or set()) <= _WITHOUT_BODIES:
            raise TypeError(f"{self.path} takes a body; say with `admits` whose")
        return said or Admits(MEMBERS)

    def limits(self, options: ApiOptions) -> BodyLimits:
        """How much of a body is read: of one message little, unless the operator of the server sends it."""
        large = self.body_field is None or self._admits().server_only
        return options.body_limits if large else options.message_limits


class OpenRoute(APIRoute):
    """A route for who has no token yet: charged to its address, and its body read within the bounds of one message."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        serve = super().get_route_handler()
        kind: Any = None if self.body_field is None else self.body_field.field_info.annotation
        message = TypeAdapter(kind)

        async def handle(request: Request) -> Response:
            context = context_of(request)
            admit_stranger(request, context)
            return await serve(BoundedRequest(request, context.options.message_limits, message))

        return handle


class BoundedRequest(Request):
    """A request whose body is bounded, decompressed and strictly decoded; faults are RequestProblems.

    Whatever Content-Type it names, a body is read as what the route takes: `curl -d` names the wrong one.
    """

    def __init__(self, request: Request, limits: BodyLimits, message: TypeAdapter[Any] | None = None) -> None:
        """message: what a JSON body must be; None for any."""
        others = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
        super().__init__({**request.scope, "headers": [*others, _JSON]}, request.receive)
        self._limits = limits
        self._message = message

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            take = held_by(self.scope).take
            self._body = await read_body(Request(self.scope, self.receive), self._limits, take)
        return self._body

    async def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        body, message = await self.body(), self._message
        read = partial(parse_json, body) if message is None else partial(parse_message, body, message)
        return read() if len(body) < READ_AT_ONCE else await run_in_threadpool(read)


def api_router(tag: str) -> APIRouter:
    """A router whose routes need a token and document every problem that they can answer."""
    return APIRouter(
        route_class=ApiRoute,
        tags=[tag],
        dependencies=[Depends(documented_bearer)],
        responses=problem_responses(),
        generate_unique_id_function=lambda route: route.name,
    )
