"""Every error answer of the server: one table, one way out (RFC 9457).

What went wrong is named by a `ProblemCode`; the table says status, title and remedy for each. Domain errors carry
their code and a detail that is fit for the caller; nothing else of an exception leaves the server.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from client_kit.wire import PROBLEM_MEDIA_TYPE, FieldProblem, Problem, ProblemCode
from consensus_server.core.errors import DomainError


@dataclass(frozen=True, slots=True)
class Entry:
    """What is the same for every problem of one code."""

    status: int
    title: str
    remedy: str
    retry_seconds: int | None = None
    """Sent as `Retry-After` where the same request can succeed later."""
    headers: Mapping[str, str] = field(default_factory=dict)


CATALOG: dict[ProblemCode, Entry] = {
    ProblemCode.INVALID_JSON: Entry(400, "The body is not valid JSON", "Fix the JSON at the place that the detail names and send the request again."),
    ProblemCode.INVALID_UTF8: Entry(400, "The body is not valid UTF-8", "Encode the body as UTF-8 and send it again."),
    ProblemCode.BROKEN_ENCODING: Entry(
        400, "The body cannot be decompressed", "Compress the body again, or send it without Content-Encoding."
    ),
    ProblemCode.TRUNCATED_BODY: Entry(
        400, "The body ended too early", "Send the whole request again; nothing of it was stored."
    ),
    ProblemCode.EMPTY_BODY: Entry(400, "The body is empty", "Send at least one row; check that the file is not empty."),
    ProblemCode.UNAUTHENTICATED: Entry(
        401,
        "No valid token",
        "Send `Authorization: Bearer TOKEN` with the token that the operator gave you, or ask for a new one.",
        headers={"WWW-Authenticate": "Bearer"},
    ),
    ProblemCode.FORBIDDEN: Entry(
        403, "The token does not allow this", "Use a token that has the role named in the detail, or ask the operator."
    ),
    ProblemCode.UNKNOWN_ROUTE: Entry(404, "There is no such path", "Compare the path with /openapi.json."),
    ProblemCode.UNKNOWN_FEDERATION: Entry(
        404, "No such federation, or not one that this token belongs to", "Check the federation's name and the token."
    ),
    ProblemCode.UNKNOWN_PARTICIPANT: Entry(
        404, "There is no such participant", "List the participants of the federation, or add this one."
    ),
    ProblemCode.UNKNOWN_PROMPT_SET: Entry(
        404, "There is no such prompt set", "List the prompt sets, or add this one first: consensus-server prompt-set add."
    ),
    ProblemCode.UNKNOWN_ROUND: Entry(404, "There is no such round", "List the rounds of the federation, or wait for the next."),
    ProblemCode.NO_PARAMETERS: Entry(
        404, "There are no parameters here", "Check the federation's terms: `parameters` says what it exchanges."
    ),
    ProblemCode.UNKNOWN_APPEAL: Entry(404, "There is no such appeal", "List the appeals of the federation."),
    ProblemCode.METHOD_NOT_ALLOWED: Entry(
        405, "This path does not support this method", "Use one of the methods in the Allow header."
    ),
    ProblemCode.UNSUPPORTED_ENCODING: Entry(
        415, "The Content-Encoding is not supported", "Send the body as identity, gzip or zstd, in one layer.",
        headers={"Accept-Encoding": "gzip, zstd"},
    ),
    ProblemCode.ALREADY_EXISTS: Entry(409, "The name is taken", "Choose another name, or use what exists."),
    ProblemCode.ANSWER_CONFLICT: Entry(
        409,
        "A different answer is already stored for this prompt and sample",
        "Send the stored answers again unchanged, or replace them before the seal with ?replace=true.",
    ),
    ProblemCode.SUBMISSION_SEALED: Entry(
        409, "The submission is sealed", "A sealed submission cannot change; send new answers in the next round."
    ),
    ProblemCode.SEAL_MISMATCH: Entry(
        409,
        "The seal does not match the stored answers",
        "Compare with GET submissions, send what is missing, and seal again.",
    ),
    ProblemCode.ROUND_NOT_OPEN: Entry(
        409, "The round is not accepting answers", "Wait for an open round, or ask the operator to open one."
    ),
    ProblemCode.ROUND_NOT_PUBLISHED: Entry(
        409, "The round has no pseudo-labels yet", "Wait with ?wait_for=published on the round, or try again.", 2
    ),
    ProblemCode.ROUND_FAILED: Entry(
        409, "The round failed", "The operator can close the round again, so that it is aggregated anew."
    ),
    ProblemCode.ROUND_IN_PROGRESS: Entry(
        409, "Another round is still in progress", "Wait until that round is published or failed, or close it."
    ),
    ProblemCode.INVALID_TRANSITION: Entry(
        409, "The round cannot go to that state", "Check the round's state: a round goes from draft to open, closed and published."
    ),
    ProblemCode.NOTHING_TO_APPEAL: Entry(
        409, "The gate rejected none of your answers", "List the rejections of the round: each names its gate."
    ),
    ProblemCode.VECTORS_MISSING: Entry(
        409,
        "The round cannot be decided again under this policy",
        "Choose a policy that needs only the vectors that the round stored: guards off, if the round was decided without them.",
    ),
    ProblemCode.BODY_TOO_LARGE: Entry(
        413, "The body is too large", "Send the rows in several smaller requests; together they make one submission."
    ),
    ProblemCode.VALIDATION_FAILED: Entry(
        422, "Some fields are invalid", "Correct the fields listed in `errors` and send the request again."
    ),
    ProblemCode.UNKNOWN_PROMPT: Entry(
        422, "A prompt is not in the federation's prompt set", "Load the prompt set by the digest that the federation pins."
    ),
    ProblemCode.ANSWER_TOO_LONG: Entry(
        422, "An answer is longer than the federation allows", "Generate fewer tokens, or trim the answer."
    ),
    ProblemCode.TOO_MANY_SAMPLES: Entry(
        422, "More answers to a prompt than the federation allows", "Number the samples from 0, below samples_per_prompt."
    ),
    ProblemCode.PROMPT_SET_MISMATCH: Entry(
        422,
        "The prompt set does not match its manifest",
        "Rebuild the manifest from the prompts, or fetch the set again: a file was changed or truncated.",
    ),
    ProblemCode.UNKNOWN_RULE: Entry(422, "There is no such rule", "Use one of the names in the detail."),
    ProblemCode.PARAMETERS_REFUSED: Entry(
        422, "The parameters do not match what the federation exchanges", "Correct what the detail names; client_kit.parameters writes such files."
    ),
    ProblemCode.TRAINING_RIGHTS_MISSING: Entry(
        422,
        "The statement that others may train on these answers is missing",
        "Read the model's licence and its provider's terms; where they allow it, state training_rights in the seal, or in the endpoint that the server asks.",
    ),
    ProblemCode.RATE_LIMITED: Entry(429, "Too many requests", "Wait for the time given in Retry-After.", 1),
    ProblemCode.INTERNAL: Entry(
        500, "The server failed", "Try again; if the error persists, give the request id to the operator, who can find it in the log."
    ),
    ProblemCode.NOT_READY: Entry(
        503, "The server is not ready", "Try again shortly; /readyz says what is missing.", 2
    ),
}  # fmt: skip
"""The one table. A test proves that it knows every code."""

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
    """The answer for one problem, with `Retry-After` where waiting helps. remedy: in place of the table's."""
    entry = CATALOG[code]
    problem = Problem(
        type=f"urn:semantic-consensus:problem:{code.value}",
        title=entry.title,
        status=entry.status,
        code=code,
        detail=detail,
        remedy=remedy or entry.remedy,
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


def install_problems(app: FastAPI) -> None:
    """Every error of a route leaves as a problem; `RequestLogMiddleware` sees to those that nobody expected."""
    app.add_exception_handler(DomainError, _domain_problem)
    app.add_exception_handler(RequestProblem, _request_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    app.add_exception_handler(HTTPException, _starlette_problem)


async def _domain_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)  # noqa: S101 - what it was installed for
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
    return problem_response(request.scope, code, f"{request.method} {path}: {error.detail}.", headers=error.headers)
