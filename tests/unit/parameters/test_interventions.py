"""Interventions as functions: what they do counts, not how they are written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.parameters import TensorSpec, Update, aggregate
from consensus_server.core.parameters.interventions import KINDS, inner_product, read_map, weighted_sum, write_map
from tests.support.adapters import WIDTH, affine, edit, orthonormal, reft_plan, update, updates

SITE = "0.prefix"


def rotated(sent, seed):
    """The same edits, written in another basis."""
    rng = np.random.default_rng(seed)
    turned = {}
    for site in {name.rpartition(".")[0] for name in sent.tensors}:
        turn = orthonormal(rng, sent.rank, sent.rank)
        turned |= {f"{site}.{part}": turn @ sent.tensors[f"{site}.{part}"] for part in ("R", "W", "b")}
    return Update(sent.participant, turned, rank=sent.rank, examples=sent.examples)


def test_a_map_does_what_the_paper_writes():
    sent = update(reft_plan(), "a")
    hidden = np.random.default_rng(1).normal(size=(5, WIDTH))
    lifted = np.column_stack([hidden, np.ones(5)])
    assert hidden + lifted @ affine(sent.tensors, SITE).T == pytest.approx(edit(sent.tensors, SITE, hidden))


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_read_and_written_is_the_same_map(kind):
    left = KINDS[kind].left
    sent = update(reft_plan(left=left), "a")
    again = write_map(read_map(sent.tensors, SITE, KINDS[kind]), SITE, KINDS[kind])
    assert again.keys() <= sent.tensors.keys()
    for name, array in again.items():
        assert array == pytest.approx(sent.tensors[name])


def test_inner_products_are_those_of_the_matrices_written_out():
    one, other = update(reft_plan(), "a", rank=4), update(reft_plan(), "b", rank=2)
    kind = KINDS["loreft"]
    ours = inner_product(read_map(one.tensors, SITE, kind), read_map(other.tensors, SITE, kind))
    assert ours == pytest.approx(float((affine(one.tensors, SITE) * affine(other.tensors, SITE)).sum()))


def test_a_sum_that_fits_the_rank_is_exact():
    maps = [read_map(u.tensors, SITE, KINDS["loreft"]) for u in updates(reft_plan(), 2, rank=2)]
    found = weighted_sum(maps, [0.3, 0.7], 4, orthonormal=True)
    wanted = sum(w * each.left.T @ each.right for w, each in zip([0.3, 0.7], maps, strict=True))
    assert found.left.T @ found.right == pytest.approx(wanted)


def test_a_sum_that_does_not_fit_is_the_nearest_map_of_the_rank():
    maps = [read_map(u.tensors, SITE, KINDS["loreft"]) for u in updates(reft_plan(), 3, rank=4)]
    found = weighted_sum(maps, [1 / 3] * 3, 4, orthonormal=True)
    wanted = sum(each.left.T @ each.right for each in maps) / 3
    missing = np.linalg.svd(wanted)[1][4:]
    assert np.linalg.norm(found.left.T @ found.right - wanted) == pytest.approx(np.linalg.norm(missing))


@pytest.mark.parametrize("orthonormal_rows", [True, False])
def test_a_sum_of_lower_rank_is_completed_with_directions_that_can_learn(orthonormal_rows):
    sent = update(reft_plan(), "a", rank=1)
    found = weighted_sum([read_map(sent.tensors, SITE, KINDS["loreft"])], [1.0], 4, orthonormal=orthonormal_rows)
    assert found.left.shape == (4, WIDTH)
    assert np.linalg.norm(found.left, axis=1).min() > 1e-6
    assert found.left.T @ found.right == pytest.approx(affine(sent.tensors, SITE))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["fedreft", "fedreft_mean", "fedreft_fedavg"]))
def test_whatever_basis_each_one_writes_in_the_aggregate_is_the_same(seed, method):
    plan = reft_plan(method)
    sent = updates(plan, 4, seed=seed)
    plain, turned = aggregate(sent, plan), aggregate([rotated(u, seed + i) for i, u in enumerate(sent)], plan)
    assert affine(turned.common, SITE) == pytest.approx(affine(plain.common, SITE), abs=1e-5)
    for name, mine in plain.personal.items():
        assert affine(turned.personal[name], SITE) == pytest.approx(affine(mine, SITE), abs=1e-5)


def test_averaged_as_tensors_rotations_of_one_edit_cancel():
    """The trap that function space avoids: four participants with the very same edit, and most of it is gone."""
    plan = reft_plan("fedreft_raw")
    sent = update(plan, "p0")
    same = [Update(f"p{i}", rotated(sent, 100 + i).tensors, rank=4) for i in range(4)]
    raw = affine(aggregate(same, plan).common, SITE)
    function = affine(aggregate(same, reft_plan("fedreft_fedavg")).common, SITE)
    assert function == pytest.approx(affine(sent.tensors, SITE))
    assert np.linalg.norm(raw) < 0.7 * np.linalg.norm(function)


def test_rows_stay_orthonormal_over_many_rounds():
    plan = reft_plan()
    sent = updates(plan, 4)
    for step in range(30):
        answer = aggregate(sent, plan)
        rng = np.random.default_rng(step)
        sent = [Update(name, {k: v if k.endswith("R") else v + 0.1 * rng.normal(size=v.shape) for k, v in got.items()}, rank=4)
                for name, got in answer.personal.items()]  # fmt: skip
    for got in answer.personal.values():
        r = got[f"{SITE}.R"]
        assert np.abs(r @ r.T - np.eye(4)).max() < 1e-5


def test_direft_comes_back_with_both_factors_alive():
    plan = reft_plan(left="W2", intervention="direft")
    got = aggregate(updates(plan, 3), plan).common
    wanted = [affine(u.tensors, SITE, left="W2", subtracts=False) for u in updates(plan, 3)]
    assert np.linalg.norm(affine(got, SITE, left="W2", subtracts=False)) <= max(map(np.linalg.norm, wanted))
    assert np.linalg.norm(got[f"{SITE}.W2"]) == pytest.approx(
        np.sqrt((got[f"{SITE}.W"] ** 2).sum() + (got[f"{SITE}.b"] ** 2).sum())
    )


def test_a_plan_of_one_site_is_enough():
    plan = reft_plan(sites=("3.all",))
    assert {spec.name for spec in plan.tensors} == aggregate(updates(plan, 3), plan).common.keys()
    assert TensorSpec("3.all.R", ("r", WIDTH)).site == "3.all"
