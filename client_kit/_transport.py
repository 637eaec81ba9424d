"""Requests, retries and error mapping, without any I/O of their own.

A procedure is a generator of *steps*: it yields a `Call` to be sent or a `Pause` to be slept, receives the outcome, and
returns its result. The blocking and the asynchronous client differ only in who performs the steps, so that the retry
policy and every flow built on it exist once, and are tested without a clock or a socket.
"""

import logging
import random
import re
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, Generic, TypeAlias, TypeVar

import httpx
from pydantic import ValidationError

from client_kit.certificates import told_of_tls
from client_kit.errors import PROBLEM_ERRORS, ProblemError, ServiceError, UnexpectedAnswer, Unreachable
from client_kit.proxies import proxy_for, sign_of_a_proxy
from client_kit.wire import Problem

T = TypeVar("T")

_NOT_DELIVERED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures after which the server cannot have seen the request."""

_NOT_ACTED = frozenset({429, 503})
"""Statuses by which a server says that it did nothing."""

_GATEWAY = frozenset({502, 503, 504})
"""Statuses of a proxy without a server behind it, where the body is no problem document."""

_REFUSED_BODIES = {
    413: "it takes no body of this size. Whoever runs it can raise the limit (nginx: client_max_body_size).",
    415: "it takes no compressed body. Whoever runs it can let gzip pass.",
}
"""Statuses, without a problem document, of what stands before a server and does not let a body through."""

_SILENCE_SECONDS = 2.0
"""Failures that pass sooner are not told."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a request is sent again: exponential pauses with full jitter, never shorter than `Retry-After`.

    Retried: no connection, broken connections, time-outs, 429, 502, 503, 504. Never: any other status, 409 above all.
    Source of the jitter: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """

    attempts: int = 8
    """Most requests for one call, the first included."""
    first_pause_seconds: float = 0.25
    """Upper bound of the first pause; it doubles with every failure."""
    longest_pause_seconds: float = 15.0
    """Bound of that doubling."""
    deadline_seconds: float = 120.0
    """No request is repeated later than this after the first one began."""

    def pause_seconds(self, failures: int, retry_after_seconds: float | None, draw: float) -> float:
        """Pause after `failures` failed requests (1 or more); draw: uniform in 0..1."""
        bound = min(self.longest_pause_seconds, self.first_pause_seconds * 2.0 ** (failures - 1))
        return (retry_after_seconds or 0.0) + draw * bound


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    """Raises ValueError where the answer is not what this route gives."""
    params: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    idempotent: bool = True
    """False: repeated only where the server has certainly not acted on it."""
    also_read: frozenset[int] = frozenset()
    """Statuses beside 2xx whose body `read` understands."""
    wait_seconds: float = 0.0
    """Time that the server may hold the request open, on top of the client's own time-out."""
    streamed: bool = False
    """The body of a successful answer is left for the caller to read."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Sleep before going on."""

    seconds: float


Outcome: TypeAlias = httpx.Response | httpx.RequestError | None
Steps: TypeAlias = Generator[Call[Any] | Pause, Outcome, T]


@dataclass(frozen=True, slots=True)
class _Failure:
    error: ServiceError
    retry: bool
    retry_after_seconds: float | None = None


def complete(
    call: Call[T],
    policy: RetryPolicy,
    *,
    clock: Callable[[], float] = time.monotonic,
    draw: Callable[[], float] = random.random,  # noqa: S311  jitter, no secret
) -> Steps[T]:
    """Send a call, again where the policy allows, and read its answer. Raises a ServiceError."""
    began = clock()
    for failures in count(1):
        outcome = yield call
        if isinstance(outcome, httpx.Response) and (outcome.is_success or outcome.status_code in call.also_read):
            return _read(call, outcome)
        failure = _failure(call, outcome)
        pause = policy.pause_seconds(failures, failure.retry_after_seconds, draw())
        late = clock() - began + pause > policy.deadline_seconds
        if not failure.retry or failures >= policy.attempts or late:
            raise failure.error
        _tell_of_patience(failure.error, clock() - began + pause, policy)
        yield Pause(pause)
    raise AssertionError("unreachable: the count has no end")


def _tell_of_patience(error: ServiceError, waited_seconds: float, policy: RetryPolicy) -> None:
    """A sign of life, once silence would last: what fails, and for how long it may be tried."""
    if waited_seconds >= _SILENCE_SECONDS:
        _log.warning("%s Trying again, for %.0f s at most.", error, max(0.0, policy.deadline_seconds - waited_seconds))


def _read(call: Call[T], response: httpx.Response) -> T:
    try:
        return call.read(response)
    except (ValueError, KeyError) as error:
        if call.also_read and not response.is_success:
            raise error_from(response) from error
        raise UnexpectedAnswer(
            f"{call.method} {response.url} answered {response.status_code} with a body that this client cannot read "
            f"({_first_line(error)}). Is the address a consensus server, and are both of about the same version?",
            status=response.status_code,
        ) from error


def _failure(call: Call[Any], outcome: Outcome) -> _Failure:
    if isinstance(outcome, httpx.Response):
        status = outcome.status_code
        retry = status in _NOT_ACTED or (status in _GATEWAY and call.idempotent)
        return _Failure(error_from(outcome), retry, retry_after_seconds(outcome))
    if outcome is None:
        raise AssertionError("a call was not performed")
    lasting = bool(told_of_tls(str(outcome)))
    return _Failure(_unreachable(outcome), not lasting and (call.idempotent or isinstance(outcome, _NOT_DELIVERED)))


def _unreachable(error: httpx.RequestError) -> Unreachable:
    reason = str(error) or type(error).__name__
    what = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
    proxy = proxy_for(str(error.request.url))
    way = f" through the proxy {proxy}" if proxy else ""
    fault = Unreachable(
        f"{error.request.method} {error.request.url}: the server {what}{way} ({reason}){_remedy(reason, proxy)}"
    )
    fault.__cause__ = error
    return fault


def _remedy(reason: str, proxy: str | None) -> str:
    if told := told_of_tls(reason):
        return f": {told}"
    if proxy:
        return ". Check that it runs, the proxy too, or exempt the host in NO_PROXY."
    return ". Check that it runs and that the address and port are right."


def error_from(response: httpx.Response) -> ServiceError:
    """The exception for an answer that reports an error, whoever wrote it: the service or something before it."""
    try:
        problem = Problem.read(response.content)
    except ValidationError:
        return _foreign_error(response)
    kind = PROBLEM_ERRORS.get(problem.code, ProblemError)
    return kind(
        problem.detail,
        remedy=problem.remedy,
        status=response.status_code,
        received_code=problem.code,
        faults=[(fault.where, fault.message) for fault in problem.errors],
        request_id=problem.request_id,
        retry_after_seconds=retry_after_seconds(response),
    )


def _foreign_error(response: httpx.Response) -> ServiceError:
    where = f"{response.request.method} {response.url} answered {response.status_code}"
    if proxy := sign_of_a_proxy(response.status_code, response.headers, response.content):
        return _answer_of_a_proxy(response, where, proxy)
    if response.status_code in _GATEWAY:
        return Unreachable(f"{where}, from a gateway that reaches no server. Check that the server behind it runs.")
    if response.is_redirect:
        location = response.headers.get("Location", "nowhere")
        return UnexpectedAnswer(f"{where}: moved to {location}. Use that address.", status=response.status_code)
    excerpt = " ".join(response.text.split())[:200] or "an empty body"
    if remedy := _REFUSED_BODIES.get(response.status_code):
        size = len(response.request.content) if response.request.method != "GET" else 0
        return UnexpectedAnswer(
            f"{where}, and it comes from something before the server: {remedy} The body had {size:,} bytes. It says: {excerpt}",
            status=response.status_code,
        )
    if told := told_of_tls(excerpt):
        return UnexpectedAnswer(f"{where}: {told} It says: {excerpt}", status=response.status_code)
    return UnexpectedAnswer(
        f"{where} and no problem document, but: {excerpt}. Is the address that of a consensus server?",
        status=response.status_code,
    )


def _answer_of_a_proxy(response: httpx.Response, where: str, proxy: str) -> ServiceError:
    way = proxy_for(str(response.request.url))
    through = f"; the way goes through {way}" if way else ""
    told = f"{where}, and it comes from a proxy ({proxy}), not from the server{through}."
    if response.status_code in _GATEWAY:
        return Unreachable(f"{told} Check that the server behind it runs, and that the proxy may reach it.")
    remedy = "Ask who runs the proxy, or exempt the host in NO_PROXY."
    return UnexpectedAnswer(f"{told} {remedy}", status=response.status_code)


def retry_after_seconds(response: httpx.Response) -> float | None:
    """`Retry-After` in seconds from now, whether given in seconds or as a date; None where absent or unreadable."""
    return seconds_asked(response.headers.get("Retry-After"))


def seconds_asked(value: str | None) -> float | None:
    """A header's value in seconds from now: a number, decimals allowed, or a date; None where absent or unreadable."""
    if value is None:
        return None
    if re.fullmatch(r"\d+(\.\d*)?", value.strip()):
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
