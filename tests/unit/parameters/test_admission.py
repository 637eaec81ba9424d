"""What is refused on the parameter path, and how it is said."""

from dataclasses import replace

import numpy as np
import pytest

from consensus_server.core.errors import ParametersRefused, ValidationFailed
from consensus_server.core.parameters import METHODS, TensorSpec, Update, check_plan, check_update
from tests.support.adapters import BASE, lora_plan, reft_plan, update


@pytest.mark.parametrize("plan", [lora_plan(), lora_plan("flora"), lora_plan("ffa_lora", parts=("lora_B",)), reft_plan(),
                                  reft_plan("fedreft_raw"), reft_plan(left="W2", intervention="direft")])  # fmt: skip
def test_a_sound_plan_and_its_updates_are_taken(plan):
    check_plan(plan)
    check_update(update(plan, "a"), BASE, plan)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (lora_plan("fedprox"), "there is no 'fedprox'; known are fed_sb, fedavg"),
        (lora_plan(max_rank=0), "max_rank"),
        (lora_plan(dtype="F64"), "'F64' is none of"),
        (lora_plan(scaling=float("nan")), "positive number"),
        (lora_plan(parts=("lora_A",)), "0.q has ['lora_A']; fedit needs ['lora_A', 'lora_B']"),
        (reft_plan(left="W2"), "needs ['R', 'W', 'b']"),
        (reft_plan(intervention="preft"), "there is no 'preft'"),
        (replace(lora_plan(), tensors=()), "names no tensor"),
        (replace(lora_plan(), tensors=lora_plan().tensors * 2), "the same name"),
        (
            replace(lora_plan(), tensors=(TensorSpec("q.lora_A", (9, "r")), TensorSpec("q.lora_B", (9, "r")))),
            "do not fit",
        ),
    ],
)
def test_a_plan_by_which_nothing_could_be_exchanged_is_refused(plan, message):
    with pytest.raises(ValidationFailed) as refused:
        check_plan(plan)
    assert message in refused.value.detail


def with_tensor(sent, name, array):
    return Update(sent.participant, {**sent.tensors, name: array}, rank=sent.rank, examples=sent.examples)


def broken(kind):
    sent = update(reft_plan(), "a")
    name = "1.prefix.W"
    return {
        "nan": with_tensor(sent, name, np.full((4, 12), np.nan)),
        "infinity": with_tensor(sent, name, np.full((4, 12), np.inf)),
        "size": with_tensor(sent, name, np.full((4, 12), 2e6)),
        "shape": with_tensor(sent, name, np.zeros((4, 11))),
        "extra": with_tensor(sent, "9.prefix.W", np.zeros((4, 12))),
        "missing": Update("a", {k: v for k, v in sent.tensors.items() if k != name}, rank=4),
        "rotation": with_tensor(sent, "1.prefix.R", 2 * sent.tensors["1.prefix.R"]),
        "rank 0": replace(sent, rank=0),
        "rank 5": replace(sent, rank=5),
        "examples": replace(sent, examples=0),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nan", "tensor 1.prefix.W: holds NaN or infinity"),
        ("infinity", "tensor 1.prefix.W: holds NaN or infinity"),
        ("size", "tensor 1.prefix.W: holds numbers beyond 1e+06"),
        ("shape", "tensor 1.prefix.W: has the shape [4, 11]; the plan says [4, 12]"),
        ("extra", "tensor 9.prefix.W: is not in the federation's plan"),
        ("missing", "tensor 1.prefix.W: is missing"),
        ("rotation", "tensor 1.prefix.R: has rows that are not orthonormal (off by 3)"),
        ("rank 0", "rank: is 0; 1 to 4 is taken"),
        ("rank 5", "rank: is 5; 1 to 4 is taken"),
        ("examples", "examples: is 0"),
    ],
)
def test_an_update_that_does_not_follow_the_plan_is_refused(kind, message):
    with pytest.raises(ParametersRefused) as refused:
        check_update(broken(kind), BASE, reft_plan())
    assert message in refused.value.detail


def test_an_update_of_another_base_model_is_refused():
    with pytest.raises(ParametersRefused, match="base_model: is cccccccccccc"):
        check_update(update(lora_plan(), "a"), "c" * 64, lora_plan())


def test_where_ranks_cannot_be_mixed_there_is_one():
    with pytest.raises(ParametersRefused, match="rank: is 2; 4, the same for all, is taken"):
        check_update(update(lora_plan(), "a", rank=2), BASE, lora_plan())


def test_every_fault_is_named():
    sent = update(lora_plan(), "a")
    bad = Update("a", {name: array[:1] for name, array in sent.tensors.items()}, rank=4)
    with pytest.raises(ParametersRefused) as refused:
        check_update(bad, "c" * 64, lora_plan())
    assert [fault.where for fault in refused.value.faults] == [
        "base_model",
        *(f"tensor {n}" for n in sorted(sent.tensors)),
    ]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_name_that_a_plan_can_carry(method):
    parts = METHODS[method].parts
    plan = reft_plan(method) if parts is None or "W" in parts else lora_plan(method, parts=sorted(parts))
    check_plan(plan)
