"""One table knows every problem, and every domain error has its place in it."""

import pytest

from client_kit.wire import ProblemCode
from consensus_server.core import errors
from consensus_server.http_api.openapi import problem_responses
from consensus_server.http_api.problems import CATALOG, problem_response


def leaves(kind):
    below = kind.__subclasses__()
    return [leaf for child in below for leaf in leaves(child)] if below else [kind]


DOMAIN_ERRORS = leaves(errors.DomainError)


def test_the_table_knows_every_code():
    assert set(CATALOG) == set(ProblemCode)


@pytest.mark.parametrize("kind", DOMAIN_ERRORS, ids=lambda kind: kind.__name__)
def test_every_domain_error_has_a_code_of_its_own(kind):
    assert kind.code in CATALOG
    assert [other for other in DOMAIN_ERRORS if other.code == kind.code] == [kind]


@pytest.mark.parametrize("code", CATALOG, ids=lambda code: code.value)
def test_every_entry_is_complete(code):
    entry = CATALOG[code]
    assert 400 <= entry.status < 600
    assert entry.title
    assert entry.title[0].isupper()
    assert not entry.title.endswith(".")


def test_where_waiting_helps_the_answer_says_how_long():
    waits = {code for code, entry in CATALOG.items() if entry.retry_seconds is not None}
    assert waits == {
        ProblemCode.ROUND_NOT_PUBLISHED,
        ProblemCode.RATE_LIMITED,
        ProblemCode.NOT_READY,
        ProblemCode.SERVER_BUSY,
    }
    assert problem_response({}, ProblemCode.NOT_READY, "x").headers["retry-after"] == "2"
    assert problem_response({}, ProblemCode.RATE_LIMITED, "x", retry_seconds=9).headers["retry-after"] == "9"
    assert "retry-after" not in problem_response({}, ProblemCode.UNKNOWN_ROUND, "x").headers


def test_every_status_that_a_domain_error_can_have_is_documented():
    documented = set(problem_responses())
    assert {CATALOG[kind.code].status for kind in DOMAIN_ERRORS} <= documented
