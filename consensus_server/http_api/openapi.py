"""The description of the API: problems as `application/problem+json` on every route, and bodies that are streams."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from client_kit.wire import PROBLEM_MEDIA_TYPE, Answer, Problem, Prompt, PseudoLabel, RoundEvent
from client_kit.wire.routes import EVENT_STREAM, NDJSON

COMMON_PROBLEMS = (400, 401, 403, 404, 409, 413, 422, 429, 503)
"""What every route under /v1 can answer."""

_MEANINGS = {
    400: "The body cannot be read",
    401: "No valid token",
    403: "The token does not allow this",
    404: "No such thing, or none that this token may see",
    409: "The state does not allow this",
    413: "The body is too large",
    415: "The Content-Encoding is not supported",
    422: "Some fields are invalid",
    429: "Too many requests; Retry-After says how long to wait",
    500: "The server failed",
    503: "The server is not ready, or holds as much as it can; Retry-After says how long to wait",
}

_STREAMED: tuple[type[BaseModel], ...] = (Answer, Prompt, PseudoLabel, RoundEvent, Problem)
"""Messages that stand in streams or problems, which FastAPI does not see by itself."""

Responses: TypeAlias = dict[int | str, dict[str, Any]]
"""What FastAPI takes as `responses`."""

_REF = "#/components/schemas/"


def problem_responses(*more: int) -> Responses:
    """The problems of a route for its documentation: the common ones, those given, 500."""
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": f"{_REF}Problem"}}}
    statuses = sorted({*COMMON_PROBLEMS, *more, 500})
    return {status: {"description": _MEANINGS[status], "content": content} for status in statuses}


def not_ready_response() -> Responses:
    """The only problem of `/readyz`: a Problem that has the fields of Readiness too."""
    both = {"allOf": [{"$ref": f"{_REF}Problem"}, {"$ref": f"{_REF}Readiness"}]}
    return {503: {"description": _MEANINGS[503], "content": {PROBLEM_MEDIA_TYPE: {"schema": both}}}}


def ndjson_of(model: type[BaseModel]) -> dict[str, Any]:
    """A media type entry: one JSON document of `model` a line."""
    return {NDJSON: {"schema": {"$ref": _REF + model.__name__}}}


def events_of(model: type[BaseModel]) -> dict[str, Any]:
    """A media type entry: server-sent events whose `data` is a JSON document of `model`."""
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"$ref": _REF + model.__name__}}
    fields = {"id": {"type": "string"}, "event": {"type": "string"}, "data": data}
    return {EVENT_STREAM: {"schema": {"type": "object", "properties": fields}}}


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` complete: the streamed messages are added to the schemas."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            described = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            app.openapi_schema = _with_schemas(_without_fastapis_own(described))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


_OF_FASTAPI = ("HTTPValidationError", "ValidationError")
"""What FastAPI says of itself on routes that name no 422; here no route answers so."""


def _without_fastapis_own(document: dict[str, Any]) -> dict[str, Any]:
    own = {"application/json": {"schema": {"$ref": _REF + _OF_FASTAPI[0]}}}
    for item in document["paths"].values():
        for operation in item.values():
            if operation["responses"].get("422", {}).get("content") == own:
                del operation["responses"]["422"]
    for name in _OF_FASTAPI:
        document.get("components", {}).get("schemas", {}).pop(name, None)
    return document


def _with_schemas(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in _definitions(_STREAMED).items():
        schemas.setdefault(name, schema)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


def _definitions(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    _, top = models_json_schema([(model, "serialization") for model in models], ref_template=_REF + "{model}")
    definitions: dict[str, Any] = top["$defs"]
    return definitions
