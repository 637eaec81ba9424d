"""Panels of files whose rows name a `question` or a `sample`: wordings of one question are one pool, samples share a vote.

Each panel is a round of the service, from its answers on: nothing is measured once for all panels, which takes longer than
for other files, and nothing is decided otherwise.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.records import SEMANTIC, Decision, Policy, Pool
from consensus_server.core.federations import Prompt
from consensus_server.evaluation.records import Panel, Picks, nothing_picked
from consensus_server.ports import PooledAnswer
from consensus_server.service.contradictions import Comparisons, pinned, with_findings
from consensus_server.service.deciding import Embedded, Material, build_pools


@dataclass(frozen=True, slots=True)
class Round:
    """What the service would know of a file's answers, whoever sits in a panel."""

    prompts: tuple[Prompt, ...]
    samples: int
    """Of each participant for each prompt; they stand in neighbouring columns."""
    answers: tuple[tuple[tuple[str, str], ...], ...]
    """(text, digest) by prompt, then column."""
    embedded: Embedded
    drop_refusals: bool
    comparisons: Comparisons

    def decided(self, panel: Panel, policy: Policy) -> Picks:
        """What the policy chooses for a panel."""
        material = Material(self.prompts, SEMANTIC, tuple(self._answers(panel)), panel.columns.shape[1] // self.samples)
        bare = build_pools(material, self.embedded, policy)
        pools = list(with_findings(bare, pinned(policy, self.comparisons), self.comparisons))
        decisions = iter(decide_round(pools, policy, drop_refusals=self.drop_refusals).decisions)
        row = {prompt.prompt_id: number for number, prompt in enumerate(self.prompts)}
        picks = nothing_picked(len(self.prompts))
        for pool in pools:
            rows = [row[wording.prompt_id] for wording in pool.wordings]
            for at in rows:
                decision = next(decisions)
                self._enter(picks, at, rows, pool, decision)
            gates = ((gate, self._seat(pool, rows, place)) for place, gate in decision.gates.items())
            picks.turned_away.update(gate for gate, seat in gates if panel.counts(*seat))
        return picks

    def _answers(self, panel: Panel) -> Iterator[PooledAnswer]:
        for number, (prompt, columns) in enumerate(zip(self.prompts, panel.columns.tolist(), strict=True)):
            for seat, column in enumerate(columns):
                member, sample = divmod(seat, self.samples)
                yield PooledAnswer(prompt.prompt_id, f"{member:06}", sample, *self.answers[number][column])

    def _enter(self, picks: Picks, at: int, rows: list[int], pool: Pool, decision: Decision) -> None:
        """Write down what was decided for one wording. rows: of the pool's wordings."""
        picks.votes[at] = sum(cluster.votes for cluster in decision.clusters)
        if decision.pick is not None:
            picks.source[at], picks.slot[at] = self._seat(pool, rows, decision.pick)
            picks.confidence[at] = decision.confidence

    def _seat(self, pool: Pool, rows: list[int], place: int) -> tuple[int, int]:
        """Prompt and seat of an answer in a pool."""
        seat = int(pool.participants[place]) * self.samples + pool.samples[place]
        return rows[pool.wording_of(place)], seat
