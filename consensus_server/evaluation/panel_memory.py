"""Panels that learn, measured: questions in random order, each decided with what is remembered so far, and then remembered.

Each panel has an order of its own. Judged are the questions after the first 100, or after the first half where there are fewer
than 200; the panel goes on learning. The best upstream is the one that is best on the judged questions themselves, which nobody
knows beforehand: chance among equals is counted for it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from jaxtyping import Float64, Int64

from consensus_server.core.consensus.answers.table import Answers
from consensus_server.core.consensus.decide import pick
from consensus_server.core.consensus.meaning.equivalences import Grouping, group
from consensus_server.core.consensus.meaning.linkage import BlockedNeighbours
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.consensus.round.judging import Verdict, judge
from consensus_server.core.consensus.rules import rule_named
from consensus_server.core.panel_memory import LEAST_ANSWERS, UpstreamMemory, added, earlier_questions, fading
from consensus_server.evaluation import figures
from consensus_server.evaluation.bank import Bank
from consensus_server.evaluation.panels import draw_panel

FIRST: Final = 100
"""Questions that are learnt from before any is judged."""

Worth = Float64[np.ndarray, "panels prompts"]


@dataclass(frozen=True, slots=True)
class Gain:
    """A mean difference on the same panels and questions, with its 95 % interval over both."""

    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What panels of one file were worth."""

    file: str
    panel_size: int
    judged: int
    """Questions of each panel."""
    quality: float | None
    """Mean worth of the answers of panels with a memory, 0..1."""
    without_memory: float | None
    best_upstream: float | None
    over_none: Gain
    """With a memory less without."""
    over_best: Gain
    """With a memory less the best upstream of each panel."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure_learning(  # noqa: PLR0917 - what is run on a file
    file: str, bank: Bank, policy: Policy, size: int, panels: int, seed: int, half_life_questions: float
) -> Learning:
    """Decide every question of every panel twice. Raises ValueError where rows name questions or samples, or models are too few."""
    prompts, models = bank.worth.shape
    if bank.round is not None or size > models:
        raise ValueError(f"{file}: a panel of {size} needs as many models, and one answer of each to each prompt.")
    first = min(FIRST, prompts // 2)
    with_memory, without, best = (np.full((panels, prompts), np.nan) for _ in range(3))
    for number in range(panels):
        members = draw_panel(models, size, seed, number)
        order = np.random.default_rng([seed, size, number]).permutation(prompts)
        found = _Panel(bank, members, policy, half_life_questions).answer(order)
        rows = order[first:]
        worth = bank.worth[rows][:, members]
        for table, slots in zip((with_memory, without), found, strict=True):
            table[number, rows] = bank.worth[rows, members[slots[rows]]]
        best[number, rows] = _best_column(worth)
    return Learning(
        file=file,
        panel_size=size,
        judged=prompts - first,
        quality=figures.mean(with_memory),
        without_memory=figures.mean(without),
        best_upstream=figures.mean(best),
        over_none=_gain(with_memory - without, seed),
        over_best=_gain(with_memory - best, seed),
    )


def _best_column(worth: Float64[np.ndarray, "judged size"]) -> Float64[np.ndarray, " judged"]:
    """The column of the highest mean over what is known in it."""
    means = [figures.mean(column) for column in worth.T]
    return worth[:, int(np.argmax([-1.0 if mean is None else mean for mean in means]))]


def _gain(gains: Worth, seed: int) -> Gain:
    return Gain(figures.mean(gains), *figures.two_way_interval(gains, seed))


class _Panel:
    """The models of one draw, as the upstreams of a panel."""

    def __init__(self, bank: Bank, members: Int64[np.ndarray, " size"], policy: Policy, half_life: float) -> None:
        self._bank, self._policy, self._left = bank, policy, fading(half_life)
        self._given, self._row = bank.rows(np.tile(members, (len(bank.worth), 1)))
        self._asked = self._given.sources[self._given.pool]
        self._memory = {
            name: UpstreamMemory(upstream=name, version="", encoder="", total=0.0, weight=0.0, questions=0)
            for name in self._given.names
        }

    def answer(self, order: Int64[np.ndarray, " prompts"]) -> tuple[Int64[np.ndarray, " prompts"], ...]:
        """Seat of the answer to each prompt, with a memory and without; 0 where all refuse, as if the first were asked alone."""
        slots = np.zeros(len(order), dtype=np.int64), np.zeros(len(order), dtype=np.int64)
        for prompt in order.tolist():
            at = np.flatnonzero(self._asked == prompt)
            if len(at):
                for table, slot in zip(slots, self._answer(self._given.at(at), self._row[at]), strict=True):
                    table[prompt] = slot
        return slots

    def _answer(self, given: Answers, row: Int64[np.ndarray, " answers"]) -> Sequence[int]:
        """Seats with the memory and without; the question is then remembered."""
        measures, usable = self._bank.measures(given, row, self._policy, gates=False)
        answers, row = given.at(usable), row[usable]
        if not len(usable):
            return 0, 0
        trusting = replace(self._policy, reliability=True)
        known = earlier_questions(self._memory.values()).of(answers.names)
        plain = judge(measures, replace(trusting, reliability=False), EarlierRounds().of(answers.names))
        learned = judge(measures, trusting, known)
        grouping = self._grouping(answers, row)
        picked = [
            pick(answers, grouping, verdict.votes, verdict.standing, self._policy) for verdict in (learned, plain)
        ]
        if len(usable) >= LEAST_ANSWERS:
            self._remember(answers, plain)
        return [int(answers.places[each.picks][0]) for each in picked]

    def _grouping(self, answers: Answers, row: Int64[np.ndarray, " answers"]) -> Grouping:
        instead = rule_named(self._policy.rule).equivalence
        return group(answers, self._policy, BlockedNeighbours(), instead=instead, keys=self._bank.keys_of(row))

    def _remember(self, answers: Answers, plain: Verdict) -> None:
        for participant, z in zip(answers.participant.tolist(), plain.standing.z.tolist(), strict=True):
            name = answers.names[participant]
            self._memory[name] = added(self._memory[name], round(z, 6), self._left)
