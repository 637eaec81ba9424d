"""What makes a reader of a round's labels look twice."""

from types import SimpleNamespace

import pytest

from consensus_server.core.alarms import alarms
from consensus_server.core.labels import Counts, Echo


def counts(labels, hearsay=0):
    return Counts(
        prompts=90, submissions=3, answers=270, admitted=270, labels=labels, hearsay=hearsay, abstentions={}, encoded=1, reused=0
    )  # fmt: skip


def rung(now, echoes=(), before=None):
    card = None if before is None else SimpleNamespace(number=1, counts=before)
    return {each.kind: each.detail for each in alarms(now, echoes, card)}


@pytest.mark.parametrize(
    ("labels", "hearsay", "rings"), [(0, 0, False), (50, 10, False), (50, 11, True), (50, 50, True)]
)
def test_labels_that_rest_on_hearsay(labels, hearsay, rings):
    found = rung(counts(labels, hearsay))
    assert list(found) == ["hearsay"] * rings
    assert not rings or f"{hearsay} of {labels} labels are hearsay" in found["hearsay"]


@pytest.mark.parametrize(
    ("before", "now", "rings"), [((40, 2), (50, 4), False), ((40, 2), (44, 6), True), ((40, 2), (40, 6), False)]
)
def test_coverage_that_grows_without_first_hand_answers(before, now, rings):
    found = rung(counts(*now), before=counts(*before))
    assert list(found) == ["growth"] * rings
    assert not rings or f"there are {now[0] - before[0]} labels more than in round 1" in found["growth"]


@pytest.mark.parametrize(
    ("moved", "could_move", "rings"), [(19, 19, False), (10, 20, False), (11, 20, True), (60, 60, True), (0, 0, False)]
)
def test_who_comes_round_to_most_labels_without_being_taught_any(moved, could_move, rings):
    found = rung(counts(50), [Echo("ann", moved, could_move), Echo("bob", 0, 40)])
    assert list(found) == ["echo"] * rings
    assert not rings or found["echo"].startswith("1 participant answers mostly as the labels say")
    assert "ann" not in "".join(found.values())


def test_two_that_do_are_counted():
    assert rung(counts(50), [Echo(name, 30, 40) for name in ("ann", "bob")])["echo"].startswith("2 participants answer")
