"""Retries and error mapping, without a clock and without a socket."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_kit._transport import Call, Pause, RetryPolicy, complete, error_from, retry_after_seconds
from client_kit.errors import (
    PROBLEM_ERRORS,
    AnswerConflict,
    NotReady,
    ProblemError,
    RateLimited,
    RoundNotPublished,
    UnexpectedAnswer,
    Unreachable,
)
from client_kit.wire import Problem, ProblemCode

REQUEST = httpx.Request("GET", "http://server/v1/x")
OK = httpx.Response(200, json={"a": 1}, request=REQUEST)
POLICY = RetryPolicy(attempts=4, first_pause_seconds=1.0, longest_pause_seconds=4.0, deadline_seconds=100.0)


def get(**changes):
    return Call(**{"method": "GET", "path": "/v1/x", "read": lambda response: response.json(), **changes})


def problem(code, status, **headers):
    body = Problem(type="t", title="T", status=status, code=code, detail="It happened.", remedy="Do this.")
    return httpx.Response(status, content=body.model_dump_json(), headers=headers, request=REQUEST)


def page(status, **headers):
    return httpx.Response(status, html="<h1>a  proxy</h1>", headers=headers, request=REQUEST)


def refused():
    return httpx.ConnectError("refused", request=REQUEST)


def broken():
    return httpx.ReadError("reset", request=REQUEST)


def perform(call, outcomes, policy=POLICY, draw=1.0):
    """Play outcomes to a call. Returns its result or exception, its pauses, and how many requests it made."""
    now, pauses, requests = [0.0], [], 0
    steps = complete(call, policy, clock=lambda: now[0], draw=lambda: draw)
    outcome, left = None, list(outcomes)
    try:
        while True:
            step = steps.send(outcome)
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                now[0] += step.seconds
                outcome = None
            else:
                requests += 1
                outcome = left.pop(0)
    except StopIteration as done:
        return done.value, pauses, requests
    except Exception as error:  # noqa: BLE001  the exception is what is examined
        return error, pauses, requests


def test_a_good_answer_is_read_at_once():
    assert perform(get(), [OK]) == ({"a": 1}, [], 1)


@pytest.mark.parametrize(
    "failure",
    [refused(), broken(), httpx.ReadTimeout("slow", request=REQUEST), page(502), page(503), page(504),
     problem("rate_limited", 429), problem("not_ready", 503)],
    ids=str,
)  # fmt: skip
def test_passing_failures_are_repeated_with_growing_pauses(failure):
    result, pauses, requests = perform(get(), [failure, failure, failure, OK])
    assert result == {"a": 1}
    assert pauses == [1.0, 2.0, 4.0]
    assert requests == 4


@pytest.mark.parametrize("code", [code for code in ProblemCode if code not in {"rate_limited", "not_ready"}])
def test_what_will_not_pass_is_not_repeated(code):
    status = 409 if issubclass(PROBLEM_ERRORS[code], AnswerConflict.__mro__[1]) else 400
    result, pauses, requests = perform(get(), [problem(code, status)])
    assert type(result) is PROBLEM_ERRORS[code]
    assert (pauses, requests) == ([], 1)


def test_a_409_is_not_repeated_though_it_says_when_to_come_back():
    result, pauses, requests = perform(get(), [problem("round_not_published", 409, **{"Retry-After": "7"})])
    assert isinstance(result, RoundNotPublished)
    assert result.retry_after_seconds == 7.0
    assert (pauses, requests) == ([], 1)


def test_it_gives_up_after_the_last_attempt():
    result, pauses, requests = perform(get(), [refused()] * 4)
    assert isinstance(result, Unreachable)
    assert "http://server/v1/x" in str(result)
    assert "Check that it runs" in str(result)
    assert (len(pauses), requests) == (3, 4)


def test_the_last_failure_decides_what_is_raised():
    result, _, _ = perform(get(), [refused(), *[problem("rate_limited", 429)] * 3])
    assert isinstance(result, RateLimited)


def test_retry_after_is_the_least_pause():
    _, pauses, _ = perform(get(), [problem("rate_limited", 429, **{"Retry-After": "5"}), OK], draw=0.5)
    assert pauses == [5.5]


def test_a_pause_beyond_the_deadline_is_not_begun():
    result, pauses, requests = perform(get(), [problem("not_ready", 503, **{"Retry-After": "3600"}), OK])
    assert isinstance(result, NotReady)
    assert (pauses, requests) == ([], 1)


@pytest.mark.parametrize(
    "failure", [broken(), page(502), page(504), httpx.ReadTimeout("slow", request=REQUEST)], ids=str
)
def test_a_request_that_may_have_arrived_is_not_repeated_unless_it_is_idempotent(failure):
    result, _, requests = perform(get(idempotent=False), [failure, OK])
    assert isinstance(result, Unreachable)
    assert requests == 1


@pytest.mark.parametrize("failure", [refused(), page(503), problem("rate_limited", 429)], ids=str)
def test_a_request_that_was_not_acted_upon_is_always_repeated(failure):
    result, _, _ = perform(get(idempotent=False), [failure, OK])
    assert result == {"a": 1}


@given(st.integers(1, 60), st.floats(0, 1), st.none() | st.floats(0, 1e4))
def test_a_pause_is_never_shorter_than_retry_after_nor_longer_than_the_bound_above_it(failures, draw, retry_after):
    pause = POLICY.pause_seconds(failures, retry_after, draw)
    assert (retry_after or 0.0) <= pause <= (retry_after or 0.0) + POLICY.longest_pause_seconds


def test_jitter_spreads_over_the_whole_pause():
    assert [RetryPolicy().pause_seconds(3, None, draw) for draw in (0.0, 0.5, 1.0)] == [0.0, 0.5, 1.0]


def test_a_success_of_another_kind_is_no_answer():
    result, _, requests = perform(get(), [page(200)])
    assert isinstance(result, UnexpectedAnswer)
    assert result.status == 200
    assert "consensus server" in str(result)
    assert requests == 1


def test_a_status_that_the_route_reads_is_an_answer():
    response = httpx.Response(503, json={"ready": False}, request=REQUEST)
    assert perform(get(also_read=frozenset({503})), [response])[0] == {"ready": False}


def test_a_problem_under_a_status_that_the_route_reads_is_still_a_problem():
    def read(response):
        return response.json()["ready"]

    assert isinstance(perform(get(read=read, also_read=frozenset({503})), [problem("not_ready", 503)])[0], NotReady)


def test_a_problem_keeps_everything_it_says():
    error = error_from(problem("answer_conflict", 409))
    assert isinstance(error, AnswerConflict)
    assert (error.detail, error.remedy, error.status) == ("It happened.", "Do this.", 409)


def test_a_page_of_a_proxy_is_quoted_in_one_line():
    error = error_from(page(404))
    assert isinstance(error, UnexpectedAnswer)
    assert not isinstance(error, ProblemError)
    assert "404" in str(error)
    assert "<h1>a proxy</h1>" in str(error)


def test_a_redirect_names_the_address_to_use():
    assert "https://other/" in str(error_from(page(301, Location="https://other/")))


@pytest.mark.parametrize(
    ("value", "seconds"), [("12", 12.0), ("soon", None), (None, None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)]
)
def test_retry_after_in_all_its_forms(value, seconds):
    headers = {} if value is None else {"Retry-After": value}
    assert retry_after_seconds(httpx.Response(503, headers=headers)) == seconds


def test_retry_after_as_a_date():
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert retry_after_seconds(httpx.Response(503, headers={"Retry-After": date})) == pytest.approx(60, abs=2)


def test_a_failure_that_lasts_is_told_while_it_is_tried_again(caplog):
    perform(get(), [refused()] * 4)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"], "not the first second"
    assert "cannot be reached" in caplog.text
    assert "Trying again, for 97 s at most" in caplog.text
    caplog.clear()
    perform(get(), [refused(), OK])
    assert caplog.text == ""
