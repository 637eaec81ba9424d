"""Who does what to whom."""

import pytest

from consensus_server.core.contradictions.roles import roles, swapped


@pytest.mark.parametrize(
    ("first", "second", "exchanged"),
    [
        ("Anna called Bert.", "Bert called Anna.", True),
        ("Anna called Bert.", "Bert was called by Anna.", False),
        ("Anna called Bert.", "Anna called Bert twice.", False),
        ("Diabetes caused the failure.", "The failure caused diabetes.", True),
        ("Anna is older than Bert.", "Bert is older than Anna.", True),
        ("Move from ward A to ward B.", "Move from ward B to ward A.", True),
        ("Anna called Bert.", "The bridge is closed.", False),
    ],
)
def test_exchanged_roles(side_by_side, first, second, exchanged):
    one, other = side_by_side(first, second), side_by_side(second, first)
    assert swapped(*one.both) is swapped(*other.both) is exchanged
    assert bool(list(roles(one))) is bool(list(roles(other))) is exchanged


@pytest.mark.xfail(reason="words that stay on their side of the verb are never exchanged, whatever the voice")
def test_another_voice_in_the_same_order_exchanges_roles(side_by_side):
    assert swapped(*side_by_side("Anna called Bert.", "Anna was called by Bert.").both)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("The new drug is stronger than the old one.", "The old drug is weaker than the new one."),
        ("The new drug is less toxic than the old one.", "The old drug is more toxic than the new one."),
        ("The new drug is safer than the old one.", "The old drug is less safe than the new one."),
    ],
)
def test_opposites_on_both_sides_of_the_pivot_cancel_the_exchange(found, first, second):
    assert not found(first, second)
