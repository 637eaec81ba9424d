"""How many upstreams of a panel are asked: all, or as many as it takes until further ones would hardly change the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil


class Order(StrEnum):
    """Whom an adaptive panel asks first."""

    LISTED = "listed"
    """As the panel lists them."""
    CHEAPEST = "cheapest"
    """By the price of a million completion tokens, then of prompt tokens."""
    FASTEST = "fastest"
    """By the median latency of their latest replies; those that were not asked yet come first."""
    RELIABLE = "reliable"
    """By how well they stood on earlier questions, as far as the panel remembers; else as listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive:
    """A few are asked first; see `still_needed` on when it goes on."""

    first: int
    """Turns that are asked at once, 1 or more."""
    lead: float
    """Votes by which the first meaning must lead the second, above 0."""
    order: Order = Order.LISTED
    hedge_seconds: float | None = None
    """Wait for an upstream after which the next one is asked, too; None: it is waited for."""
    hedge_late: bool = False
    """Instead: the wait is the 95th percentile of the upstream's own latest replies."""


def still_needed(abstention: str | None, votes: Sequence[float], unheard: int, plan: Adaptive) -> int:
    """How many more must be heard until the decision could stand; 0: it stands.

    It stands where it is no abstention, and its meaning leads the next one by `plan.lead` votes, or by more than are left: of
    one vote each, those could no longer draw level. abstention, votes: of the decision on what was heard, the votes of its
    meanings from the most on. unheard: turns under way or left.
    """
    if unheard == 0:
        return 0
    first, second, *_ = (*votes, 0.0, 0.0)
    enough = min(plan.lead, unheard + 1)
    if abstention is None and first - second >= enough:
        return 0
    return min(unheard, max(1, ceil(enough - (first - second))))
