"""Who calls: `Authorization: Bearer TOKEN` -> Caller.

A token of another federation gets 404 `unknown_federation`, as a federation that does not exist would: a 403 would
tell a stranger which federations there are. 403 `forbidden` is for members whose role does not allow the request.
"""

import re
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from client_kit.vocabulary import Role
from client_kit.wire import ProblemCode
from consensus_server.core.errors import Unauthenticated
from consensus_server.http_api.certificates import shown_certificate
from consensus_server.http_api.context import ApiContext
from consensus_server.http_api.memory import held_by
from consensus_server.http_api.problems import RequestProblem
from consensus_server.http_api.traffic import TrafficKey
from consensus_server.service.access import Caller

T = TypeVar("T")

_ROUND_NUMBER = re.compile(r"[1-9][0-9]{0,8}")

documented_bearer = HTTPBearer(auto_error=False, bearerFormat="token", description="The token from the operator.")
"""For the documentation only: `identify` has read the token before any dependency runs."""


async def identify(request: Request, context: ApiContext) -> None:
    """Name the caller in the request's state. Raises RequestProblem rate_limited, and Unauthenticated."""
    identified, shown = context.use_cases.access.identify, await shown_certificate(request)
    request.state.caller = await charged(request, context, lambda token: run_in_threadpool(identified, token, shown))


async def charged(request: Request, context: ApiContext, whose: Callable[[str], Awaitable[T]]) -> T:
    """Whose token the request has, after its allowance is charged and its place taken. Raises what `identify` raises."""
    try:
        token = _token_given(request)
        key = sha256(token.encode("utf-8", "surrogatepass")).hexdigest()  # the token itself is not kept
        spend(context, key)
        caller = await whose(token)
    except Unauthenticated:
        # Whoever guesses tokens has a new one for each request: strangers share a bucket per address.
        spend(context, _address_of(request))
        raise
    if (identity := getattr(caller, "identity", None)) is not None:  # its tokens are many, its allowance is one
        key = f"identity:{identity}"
        spend(context, key)
    held_by(request.scope).enter(key)
    return caller


def admit_stranger(request: Request, context: ApiContext) -> None:
    """Charge a request that needs no token to its address, and take a place for it. Raises RequestProblem rate_limited."""
    spend(context, _address_of(request))
    held_by(request.scope).enter(_address_of(request))


def _address_of(request: Request) -> str:
    return f"address:{request.client.host if request.client else 'unknown'}"


def _token_given(request: Request) -> str:
    token = bearer_token(request)
    if token is None:
        raise Unauthenticated("The request has no Authorization: Bearer TOKEN.")
    return token


def spend(context: ApiContext, bucket: str) -> None:
    """Take one request from a caller's allowance. Raises RequestProblem rate_limited."""
    wait = context.rate_limiter.wait_seconds(bucket)
    if wait:
        detail = f"Too many requests from this caller; try again in {wait} s."
        raise RequestProblem(ProblemCode.RATE_LIMITED, detail, retry_seconds=wait)


def bearer_token(request: Request) -> str | None:
    """The token of a request, or None where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


async def caller_of(request: Request) -> Caller:
    """The caller that `identify` found."""
    caller: Caller = request.state.caller
    return caller


CallerOf = Annotated[Caller, Depends(caller_of)]


def charged_to(scope: Scope) -> TrafficKey | None:
    """Whose traffic this is: a participant's, on a route of one of its rounds."""
    caller: Caller | None = scope.get("state", {}).get("caller")
    path = scope.get("path_params", {})
    if caller is None or caller.participant is None or caller.role is not Role.PARTICIPANT:
        return None
    number = str(path.get("number", ""))
    if path.get("federation") != caller.federation or not _ROUND_NUMBER.fullmatch(number):
        return None
    return TrafficKey(caller.participant.federation, int(number), caller.participant.name)
