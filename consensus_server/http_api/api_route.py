"""The way of every request under /v1: who calls, how often, then the body, then the use case."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from consensus_server.http_api.bodies import BodyLimits, parse_json, read_body
from consensus_server.http_api.context import ApiOptions, context_of
from consensus_server.http_api.identity import documented_bearer, identify
from consensus_server.http_api.openapi import problem_responses

_JSON = (b"content-type", b"application/json")


class ApiRoute(APIRoute):
    """A route that knows its caller before it reads a byte of the body, and reads the body within bounds."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        serve = super().get_route_handler()

        async def handle(request: Request) -> Response:
            context = context_of(request)
            await identify(request, context)
            return await serve(BoundedRequest(request, self.limits(context.options)))

        return handle

    def limits(self, options: ApiOptions) -> BodyLimits:
        """How much of a body is read."""
        return options.body_limits


class LargeBodyRoute(ApiRoute):
    """A route for files of adapters: it knows its caller first, and reads larger bodies than the others."""

    def limits(self, options: ApiOptions) -> BodyLimits:
        return options.parameter_limits


class BoundedRequest(Request):
    """A request whose body is bounded, decompressed and strictly decoded; faults are RequestProblems.

    Whatever Content-Type it names, a body is read as what the route takes: `curl -d` names the wrong one.
    """

    def __init__(self, request: Request, limits: BodyLimits) -> None:
        others = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
        super().__init__({**request.scope, "headers": [*others, _JSON]}, request.receive)
        self._limits = limits

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await read_body(Request(self.scope, self.receive), self._limits)
        return self._body

    async def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        return parse_json(await self.body())


def api_router(tag: str, *, large_bodies: bool = False) -> APIRouter:
    """A router whose routes need a token and document every problem that they can answer."""
    return APIRouter(
        route_class=LargeBodyRoute if large_bodies else ApiRoute,
        tags=[tag],
        dependencies=[Depends(documented_bearer)],
        responses=problem_responses(),
        generate_unique_id_function=lambda route: route.name,
    )
