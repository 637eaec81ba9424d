"""Whether the server lives, whether it can work, and its metrics. No token: for orchestrators and monitoring."""

import json

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from client_kit import wire
from client_kit.wire import PROBLEM_MEDIA_TYPE, ProblemCode, routes
from consensus_server import __version__
from consensus_server.http_api import translate
from consensus_server.http_api.context import EncoderState
from consensus_server.http_api.openapi import not_ready_response
from consensus_server.http_api.path_parameters import Context
from consensus_server.http_api.problems import problem_response

router = APIRouter(tags=["health"], generate_unique_id_function=lambda route: route.name)


@router.head(routes.HEALTH, include_in_schema=False)
@router.get(routes.HEALTH)
async def get_health() -> wire.Health:
    """The process answers."""
    return wire.Health(version=__version__)


@router.head(routes.READY, include_in_schema=False)
@router.get(routes.READY, response_model=wire.Readiness, responses=not_ready_response())
async def get_readiness(request: Request, context: Context) -> Response:
    """The database answers at the newest schema, the encoder is loaded and the threads work; else 503.

    The body of the 503 is a problem that also has the fields of Readiness.
    """
    state, database, troubled = context.encoder(), await context.database.get(None), context.threads()
    readiness = wire.Readiness(
        ready=state.identity is not None and database == "ok" and not troubled,
        database=database,
        troubled=troubled,
        encoder=translate.to_wire(wire.EncoderCard, state.identity) if state.identity else None,
        encoder_failure=state.failure,
        stand_in=state.stand_in,
        version=__version__,
    )
    if readiness.ready:
        return JSONResponse(readiness.model_dump(mode="json"))
    problem = problem_response(request.scope, ProblemCode.NOT_READY, _missing(state, database, troubled))
    body = json.loads(bytes(problem.body)) | readiness.model_dump(mode="json")
    headers = {"Retry-After": problem.headers["retry-after"], "Cache-Control": "no-store"}
    return JSONResponse(body, problem.status_code, headers, PROBLEM_MEDIA_TYPE)


def _missing(state: EncoderState, database: str, troubled: list[str]) -> str:
    faults = []
    if database != "ok":
        faults.append(f"The database: {database}.")
    if state.failure:
        faults.append(f"The encoder cannot be loaded: {state.failure}")
    elif state.identity is None:
        faults.append("The encoder is loading.")
    faults += [f"The {name} met an error and is started again; the log has it." for name in troubled]
    return " ".join(faults)


@router.head(routes.METRICS, include_in_schema=False)
@router.get(routes.METRICS, response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def get_metrics(context: Context) -> Response:
    """Metrics in Prometheus' text format. No names of federations or participants stand in them."""
    context.metrics.encoder_ready.set(context.encoder().identity is not None)
    return Response(context.metrics.render(), media_type=CONTENT_TYPE_LATEST)
