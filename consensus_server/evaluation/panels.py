"""Panels: which models answer together, where attackers sit, and what a policy makes of their answers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.decide import decide_weighed
from consensus_server.core.consensus.pools import Policy, Pool
from consensus_server.core.consensus.rules import rule_named
from consensus_server.core.consensus.weighing import hand_out, judge
from consensus_server.evaluation.bank import Bank


@dataclass(frozen=True, slots=True)
class Panel:
    """The answers of one panel."""

    columns: Int64[np.ndarray, "prompts size"]
    """Column of the bank in which each member's answer stands."""
    honest: int
    """Members that are no attackers; they come first."""
    attacked: Bool[np.ndarray, " prompts"]
    """Prompts on which the attackers attack."""


@dataclass(frozen=True, slots=True)
class Picks:
    """What a policy chose for a panel."""

    slot: Int64[np.ndarray, " prompts"]
    """Member whose answer was chosen; -1 for an abstention."""
    confidence: Float64[np.ndarray, " prompts"]
    """Independent support of the pick; nan for an abstention."""


def draw_panel(models: int, size: int, seed: int, number: int) -> Int64[np.ndarray, " size"]:
    """Members of panel `number`: default_rng([seed, size, number]).choice over the sorted models, without replacement."""
    return np.random.default_rng([seed, size, number]).choice(models, size, replace=False).astype(np.int64)


def decide_panel(bank: Bank, panel: Panel, policy: Policy) -> Picks:
    """Decide every prompt of the bank by the code that decides rounds; only measuring is left out, being done."""
    count, size = panel.columns.shape
    slots, confidence = np.full(count, -1), np.full(count, np.nan)
    measured = bank.measures(panel.columns, cues=policy.guards)
    if measured is None:
        return Picks(slots, confidence)
    measures, prompt, slot = measured
    verdict = judge(measures, reliability=policy.reliability)
    weighed = hand_out(verdict, prompt.tolist(), slot.tolist(), [size] * count)
    pools = [_pool(bank, panel, number) for number in range(count)]
    counts = policy.guards or rule_named(policy.rule).round_wide
    decisions = decide_weighed(pools, weighed if counts else [None] * count, policy)
    for number, decision in enumerate(decisions):
        if decision.pick is not None:
            slots[number] = decision.pick
            confidence[number] = weighed[number].support[decision.pick]
    return Picks(slots, confidence)


def _pool(bank: Bank, panel: Panel, number: int) -> Pool:
    columns = panel.columns[number].tolist()
    return Pool(
        prompt_id=bank.prompt_ids[number],
        participants=tuple(f"member-{slot:03}" for slot in range(len(columns))),
        samples=(0,) * len(columns),
        texts=tuple(bank.texts[number][column] for column in columns),
        digests=tuple(bank.digests[number][column] for column in columns),
        vectors=bank.vectors[number, columns],
    )
