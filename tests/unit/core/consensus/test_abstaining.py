"""Why a pool gets no label."""

import numpy as np
import pytest

from consensus_server.core.consensus import decide
from consensus_server.core.consensus.abstaining import abstentions
from tests.support.policies import plain
from tests.unit.core.consensus.test_evidence import picked, says


def reason(make_pool, policy, **samples):
    vectors, names = says(**samples)
    return decide([make_pool(vectors, names)], policy)[0].abstention


@pytest.mark.parametrize(
    ("samples", "by_evidence", "by_support"),
    [
        ({"ann": "x"}, "single_answer", "single_answer"),
        ({"ann": "xxxx"}, "single_answer", "low_support"),
        ({"ann": "xx", "bob": "yy"}, "tie", "tie"),
        ({"ann": "xxxx", "bob": "yyya"}, "conflict", "low_support"),
        ({"ann": "xxab", "bob": "ycde", "cy": "fghi"}, "low_evidence", "low_support"),
        ({"ann": "xxxx", "bob": "abcd"}, None, "low_support"),
        ({"ann": "xx", "bob": "xx", "cy": "yy"}, None, None),
    ],
)
def test_the_reason_is_the_first_that_holds(make_pool, samples, by_evidence, by_support):
    assert reason(make_pool, plain(decide_by="evidence"), **samples) == by_evidence
    assert reason(make_pool, plain(decide_by="support"), **samples) == by_support


def test_a_policy_that_never_abstains_has_no_reason(make_pool):
    found = picked(make_pool, ann="x", bob="y")
    assert abstentions(found, plain(abstain=False)) == [None]
    assert abstentions(found, plain()) == ["tie"]


def test_the_margin_is_the_policys_own(make_pool):
    said = {"ann": "xxxx", "bob": "yyab", "cy": "cdef"}
    assert reason(make_pool, plain(decide_by="evidence", minimum_margin=0.5), **said) is None
    assert reason(make_pool, plain(decide_by="evidence", minimum_margin=0.75), **said) == "conflict"


def test_one_sample_each_is_plurality_by_one_vote(make_pool):
    """So pools of one sample are decided as they were by support."""
    rng = np.random.default_rng(3)
    for _ in range(200):
        said = {f"s{i}": "abcd"[rng.integers(4)] for i in range(rng.integers(2, 9))}
        vectors, names = says(**said)
        one, other = (decide([make_pool(vectors, names)], plain(decide_by=by))[0] for by in ("evidence", "support"))
        assert one.pick == other.pick
