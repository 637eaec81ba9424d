"""Errors that a caller tells apart by type."""

import pytest

from client_kit import errors
from client_kit.errors import (
    PROBLEM_ERRORS,
    ConsensusError,
    GenerationError,
    MissingExtra,
    ProblemError,
    RoundNotOpen,
    RoundNotPublished,
    ServiceError,
    Unreachable,
    ValidationFailed,
    WaitTimeout,
)
from client_kit.wire import ProblemCode


def exceptions():
    return [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, BaseException)]


def test_every_problem_code_has_an_exception_of_its_own():
    assert set(PROBLEM_ERRORS) == set(ProblemCode)
    assert len(set(PROBLEM_ERRORS.values())) == len(ProblemCode)


def test_everything_has_one_root():
    assert all(issubclass(kind, ConsensusError) for kind in exceptions())


def test_the_tree_at_the_top_names_every_exception():
    words = set((errors.__doc__ or "").split())
    assert {kind.__name__ for kind in exceptions()} <= words


def test_what_callers_tell_apart_is_not_of_one_another():
    apart = [RoundNotOpen, RoundNotPublished, Unreachable, WaitTimeout]
    assert not any(issubclass(one, other) for one in apart for other in apart if one is not other)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [(Unreachable, ConnectionError), (WaitTimeout, TimeoutError), (MissingExtra, ImportError)],
)
def test_python_s_own_kinds_catch_them_too(kind, builtin):
    assert issubclass(kind, builtin)


def test_a_problem_reads_as_what_happened_what_to_do_and_where():
    error = ValidationFailed("The body has 1 fault.", remedy="Correct it.", faults=[("line 3: text", "too long")])
    assert str(error) == "The body has 1 fault. Correct it.\n  line 3: text: too long"
    assert error.received_code == "validation_failed"
    assert isinstance(error, ProblemError)
    assert isinstance(error, ServiceError)


def test_a_fault_that_the_detail_names_is_not_told_twice():
    error = ValidationFailed(
        "rule: unknown; seed: not whole", remedy="Do.", faults=[("rule", "unknown"), ("seed", "too large")]
    )
    assert str(error) == "rule: unknown; seed: not whole Do.\n  seed: too large"


def test_a_generation_error_names_its_prompt():
    assert str(GenerationError("no answer", prompt_id="p1")) == "prompt p1: no answer"


def test_a_missing_extra_says_how_to_install_it():
    assert "pip install 'semantic-consensus[generate]'" in str(MissingExtra("generating", "generate"))
