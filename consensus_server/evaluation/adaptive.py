"""What asking a few upstreams first saves, and what it changes: each panel's questions one by one, as a server decides them.

Half of the prompts, drawn by seed, teach who is reliable, as in a round and by nobody's judgement; the figures are of the other half.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from client_kit.wire import content_digest
from consensus_server.core.asking import Adaptive, Order, still_needed
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.records import Decision, Policy, Pool
from consensus_server.core.contradictions.findings import Finding
from consensus_server.evaluation import figures
from consensus_server.evaluation.answer_files import JudgedAnswers
from consensus_server.evaluation.panels import draw_panel
from consensus_server.ports import EmbeddingStore, Encoder
from consensus_server.service.contradictions import BY_WORDS, Comparisons, pinned, with_findings
from consensus_server.service.embedding import EmbeddingResult, embed_texts

Columns = tuple[int, ...]
"""Models of a file, by their columns."""


@dataclass(frozen=True, slots=True)
class AdaptivePlan:
    """What to run on a file."""

    asking: Adaptive
    panel_size: int
    panels: int
    seed: int
    policy: Policy
    drop_refusals: bool = True
    comparisons: Comparisons = BY_WORDS


@dataclass(frozen=True, slots=True)
class AdaptiveRow:
    """Figures of one order on one file. Shares are of panels times prompts, 0..1."""

    file: str
    order: str
    """`listed`: as the panel was drawn; `reliable`: by reliability on the prompts that are not judged."""
    panel_size: int
    panels: int
    prompts: int
    first: int
    lead: float
    calls: float
    """Requests, of those that asking everybody makes."""
    same: float
    """Answers of the meaning that wins where everybody is asked, and abstentions where that abstains."""
    verbatim: float
    """The same text, or an abstention in both."""
    wrongly_answered: float
    """Answers where asking everybody withholds one."""
    withheld: float
    """Abstentions where everybody is asked."""
    quality_of_all: float | None
    """Mean worth of the answers where everybody is asked; null where no worth is known."""
    difference: float | None
    """Worth less that, where both answer, with a 95 % interval over panels and prompts drawn again."""
    low: float | None
    high: float | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Case:
    """One panel and one prompt: whom an adaptive panel heard, and what came of it and of asking everybody."""

    heard: Columns
    chosen: int | None
    """Column; None for an abstention."""
    of_all: int | None
    wins: frozenset[int]
    """Columns whose answers mean what everybody's does; empty for an abstention."""


def measure_adaptive(
    answers: JudgedAnswers,
    plan: AdaptivePlan,
    encoder: Encoder,
    store: EmbeddingStore,
    progress: Callable[[str, int, int], None],
) -> list[AdaptiveRow]:
    """A row for each order. Raises ValueError for a file with questions or samples, and for one with too few models."""
    if answers.by_rounds or plan.panel_size > len(answers.models):
        raise ValueError(
            f"--adaptive takes files without questions and samples and with at least {plan.panel_size} models; "
            f"{answers.name} is none."
        )
    texts = {content_digest(text): text for row in answers.outputs for text in row}
    embedded = embed_texts(texts, encoder, store, progress=lambda done, total: progress("encoding", done, total))
    order = np.random.default_rng(plan.seed).permutation(len(answers.prompts))
    learnt, judged = order[: len(order) // 2].tolist(), sorted(order[len(order) // 2 :].tolist())
    cases: dict[Order, list[list[_Case]]] = {Order.LISTED: [], Order.RELIABLE: []}
    for number in range(plan.panels):
        progress("deciding, step by step", number, plan.panels)
        panel = _Panel(answers, embedded, plan, number)
        orders = {Order.LISTED: panel.members, Order.RELIABLE: panel.by_reliability(learnt)}
        for name, ranked in orders.items():
            cases[name].append([panel.case(prompt, ranked) for prompt in judged])
    return [_row(answers, plan, name, judged, each) for name, each in cases.items()]


class _Panel:
    """One panel of a file's models."""

    def __init__(self, answers: JudgedAnswers, embedded: EmbeddingResult, plan: AdaptivePlan, number: int) -> None:
        self.members: Columns = tuple(draw_panel(len(answers.models), plan.panel_size, plan.seed, number).tolist())
        self._answers, self._embedded, self._plan = answers, embedded, plan
        self._all: dict[int, tuple[Pool, Decision]] = {}

    def by_reliability(self, prompts: Sequence[int]) -> Columns:
        """The members, the most reliable on these prompts first."""
        pools = [self._of_all(prompt)[0] for prompt in prompts]
        policy = replace(self._plan.policy, reliability=True)
        standings = decide_round(pools, policy, drop_refusals=self._plan.drop_refusals).participants
        reliability = {int(each.participant): each.reliability for each in standings}
        return tuple(sorted(self.members, key=lambda column: -reliability.get(column, -1.0)))

    def case(self, prompt: int, ranked: Columns) -> _Case:
        """One question, asked in this order."""
        pool, of_all = self._of_all(prompt)
        heard, decision = self._step_by_step(prompt, ranked)
        own = next((each.members for each in of_all.clusters if of_all.pick in each.members), ())
        return _Case(
            heard,
            None if decision.pick is None else heard[decision.pick],
            None if of_all.pick is None else self.members[of_all.pick],
            frozenset(int(pool.participants[place]) for place in own),
        )

    def _step_by_step(self, prompt: int, ranked: Columns) -> tuple[Columns, Decision]:
        asking = self._plan.asking
        heard = ranked[: asking.first]
        while True:
            decision = self._decided(self._pool(prompt, heard, self._of_all(prompt)[0].findings))
            votes = [cluster.votes for cluster in decision.clusters]
            needed = still_needed(decision.abstention, votes, len(ranked) - len(heard), asking)
            if needed == 0:
                return heard, decision
            heard = ranked[: len(heard) + needed]

    def _of_all(self, prompt: int) -> tuple[Pool, Decision]:
        if prompt not in self._all:
            bare = self._pool(prompt, self.members, ())
            (pool,) = with_findings([bare], pinned(self._plan.policy, self._plan.comparisons), self._plan.comparisons)
            self._all[prompt] = pool, self._decided(pool)
        return self._all[prompt]

    def _decided(self, pool: Pool) -> Decision:
        """Of one prompt alone, as a server decides a question."""
        return decide_round([pool], self._plan.policy, drop_refusals=self._plan.drop_refusals).decisions[0]

    def _pool(self, prompt: int, columns: Columns, findings: Sequence[Finding]) -> Pool:
        """findings: between the answers of all members, by their places."""
        texts = tuple(self._answers.outputs[prompt][column] for column in columns)
        digests = tuple(map(content_digest, texts))
        place = {self.members.index(column): at for at, column in enumerate(columns)}
        own = (each for each in findings if each.first in place and each.second in place)
        return Pool(
            prompt_id=self._answers.prompt_ids[prompt],
            participants=tuple(map(str, columns)),
            samples=(0,) * len(columns),
            texts=texts,
            digests=digests,
            vectors=np.array([self._embedded.vectors[each] for each in digests], np.float32),
            equivalence=self._answers.equivalences[prompt],
            prompt=self._answers.prompts[prompt],
            openings=np.array([self._embedded.openings[each] for each in digests], np.float32),
            findings=tuple(_moved(each, place[each.first], place[each.second]) for each in own),
        )


def _moved(finding: Finding, first: int, second: int) -> Finding:
    """The finding about the same two answers at other places."""
    moved = finding._replace(first=first, second=second)
    return moved if first < second else moved.turned()


def _row(
    answers: JudgedAnswers, plan: AdaptivePlan, order: Order, prompts: Sequence[int], cases: Sequence[Sequence[_Case]]
) -> AdaptiveRow:
    every = [case for panel in cases for case in panel]
    worth = _worth(answers, prompts, [[case.chosen for case in panel] for panel in cases])
    of_all = _worth(answers, prompts, [[case.of_all for case in panel] for panel in cases])
    low, high = figures.two_way_interval(worth - of_all, plan.seed)

    def share(what: Callable[[_Case], bool]) -> float:
        return float(np.mean([what(case) for case in every]))

    return AdaptiveRow(
        file=answers.name,
        order=order.value,
        panel_size=plan.panel_size,
        panels=plan.panels,
        prompts=len(prompts),
        first=plan.asking.first,
        lead=plan.asking.lead,
        calls=float(np.mean([len(case.heard) for case in every])) / plan.panel_size,
        same=share(lambda case: case.chosen in case.wins if case.wins else case.chosen is None),
        verbatim=float(
            np.mean([_verbatim(answers, *each) for panel in cases for each in zip(prompts, panel, strict=True)])
        ),
        wrongly_answered=share(lambda case: case.of_all is None and case.chosen is not None),
        withheld=share(lambda case: case.of_all is None),
        quality_of_all=figures.mean(of_all),
        difference=figures.mean(worth - of_all),
        low=low,
        high=high,
    )


def _worth(
    answers: JudgedAnswers, prompts: Sequence[int], columns: Sequence[Sequence[int | None]]
) -> Float64[np.ndarray, "panels prompts"]:
    """Of the chosen answers; nan for an abstention, too."""
    return np.array(
        [
            [
                np.nan if column is None else answers.preferences[prompt, column]
                for prompt, column in zip(prompts, row, strict=True)
            ]
            for row in columns
        ],
        dtype=np.float64,
    )


def _verbatim(answers: JudgedAnswers, prompt: int, case: _Case) -> bool:
    """Whether both say the same words, or nothing."""
    if case.chosen is None or case.of_all is None:
        return case.chosen is case.of_all
    return answers.outputs[prompt][case.chosen] == answers.outputs[prompt][case.of_all]
