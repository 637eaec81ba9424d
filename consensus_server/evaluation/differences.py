"""What a policy gains over others on the same panels and prompts, with an interval for the difference itself.

Intervals of two qualities overlap because panels and prompts vary; most of that is common to both and falls out of the
difference. It is taken where both policies gave a label whose worth is known. Where they abstain on different prompts that
is a part of them, and not a random one: the share of them and both coverages belong beside the difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from consensus_server.core.consensus.records import Policy
from consensus_server.evaluation import figures

Worth = Float64[np.ndarray, "panels prompts"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A row's quality less that of a baseline, on the same panels and prompts."""

    baseline: str
    """`cluster_medoid` and `vote`: those rules without guards and reliability; `without_guards`: the row's own policy without
    guards; `against`: the row's own policy with the fields changed that were asked for."""
    baseline_quality: float | None
    """Mean worth of all labels of the baseline, 0..1."""
    baseline_coverage: float
    """Share of the prompts to which the baseline gave a label, 0..1."""
    difference: float | None
    """Mean of worth less worth, where both gave a label whose worth is known; null where there is no such prompt."""
    low: float | None
    high: float | None
    """95 % interval of the difference over panels and prompts drawn again."""
    share: float
    """Of the prompts to which the row's policy or the baseline gave a label: those on which they are compared, 0..1."""


def baselines(policy: Policy, against: Mapping[str, Any]) -> dict[str, Policy]:
    """What a policy is held against, by name; without those that are the policy itself. against: fields to change."""
    bare = replace(policy, guards=False, reliability=False)
    named = {
        "cluster_medoid": replace(bare, rule="cluster_medoid"),
        "vote": replace(bare, rule="vote"),
        "without_guards": replace(policy, guards=False),
        "against": replace(policy, **against),
    }
    return {name: each for name, each in named.items() if each != policy}


@dataclass(frozen=True, slots=True)
class Labels:
    """What a policy gave on all panels."""

    worth: Worth
    """nan where there is no label, and where its worth is unknown."""
    given: Float64[np.ndarray, "panels prompts"]
    """1 for a label, 0 for none; nan for prompts that are not attacked."""

    @property
    def coverage(self) -> float:
        """Share of the prompts with a label, 0..1."""
        return float(np.nanmean(self.given))


def difference(name: str, own: Labels, other: Labels, seed: int) -> Difference:
    """own less other. seed: of the interval; panels and prompts are drawn as for the quality of a row."""
    gain = own.worth - other.worth
    low, high = figures.two_way_interval(gain, seed)
    either = (own.given == 1) | (other.given == 1)
    return Difference(
        baseline=name,
        baseline_quality=figures.mean(other.worth),
        baseline_coverage=other.coverage,
        difference=figures.mean(gain),
        low=low,
        high=high,
        share=float(np.isfinite(gain).sum() / max(1, either.sum())),
    )
