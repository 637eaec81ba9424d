"""The run bundle of a published round."""

import tempfile
from collections.abc import Iterator
from typing import IO

from starlette.responses import Response, StreamingResponse

from client_kit.wire import routes
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.openapi import Responses
from consensus_server.http_api.path_parameters import FederationName, RoundNumber, Service

router = api_router("bundles")

MEMORY_BYTES = 1024 * 1024
"""A larger bundle lies in a file until it is sent."""
_PIECE = 64 * 1024
_OK: Responses = {200: {"content": {routes.ZIP: {"schema": {"type": "string", "format": "binary"}}}}}


@router.get(routes.BUNDLE, responses=_OK, response_class=Response)
def get_bundle(federation: FederationName, number: RoundNumber, caller: CallerOf, service: Service) -> Response:
    """Everything of a published round that the caller may see, in one file that can be checked elsewhere."""
    stream = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - closed when it is sent
    try:
        service.bundles.write(caller, federation, number, stream)
    except BaseException:
        stream.close()
        raise
    stream.seek(0)
    return StreamingResponse(_pieces(stream), media_type=routes.ZIP, headers={"Cache-Control": "no-store"})


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(_PIECE):
            yield piece
