"""Errors of the use cases and problems on the wire are the same set."""

import re

import pytest

from client_kit.wire import ProblemCode
from consensus_server.core import errors

TRANSPORT_ONLY = {
    "invalid_json", "invalid_utf8", "broken_encoding", "truncated_body", "empty_body", "unknown_route", "method_not_allowed",
    "unsupported_encoding", "body_too_large", "rate_limited", "internal", "ambiguous_length", "server_busy",
}  # fmt: skip


def with_codes(kind=errors.DomainError):
    """Kinds below that have a code of their own: leaves, and those that a narrower kind refines."""
    below = [each for child in kind.__subclasses__() for each in with_codes(child)]
    return [*below, *([kind] if "code" in vars(kind) else [])]


def test_every_problem_has_its_error_unless_only_a_transport_can_meet_it():
    codes = [kind.code for kind in with_codes()]
    assert len(codes) == len(set(codes))
    assert set(codes) == {code.value for code in ProblemCode} - TRANSPORT_ONLY


def test_the_tree_at_the_top_of_the_file_is_complete():
    named = set(re.findall(r"[A-Z]\w+[a-z]\b", errors.__doc__))
    defined = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert defined <= named


@pytest.mark.parametrize("count", [0, 3, 50])
def test_an_error_lists_no_more_faults_than_help(count):
    error = errors.UnknownPrompt("x", [errors.Fault(f"answer {i}", "y") for i in range(count)])
    assert len(error.faults) == min(count, errors.MAX_FAULTS)
