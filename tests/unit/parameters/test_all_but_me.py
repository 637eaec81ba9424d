"""All-But-Me: what each participant receives of the others."""

import numpy as np
import pytest

from consensus_server.core.parameters import Update, aggregate
from tests.support.adapters import affine, reft_plan, update, updates

SITE = "0.prefix"


def test_nothing_of_ones_own_comes_back():
    plan = reft_plan()
    sent = updates(plan, 4)
    before = aggregate(sent, plan).personal["p2"]
    other = [*sent[:2], update(plan, "p2", seed=99), sent[3]]
    after = aggregate(other, plan).personal["p2"]
    assert all((before[name] == after[name]).all() for name in before)


def test_of_two_each_receives_the_other():
    plan = reft_plan()
    sent = updates(plan, 2)
    got = aggregate(sent, plan).personal
    assert affine(got["p0"], SITE) == pytest.approx(affine(sent[1].tensors, SITE))
    assert affine(got["p1"], SITE) == pytest.approx(affine(sent[0].tensors, SITE))


def test_of_three_each_receives_the_midpoint_of_the_others():
    plan = reft_plan()
    sent = updates(plan, 3, rank=2)
    got = aggregate([*sent[:2], update(plan, "p2", rank=4)], plan).personal["p2"]
    assert affine(got, SITE) == pytest.approx((affine(sent[0].tensors, SITE) + affine(sent[1].tensors, SITE)) / 2)


def test_the_mean_of_the_others_mixed_with_ones_own_is_fedavg():
    """Mean-All-But-Me with coefficient l is FedAvg with l K / (K - 1)."""
    plan = reft_plan("fedreft_mean", max_rank=12)
    sent = updates(plan, 4, rank=2)
    sent = [Update(u.participant, u.tensors, rank=2) for u in sent]
    wide = Update("p0", {**sent[0].tensors}, rank=12)  # a rank that holds every sum exactly
    others = np.mean([affine(u.tensors, SITE) for u in sent[1:]], axis=0)
    got = affine(aggregate([wide, *sent[1:]], plan).personal["p0"], SITE)
    assert got == pytest.approx(others)
    own, everyone = affine(sent[0].tensors, SITE), np.mean([affine(u.tensors, SITE) for u in sent], axis=0)
    coefficient = 0.3
    mixed = own + coefficient * (got - own)
    assert mixed == pytest.approx(own + coefficient * 4 / 3 * (everyone - own))


@pytest.mark.parametrize(("count", "arbitrary"), [(4, 1), (8, 3)])
def test_the_median_withstands_a_minority_of_arbitrary_participants(count, arbitrary):
    plan, honest = reft_plan(), count - arbitrary
    common = update(plan, "truth")
    rng = np.random.default_rng(count)
    good = [
        Update(f"h{i}", {k: v if k.endswith("R") else v + 0.05 * rng.normal(size=v.shape) for k, v in common.tensors.items()}, rank=4)
        for i in range(honest)
    ]  # fmt: skip
    bad = [update(plan, f"z{i}", scale=1e4) for i in range(arbitrary)]
    truth = affine(common.tensors, SITE)
    spread = max(np.linalg.norm(affine(u.tensors, SITE) - truth) for u in good)
    median = aggregate([*good, *bad], plan).personal
    mean = aggregate([*good, *bad], reft_plan("fedreft_mean")).personal
    for u in good:
        assert np.linalg.norm(affine(median[u.participant], SITE) - truth) < 12 * spread
        assert np.linalg.norm(affine(mean[u.participant], SITE) - truth) > 1e3 * spread


def test_ranks_may_differ_and_each_keeps_its_own():
    plan = reft_plan()
    sent = [update(plan, f"p{i}", rank=rank) for i, rank in enumerate([1, 2, 3, 4])]
    got = aggregate(sent, plan)
    assert {name: tensors[f"{SITE}.R"].shape[0] for name, tensors in got.personal.items()} == {
        "p0": 1, "p1": 2, "p2": 3, "p3": 4,
    }  # fmt: skip
    assert got.common[f"{SITE}.R"].shape[0] == 4


def test_the_order_of_arrival_changes_no_byte():
    plan = reft_plan()
    sent = updates(plan, 5)
    one, other = aggregate(sent, plan), aggregate(sent[::-1], plan)
    for name, tensors in one.personal.items():
        assert all(array.tobytes() == other.personal[name][key].tobytes() for key, array in tensors.items())
