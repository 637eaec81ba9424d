"""The parameter path: a safetensors file in, what was made of all of them out."""

from typing import Annotated, Any

from fastapi import Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from client_kit import wire
from client_kit.wire import routes
from consensus_server.http_api.admission import admits
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.bodies import read_body
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.memory import held_by
from consensus_server.http_api.openapi import Responses, problem_responses
from consensus_server.http_api.path_parameters import Context, FederationName, RoundNumber, Service
from consensus_server.http_api.prompt_sets import FOREVER
from consensus_server.http_api.pseudo_labels import names
from consensus_server.service.access import PARTICIPANTS

router = api_router("parameters")

_TELLING_BYTES = 64 * 1024
"""A file that is too large by less is read, and refused in the plan's own words."""

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
@admits(PARTICIPANTS)
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
    parameters = context.use_cases.parameters
    most_bytes = await run_in_threadpool(parameters.admit, caller, federation, number)
    body = await read_body(
        request, context.options.parameter_limits.at_most(most_bytes + _TELLING_BYTES), held_by(request.scope).take
    )
    keep = parameters.keep
    file, unchanged = await run_in_threadpool(keep, caller, federation, number, body, replace=replace)
    return wire.ParameterReceipt(
        digest=file.digest, bytes=len(body), rank=file.rank, examples=file.examples, unchanged=unchanged
    )


@router.get(routes.PARAMETERS, responses=_OK, response_class=Response)
def get_parameters(
    *,
    federation: FederationName,
    number: RoundNumber,
    caller: CallerOf,
    request: Request,
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
    held_by(request.scope).take_answer(len(file.content))  # until it is sent: its reader may be slow
    return Response(file.content, media_type=routes.SAFETENSORS, headers=headers)
