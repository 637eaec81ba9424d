"""Methods by name: which tensors travel, and what the server makes of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from consensus_server.core.parameters.all_but_me import all_but_me_mean, all_but_me_median, mean_of_all
from consensus_server.core.parameters.low_rank import A, B, mean_of_tensors, padded, stacked
from consensus_server.core.parameters.updates import Aggregate, ParameterPlan, Update

Aggregator = Callable[[Sequence[Update], ParameterPlan], Aggregate]

_INTERVENTION = frozenset({"R", "W", "b", "W2"})


@dataclass(frozen=True, slots=True)
class Method:
    """One way to exchange parameters."""

    aggregate: Aggregator
    parts: frozenset[str] | None = None
    """Parts of the tensors that travel; None: any name."""
    mixed_ranks: bool = False
    """Whether participants may have different ranks."""
    personal: bool = False
    """Whether each gets another answer, so that nothing can be broadcast."""


METHODS: Final[Mapping[str, Method]] = MappingProxyType(
    {
        "fedavg": Method(mean_of_tensors),
        "fedit": Method(mean_of_tensors, frozenset({A, B})),
        "ffa_lora": Method(mean_of_tensors, frozenset({B})),
        "fedsa_lora": Method(mean_of_tensors, frozenset({A})),
        "fed_sb": Method(mean_of_tensors, frozenset({"lora_R"})),
        "flora": Method(stacked, frozenset({A, B}), mixed_ranks=True),
        "het_lora": Method(padded, frozenset({A, B}), mixed_ranks=True, personal=True),
        "fedreft": Method(all_but_me_median, _INTERVENTION, mixed_ranks=True, personal=True),
        "fedreft_mean": Method(all_but_me_mean, _INTERVENTION, mixed_ranks=True, personal=True),
        "fedreft_fedavg": Method(mean_of_all, _INTERVENTION, mixed_ranks=True),
        "fedreft_raw": Method(mean_of_tensors, _INTERVENTION),
    }
)


def aggregate(updates: Sequence[Update], plan: ParameterPlan) -> Aggregate:
    """What goes back for these updates, whatever order they are given in.

    Every update must have passed `admission.check_update`. Raises KeyError for a method that `check_plan` refuses, and
    ValueError without any update.
    """
    if not updates:
        raise ValueError("there are no updates to aggregate")
    return METHODS[plan.method].aggregate(sorted(updates, key=lambda update: update.participant), plan)
