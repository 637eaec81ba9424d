"""FedAvg and its kin: each with its exactness identity, or with the error that it is known to make."""

import numpy as np
import pytest

from consensus_server.core.parameters import ParameterPlan, TensorSpec, Update, aggregate
from tests.support.adapters import BASE, lora_plan, product, update, updates

SITES = ("0.q", "1.v")


def weighted(values, shares):
    return sum(share * value for share, value in zip(shares, values, strict=True))


def test_fedavg_is_the_weighted_mean_of_every_tensor():
    plan = ParameterPlan(
        method="fedavg",
        base_model=BASE,
        tensors=(TensorSpec("w", (3, 2)), TensorSpec("h.bias", (4,))),
        by_examples=True,
    )
    sent = [update(plan, "a", examples=30), update(plan, "b", examples=10)]
    got = aggregate(sent, plan).common
    for name in ("w", "h.bias"):
        assert got[name] == pytest.approx(weighted([u.tensors[name] for u in sent], [0.75, 0.25]))


def test_fedit_misses_exactly_the_covariance_of_the_factors():
    plan = lora_plan("fedit")
    sent = updates(plan, 3)
    got = aggregate(sent, plan).common
    for site in SITES:
        exact = np.mean([product(u.tensors, site) for u in sent], axis=0)
        a, b = (np.array([u.tensors[f"{site}.{part}"] for u in sent]) for part in ("lora_A", "lora_B"))
        covariance = np.mean((b - b.mean(axis=0)) @ (a - a.mean(axis=0)), axis=0)
        assert np.linalg.norm(covariance) > 0.1
        assert product(got, site) == pytest.approx(exact - covariance)


@pytest.mark.parametrize("by_examples", [True, False])
def test_flora_is_exact_with_mixed_ranks(by_examples):
    plan = lora_plan("flora", by_examples=by_examples)
    sent = [
        update(plan, f"p{i}", rank=rank, examples=count) for i, (rank, count) in enumerate([(1, 5), (4, 2), (2, 3)])
    ]
    got = aggregate(sent, plan).common
    shares = [0.5, 0.2, 0.3] if by_examples else [1 / 3] * 3
    for site in SITES:
        assert got[f"{site}.lora_A"].shape[0] == 7
        assert product(got, site) == pytest.approx(weighted([2.0 * product(u.tensors, site) for u in sent], shares))


def test_ffa_lora_is_exact_since_a_is_the_same_for_all():
    plan = lora_plan("ffa_lora", parts=("lora_B",))
    sent = updates(plan, 3)
    frozen = np.random.default_rng(5).normal(size=(4, 12))
    got = aggregate(sent, plan).common
    for site in SITES:
        exact = np.mean([u.tensors[f"{site}.lora_B"] @ frozen for u in sent], axis=0)
        assert got[f"{site}.lora_B"] @ frozen == pytest.approx(exact)


def test_fed_sb_is_exact_since_both_ends_are_fixed():
    plan = lora_plan("fed_sb", parts=("lora_R",))
    sent = updates(plan, 3)
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(4, 12)), rng.normal(size=(7, 4))
    got = aggregate(sent, plan).common
    for site in SITES:
        exact = np.mean([b @ u.tensors[f"{site}.lora_R"] @ a for u in sent], axis=0)
        assert b @ got[f"{site}.lora_R"] @ a == pytest.approx(exact)


def test_fedsa_lora_moves_a_only():
    plan = lora_plan("fedsa_lora", parts=("lora_A",))
    sent = updates(plan, 3)
    got = aggregate(sent, plan).common
    assert got.keys() == {"0.q.lora_A", "1.v.lora_A"}
    assert got["0.q.lora_A"] == pytest.approx(np.mean([u.tensors["0.q.lora_A"] for u in sent], axis=0))


def test_het_lora_weighs_by_the_norm_of_the_products_and_cuts_to_each_rank():
    plan = lora_plan("het_lora")
    sent = [update(plan, "a", rank=2), update(plan, "b", rank=4, scale=2.0)]
    norms = [np.sqrt(sum(np.linalg.norm(product(u.tensors, site)) ** 2 for site in SITES)) for u in sent]
    shares = np.array(norms) / sum(norms)
    got = aggregate(sent, plan)
    wide = np.vstack([sent[0].tensors["0.q.lora_A"], np.zeros((2, 12))])
    assert got.common["0.q.lora_A"] == pytest.approx(weighted([wide, sent[1].tensors["0.q.lora_A"]], shares))
    assert got.personal.keys() == {"a"}
    assert got.personal["a"]["0.q.lora_A"] == pytest.approx(got.common["0.q.lora_A"][:2])
    assert got.personal["a"]["1.v.lora_B"] == pytest.approx(got.common["1.v.lora_B"][:, :2])


def test_het_lora_of_untrained_adapters_counts_all_the_same():
    plan = lora_plan("het_lora")
    blank = [
        Update(u.participant, {k: v * ("lora_A" in k) for k, v in u.tensors.items()}, rank=4) for u in updates(plan, 2)
    ]
    got = aggregate(blank, plan).common
    assert got["0.q.lora_A"] == pytest.approx((blank[0].tensors["0.q.lora_A"] + blank[1].tensors["0.q.lora_A"]) / 2)
    assert not got["0.q.lora_B"].any()


@pytest.mark.parametrize("method", ["fedit", "flora", "het_lora"])
def test_the_order_of_arrival_changes_no_byte(method):
    plan = lora_plan(method)
    sent = updates(plan, 5)
    one, other = aggregate(sent, plan).common, aggregate(sent[::-1], plan).common
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_without_updates_there_is_nothing_to_aggregate():
    with pytest.raises(ValueError, match="no updates"):
        aggregate([], lora_plan())
