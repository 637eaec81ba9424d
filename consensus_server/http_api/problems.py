"""Every error answer of the server: one table, one way out (RFC 9457).

What went wrong is named by a `ProblemCode`; the table says status and title for each. Domain errors carry
their code and a detail that is fit for the caller; nothing else of an exception leaves the server.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from client_kit.remedies import REMEDIES
from client_kit.wire import PROBLEM_MEDIA_TYPE, FieldProblem, Problem, ProblemCode
from consensus_server.core.errors import DomainError, StoreUnavailable


@dataclass(frozen=True, slots=True)
class Entry:
    """What is the same for every problem of one code."""

    status: int
    title: str
    retry_seconds: int | None = None
    """Sent as `Retry-After` where the same request can succeed later."""
    headers: Mapping[str, str] = field(default_factory=dict)


CATALOG: dict[ProblemCode, Entry] = {
    ProblemCode.INVALID_JSON: Entry(400, "The body is not valid JSON"),
    ProblemCode.INVALID_UTF8: Entry(400, "The body is not valid UTF-8"),
    ProblemCode.BROKEN_ENCODING: Entry(400, "The body cannot be decompressed"),
    ProblemCode.TRUNCATED_BODY: Entry(400, "The body ended too early"),
    ProblemCode.EMPTY_BODY: Entry(400, "The body is empty"),
    ProblemCode.AMBIGUOUS_LENGTH: Entry(400, "The request says its length twice", headers={"Connection": "close"}),
    ProblemCode.UNAUTHENTICATED: Entry(401, "No valid token", headers={"WWW-Authenticate": "Bearer"}),
    ProblemCode.TOKEN_EXPIRED: Entry(401, "The token has expired", headers={"WWW-Authenticate": "Bearer"}),
    ProblemCode.IDENTITY_REFUSED: Entry(401, "The identity provider's token is not taken", headers={"WWW-Authenticate": "Bearer"}),
    ProblemCode.WRONG_CERTIFICATE: Entry(401, "The token belongs to another certificate", headers={"WWW-Authenticate": "Bearer"}),
    ProblemCode.FORBIDDEN: Entry(403, "The token does not allow this"),
    ProblemCode.OUT_OF_SCOPE: Entry(403, "The token was not issued for this"),
    ProblemCode.UNKNOWN_ROUTE: Entry(404, "There is no such path"),
    ProblemCode.UNKNOWN_FEDERATION: Entry(404, "No such federation, or not one that this token belongs to"),
    ProblemCode.UNKNOWN_PARTICIPANT: Entry(404, "There is no such participant"),
    ProblemCode.UNKNOWN_OPERATOR: Entry(404, "There is no such operator"),
    ProblemCode.UNKNOWN_TOKEN: Entry(404, "There is no such token"),
    ProblemCode.UNKNOWN_INVITATION: Entry(404, "There is no such invitation"),
    ProblemCode.UNKNOWN_PROMPT_SET: Entry(404, "There is no such prompt set"),
    ProblemCode.UNKNOWN_ROUND: Entry(404, "There is no such round"),
    ProblemCode.NO_PARAMETERS: Entry(404, "There are no parameters here"),
    ProblemCode.UNKNOWN_APPEAL: Entry(404, "There is no such appeal"),
    ProblemCode.METHOD_NOT_ALLOWED: Entry(405, "This path does not support this method"),
    ProblemCode.UNSUPPORTED_ENCODING: Entry(415, "The Content-Encoding is not supported", headers={"Accept-Encoding": "gzip, zstd"}),
    ProblemCode.ALREADY_EXISTS: Entry(409, "The name is taken"),
    ProblemCode.ANSWER_CONFLICT: Entry(409, "A different answer is already stored for this prompt and sample"),
    ProblemCode.SUBMISSION_SEALED: Entry(409, "The submission is sealed"),
    ProblemCode.SEAL_MISMATCH: Entry(409, "The seal does not match the stored answers"),
    ProblemCode.ROUND_NOT_OPEN: Entry(409, "The round is not accepting answers"),
    ProblemCode.ROUND_NOT_PUBLISHED: Entry(409, "The round has no pseudo-labels yet", 2),
    ProblemCode.ROUND_FAILED: Entry(409, "The round failed"),
    ProblemCode.ROUND_IN_PROGRESS: Entry(409, "Another round is still in progress"),
    ProblemCode.INVALID_TRANSITION: Entry(409, "The round cannot go to that state"),
    ProblemCode.NOTHING_TO_APPEAL: Entry(409, "The gate rejected none of your answers"),
    ProblemCode.VECTORS_MISSING: Entry(409, "The round cannot be decided again under this policy"),
    ProblemCode.INVITATION_USED: Entry(409, "The invitation was used"),
    ProblemCode.INVITATION_EXPIRED: Entry(409, "The invitation has expired"),
    ProblemCode.BODY_TOO_LARGE: Entry(413, "The body is too large"),
    ProblemCode.VALIDATION_FAILED: Entry(422, "Some fields are invalid"),
    ProblemCode.UNKNOWN_PROMPT: Entry(422, "A prompt is not in the federation's prompt set"),
    ProblemCode.ANSWER_TOO_LONG: Entry(422, "An answer is longer than the federation allows"),
    ProblemCode.TOO_MANY_SAMPLES: Entry(422, "More answers to a prompt than the federation allows"),
    ProblemCode.PROMPT_SET_MISMATCH: Entry(422, "The prompt set does not match its manifest"),
    ProblemCode.UNKNOWN_RULE: Entry(422, "There is no such rule"),
    ProblemCode.PARAMETERS_REFUSED: Entry(422, "The parameters do not match what the federation exchanges"),
    ProblemCode.TRAINING_RIGHTS_MISSING: Entry(422, "The statement that others may train on these answers is missing"),
    ProblemCode.SIGNATURE_MISSING: Entry(422, "The seal is not signed"),
    ProblemCode.SIGNATURE_REFUSED: Entry(422, "The signature is not the right one"),
    ProblemCode.RATE_LIMITED: Entry(429, "Too many requests", 1),
    ProblemCode.INTERNAL: Entry(500, "The server failed"),
    ProblemCode.NOT_READY: Entry(503, "The server is not ready", 2),
    ProblemCode.SERVER_BUSY: Entry(503, "The server holds as many bodies as it can", 2),
}  # fmt: skip
"""The one table; what to do about each stands in `client_kit.remedies`. A test proves that both know every code."""

_log = structlog.get_logger("consensus_server.http")
_STARLETTE_CODES = {404: ProblemCode.UNKNOWN_ROUTE, 405: ProblemCode.METHOD_NOT_ALLOWED}


class RequestProblem(HTTPException):
    """A fault of the request itself, found before any use case ran.

    An HTTPException, because FastAPI lets only those out of the reading of a body.
    """

    def __init__(
        self,
        code: ProblemCode,
        detail: str,
        errors: Sequence[FieldProblem] = (),
        *,
        retry_seconds: int | None = None,
    ) -> None:
        super().__init__(CATALOG[code].status, detail)
        self.code = code
        self.errors = tuple(errors)
        self.retry_seconds = retry_seconds


def problem_response(
    scope: Scope,
    code: ProblemCode,
    detail: str,
    errors: Sequence[FieldProblem] = (),
    *,
    remedy: str = "",
    retry_seconds: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer for one problem, with `Retry-After` where waiting helps. remedy: in place of the code's."""
    entry = CATALOG[code]
    problem = Problem(
        type=f"urn:semantic-consensus:problem:{code.value}",
        title=entry.title,
        status=entry.status,
        code=code,
        detail=detail,
        remedy=remedy or REMEDIES[code].http,
        errors=list(errors),
        request_id=scope.get("state", {}).get("request_id"),
    )
    wait = retry_seconds if retry_seconds is not None else entry.retry_seconds
    retry = {} if wait is None else {"Retry-After": str(wait)}
    return Response(
        problem.model_dump_json(),
        entry.status,
        {**entry.headers, **(headers or {}), **retry, "Cache-Control": "no-store"},
        PROBLEM_MEDIA_TYPE,
    )


NotHere = Callable[[Request, int, list[str]], Response | None]
"""(request, status 404 or 405, methods of the path) to the answer of a surface with another form of errors; None for other paths."""


def install_problems(app: FastAPI, not_here: NotHere = lambda *_: None) -> None:
    """Every error of a route leaves as a problem; `RequestLogMiddleware` sees to those that nobody expected."""
    app.add_exception_handler(DomainError, _domain_problem)
    app.add_exception_handler(RequestProblem, _request_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)

    async def not_served(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        told = not_here(request, error.status_code, allowed(request)) if error.status_code in _STARLETTE_CODES else None
        return told or await _starlette_problem(request, error)

    app.add_exception_handler(HTTPException, not_served)


async def _domain_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)  # noqa: S101 - what it was installed for
    if isinstance(error, StoreUnavailable):
        _log.error("the database cannot be used", cause=error.reason)
    faults = [FieldProblem(where=fault.where, message=fault.message) for fault in error.faults]
    return problem_response(request.scope, error.code, error.detail, faults, remedy=error.remedy)


async def _request_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestProblem)  # noqa: S101
    return problem_response(
        request.scope, error.code, str(error.detail), error.errors, retry_seconds=error.retry_seconds
    )


async def _validation_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = error.errors()
    if any(fault["loc"] == ("body",) and fault["type"] == "missing" for fault in faults):
        return problem_response(request.scope, ProblemCode.EMPTY_BODY, "The request has no body.")
    errors = [_field_problem(fault) for fault in faults]
    detail = "; ".join(f"{entry.where}: {entry.message}" for entry in errors[:3])
    return problem_response(request.scope, ProblemCode.VALIDATION_FAILED, detail, errors)


def _field_problem(fault: Mapping[str, Any]) -> FieldProblem:
    """Never the value: it may be a token, and it may be large."""
    where, *fields = [str(part) for part in fault["loc"]]
    name = ".".join(fields)
    return FieldProblem(where=name if where == "body" else f"{where} {name}", message=fault["msg"])


async def _starlette_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    code = _STARLETTE_CODES.get(error.status_code)
    if code is None:
        raise error
    path = request.url.path[:200]
    headers = {"Allow": ", ".join(allowed(request))} if code is ProblemCode.METHOD_NOT_ALLOWED else error.headers
    return problem_response(request.scope, code, f"{request.method} {path}: {error.detail}.", headers=headers)


def allowed(request: Request) -> list[str]:
    """Every method that the path knows: each has a route of its own, and the framework names those of the first."""
    known = [route for route in request.app.routes if isinstance(route, Route | APIRoute)]
    fitting = [route for route in known if route.path_regex.fullmatch(request.url.path)]
    return sorted({method for route in fitting for method in route.methods or ()})
