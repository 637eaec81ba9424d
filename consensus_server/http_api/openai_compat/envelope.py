"""Errors as OpenAI's clients expect them: `{"error": {message, type, param, code}}` and the status that tells the type.

The clients make of 400 BadRequestError, of 401 AuthenticationError, of 404 NotFoundError, of 429 RateLimitError, and of
everything from 500 on InternalServerError; they repeat 429 and 5xx by themselves, unless `x-should-retry` forbids it.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from client_kit.wire import ProblemCode, routes
from consensus_server.core.errors import DomainError, EncodingFailed
from consensus_server.core.inference import UpstreamRequest
from consensus_server.http_api.api_route import BoundedRequest
from consensus_server.http_api.context import context_of
from consensus_server.http_api.openai_compat.answers import ErrorEnvelope, ErrorTold
from consensus_server.http_api.openai_compat.connected import ClientGone
from consensus_server.http_api.openai_compat.depth import TooDeep
from consensus_server.http_api.openai_compat.identity import identify_panel_caller
from consensus_server.http_api.openai_compat.requests import UNSUPPORTED
from consensus_server.http_api.openai_compat.translate import describe_upstreams, refusal_of
from consensus_server.http_api.problems import CATALOG, RequestProblem
from consensus_server.service.budgets import BudgetSpent
from consensus_server.service.panels import Consensus, QuorumMissed, UnknownPanel

_NO_RETRY = {"x-should-retry": "false"}
"""A repeated question is another fan-out, which somebody pays for: the application decides, not the library."""

CLIENT_GONE = 499
"""Nobody reads it; log and metrics show it."""

_log = structlog.get_logger("consensus_server.http")


@dataclass(frozen=True, slots=True)
class Kind:
    """What is the same for every error of one code."""

    status: int
    type: str
    headers: Mapping[str, str] = field(default_factory=dict)


ENVELOPES: dict[str, Kind] = {
    "invalid_json": Kind(400, "invalid_request_error"),
    "invalid_value": Kind(400, "invalid_request_error"),
    "unknown_parameter": Kind(400, "invalid_request_error"),
    "unsupported_parameter": Kind(400, "invalid_request_error"),
    "panels_in_a_circle": Kind(400, "invalid_request_error"),
    "context_length_exceeded": Kind(400, "invalid_request_error"),
    "invalid_api_key": Kind(401, "authentication_error", {"WWW-Authenticate": "Bearer"}),
    "wrong_certificate": Kind(401, "authentication_error", {"WWW-Authenticate": "Bearer"}),
    "out_of_scope": Kind(403, "permission_error"),
    "unknown_route": Kind(404, "invalid_request_error"),
    "method_not_allowed": Kind(405, "invalid_request_error"),
    "model_not_found": Kind(404, "invalid_request_error"),
    "body_too_large": Kind(413, "invalid_request_error"),
    "unsupported_encoding": Kind(415, "invalid_request_error"),
    "abstained": Kind(422, "abstention"),
    "rate_limit_exceeded": Kind(429, "rate_limit_error"),
    "insufficient_quota": Kind(429, "insufficient_quota", _NO_RETRY),
    "internal_error": Kind(500, "server_error", _NO_RETRY),
    "quorum_missed": Kind(502, "upstream_error", _NO_RETRY),
    "not_ready": Kind(503, "server_error"),
    "server_busy": Kind(503, "server_error"),
    "encoder_unavailable": Kind(503, "server_error", _NO_RETRY),
    "deadline_missed": Kind(504, "upstream_error", _NO_RETRY),
}
"""Every code that these routes answer; docs/inference.md has the same table, held together by a test."""

_CODES = {
    ProblemCode.UNAUTHENTICATED: "invalid_api_key",
    ProblemCode.TOKEN_EXPIRED: "invalid_api_key",
    ProblemCode.IDENTITY_REFUSED: "invalid_api_key",
    ProblemCode.WRONG_CERTIFICATE: "wrong_certificate",
    ProblemCode.OUT_OF_SCOPE: "out_of_scope",
    ProblemCode.RATE_LIMITED: "rate_limit_exceeded",
    ProblemCode.BODY_TOO_LARGE: "body_too_large",
    ProblemCode.UNSUPPORTED_ENCODING: "unsupported_encoding",
    ProblemCode.NOT_READY: "not_ready",
    ProblemCode.SERVER_BUSY: "server_busy",
}
"""Problems of the other routes that can occur here; every other fault of a body is `invalid_json`."""


class Abstained(Exception):  # noqa: N818 - what the panel did, told as an error where the client wishes it
    """No choice has an answer, and the client is to hear of it as an error."""

    def __init__(self, consensus: Consensus) -> None:
        super().__init__(refusal_of(consensus.choices[0]))
        self.consensus = consensus


class EnvelopeRoute(APIRoute):
    """A route that knows its caller before it reads the body, within bounds, and whose errors all leave in the envelope."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        serve = super().get_route_handler()

        async def handle(request: Request) -> Response:
            context = context_of(request)
            try:
                await identify_panel_caller(request, context)
                return await serve(BoundedRequest(request, context.options.body_limits))
            except ClientGone:
                return Response(status_code=CLIENT_GONE)
            except Exception as error:  # noqa: BLE001 - nothing may leave in another shape
                return enveloped(request, error)

        return handle


def enveloped(request: Request, error: Exception) -> Response:
    """The answer for an error. Of one that nobody expected only the request's id gets out."""
    if isinstance(error, RequestValidationError):
        return _of_validation(request, error.errors())
    if isinstance(error, UnknownPanel):
        message = f"There is no panel {str(error)[:100]!r} for this token. GET /v1/models lists those that there are."
        return error_response(request, "model_not_found", message, param="model")
    if isinstance(error, QuorumMissed | Abstained | BudgetSpent | TooDeep):
        return _of_panel(request, error)
    if isinstance(error, RequestProblem):
        return _of_problem(request, error.code, str(error.detail), error.retry_seconds)
    if isinstance(error, DomainError):
        return _of_problem(request, error.code, error.detail, None)
    return _of_fault(request, error)


def not_here(request: Request, status: int, allowed: Sequence[str]) -> Response | None:
    """The answer for a path of OpenAI's API that is not served, or not with this method; None for a path of another kind."""
    _, version, resource, *_ = (*request.url.path.split("/"), "", "")
    if version != "v1" or resource not in _RESOURCES:
        return None
    said = f"{request.method} {request.url.path[:200]}"
    if status == CATALOG[ProblemCode.METHOD_NOT_ALLOWED].status:
        headers = {"Allow": ", ".join(allowed)}
        return error_response(
            request, "method_not_allowed", f"{said}: this path takes {headers['Allow']}.", headers=headers
        )
    return error_response(
        request,
        "unknown_route",
        f"{said}: panels answer {routes.CHAT_COMPLETIONS}, {routes.COMPLETIONS}, {routes.RESPONSES} and {routes.MODELS}.",
    )


_RESOURCES: Final = frozenset(
    {
        "assistants", "audio", "batches", "chat", "completions", "containers", "conversations", "embeddings", "evals", "files",
        "fine_tuning", "images", "models", "moderations", "realtime", "responses", "threads", "uploads", "vector_stores", "videos",
    }
)  # fmt: skip
"""First parts of the paths of OpenAI's API."""


def _of_fault(request: Request, error: Exception) -> Response:
    """The server's own fault: the log has it, with addresses; the caller reads none of it."""
    if isinstance(error, EncodingFailed):
        _log.error("no vectors", cause=str(error), route="openai_compat")
        told = "The upstreams answered, but the encoder gave no vectors to compare their answers by. Tell the operator."
        return error_response(request, "encoder_unavailable", told)
    _log.error("request failed", exc_info=error, route="openai_compat")
    return error_response(request, "internal_error", "The server met an error that it did not expect.")


def error_response(
    request: Request,
    code: str,
    message: str,
    *,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
    asked: Iterable[UpstreamRequest] | None = None,
) -> Response:
    """One error in the envelope."""
    kind = ENVELOPES[code]
    told = ErrorTold(
        message=message,
        type=kind.type,
        param=param,
        code=code,
        request_id=request.scope.get("state", {}).get("request_id"),
        upstreams=None if asked is None else describe_upstreams(asked),
    )
    body = ErrorEnvelope(error=told).model_dump_json()
    kept = {**kind.headers, **(headers or {}), "Cache-Control": "no-store"}
    return Response(body, kind.status, kept, "application/json")


def _of_panel(request: Request, error: QuorumMissed | Abstained | BudgetSpent | TooDeep) -> Response:
    if isinstance(error, TooDeep):
        return error_response(request, "panels_in_a_circle", str(error))
    if isinstance(error, BudgetSpent):
        retry = {} if error.retry_seconds is None else {"Retry-After": str(error.retry_seconds)}
        return error_response(request, "insufficient_quota", str(error), param=error.param, headers=retry)
    if isinstance(error, Abstained):
        return error_response(request, "abstained", str(error), asked=error.consensus.asked)
    code = "context_length_exceeded" if error.too_long else "deadline_missed" if error.late else "quorum_missed"
    return error_response(request, code, str(error), asked=error.asked)


def _of_problem(request: Request, code: ProblemCode, detail: str, retry_seconds: int | None) -> Response:
    wait = retry_seconds if retry_seconds is not None else CATALOG[code].retry_seconds
    retry = {} if wait is None else {"Retry-After": str(wait)}
    advice = f" {_WHICH_KEY}" if code is ProblemCode.UNAUTHENTICATED else ""
    return error_response(request, _CODES.get(code, "invalid_json"), f"{detail}{advice}", headers=retry)


_WHICH_KEY: Final = (
    "The api_key is a token of a caller in the panels file, which the operator makes: consensus-server panel token."
)


_OF_UNIONS: Final = frozenset(
    {
        "body", "str", "list[TextPart]", "list[str]", "a text", "a list", "input_text", "output_text", "NamedTool",
        "literal['none','auto','required']",
    }
)  # fmt: skip
"""What stands in the place of a fault and is no field of the request."""


def _of_validation(request: Request, faults: Sequence[Mapping[str, Any]]) -> Response:
    """The first fault: the envelope has room for one. Never the value, which is part of the question."""
    fault = faults[0]
    where = ".".join(str(part) for part in fault["loc"] if part not in _OF_UNIONS)
    if fault["type"] == UNSUPPORTED:
        field_name = fault["ctx"]["field"]
        param = f"{where}.{field_name}" if where else field_name
        return error_response(request, "unsupported_parameter", f"{fault['msg']}.", param=param)
    if fault["type"] == "extra_forbidden":
        return error_response(request, "unknown_parameter", f"There is no parameter {where}.", param=where)
    if fault["type"] == "missing" and not where:
        return error_response(request, "invalid_json", "The request has no body.")
    message = str(fault["msg"]).removeprefix("Value error, ")
    return error_response(
        request, "invalid_value", f"{where}: {message}." if where else f"{message}.", param=where or None
    )
