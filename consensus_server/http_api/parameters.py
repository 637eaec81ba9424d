"""The parameter path: a safetensors file in, what was made of all of them out."""

from typing import Annotated, Any

from fastapi import Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from client_kit import wire
from client_kit.wire import routes
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.openapi import Responses, problem_responses
from consensus_server.http_api.path_parameters import Context, FederationName, RoundNumber, Service
from consensus_server.http_api.prompt_sets import FOREVER
from consensus_server.http_api.pseudo_labels import names

router = api_router("parameters", large_bodies=True)

_FILE: dict[str, Any] = {routes.SAFETENSORS: {"schema": {"type": "string", "format": "binary"}}}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "A safetensors file by the federation's plan; Content-Encoding identity, gzip or zstd.",
        "content": _FILE,
    }
}
_OK: Responses = {
    200: {"content": _FILE, "description": "A safetensors file"},
    304: {"description": "If-None-Match names this file"},
}


@router.put(routes.PARAMETERS, openapi_extra=_BODY, responses=problem_responses(415))
async def put_parameters(
    *,
    federation: FederationName,
    number: RoundNumber,
    request: Request,
    caller: CallerOf,
    context: Context,
    replace: Annotated[bool, Query(description="Another file takes the place of the one held.")] = False,
) -> wire.ParameterReceipt:
    """Keep the caller's update of this round. The same file again changes nothing; the seal ends it."""
    body = await request.body()
    keep = context.use_cases.parameters.keep
    file, unchanged = await run_in_threadpool(keep, caller, federation, number, body, replace=replace)
    return wire.ParameterReceipt(
        digest=file.digest, bytes=len(body), rank=file.rank, examples=file.examples, unchanged=unchanged
    )


@router.get(routes.PARAMETERS, responses=_OK, response_class=Response)
def get_parameters(
    federation: FederationName,
    number: RoundNumber,
    caller: CallerOf,
    service: Service,
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """What a published round made of the updates: the caller's own file where the method is personal, else everybody's."""
    file = service.parameters.fetch(caller, federation, number)
    # Encoded as nothing: numbers hardly shrink, and bytes should be what the method costs.
    headers = {
        "ETag": f'"{file.digest}"',
        "Cache-Control": FOREVER,
        "Vary": "Authorization",
        "Content-Encoding": "identity",
    }
    if names(if_none_match, file.digest):
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=routes.SAFETENSORS, headers=headers)
