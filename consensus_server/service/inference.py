"""Consensus as inference: a panel of upstreams answers one question, and the same core as in a round decides."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from consensus_server.core.asking import still_needed
from consensus_server.core.consensus.records import Pool
from consensus_server.core.errors import NotReady, TokenExpired
from consensus_server.core.inference import Question, UpstreamRequest
from consensus_server.ports import Encoder, Upstream
from consensus_server.service.access import token_hash
from consensus_server.service.asking import EncodingOnce, Latencies, in_order, turns_of
from consensus_server.service.books import Book
from consensus_server.service.budgets import Budgets
from consensus_server.service.connections import Connections
from consensus_server.service.fan_out import Asking, Steps, Turn, WaitLimits
from consensus_server.service.panel_decisions import decided, trusted
from consensus_server.service.panel_memory import PanelMemory, Recalled, within_reason
from consensus_server.service.panels import Consensus, Panel, PanelCaller, Panels, UnknownPanel
from consensus_server.service.under_way import UnderWay, fallback_turns

T = TypeVar("T")


class Inference:
    """The panels of one server."""

    def __init__(
        self,
        panels: Panels,
        encoder: Callable[[], Encoder | None],
        budgets: Budgets | None = None,
        memory: PanelMemory | None = None,
        *,
        renewed: Callable[[], Panels | None] = lambda: None,
    ) -> None:
        """encoder: None while it loads. budgets: keeps those of callers; without it nobody has one.

        memory: of panels that have one; without it they have none. renewed: what the panels file says now, where that has changed since the last call.
        """
        self._budgets = budgets
        self._renewed = renewed
        self._encoder = encoder
        self._connections = Connections()
        self._latencies = Latencies()
        self._memory = memory
        self._take(panels)
        # One at a time: arithmetic gains nothing from threads that share the cores, and decisions never queue behind
        # use cases that wait for the database.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")

    def _take(self, panels: Panels) -> None:
        self._said = panels
        self._panels = {panel.name: panel for panel in panels.panels}
        self._callers = {caller.token_hash: caller for caller in panels.callers}

    async def renew(self) -> None:
        """Go by the panels file as it is now. Questions that are under way end as they began."""
        panels = await asyncio.to_thread(self._renewed)
        if panels is not None:
            gone = self._said.upstreams - panels.upstreams
            self._take(panels)
            await self._connections.retire(gone)

    def caller(self, token: str) -> PanelCaller | None:
        """Whose token for panels this is; None where it is none. Raises TokenExpired."""
        found = self._callers.get(token_hash(token))
        if found is not None and found.expires is not None and datetime.now(UTC).date() >= found.expires:
            raise TokenExpired(f"The token of {found.name} held until {found.expires}.")
        return found

    def panels(self, caller: PanelCaller | None) -> tuple[Panel, ...]:
        """Those that the caller may use, by name. None: the server's operator, who may use all."""
        return tuple(panel for name, panel in sorted(self._panels.items()) if caller is None or name in caller.panels)

    def panel(self, name: str, caller: PanelCaller | None) -> Panel:
        """Raises UnknownPanel, also for one that the caller may not use."""
        for panel in self.panels(caller):
            if panel.name == name:
                return panel
        raise UnknownPanel(name)

    async def answer(
        self,
        panel: Panel,
        question: Question,
        choices: int = 1,
        *,
        caller: PanelCaller | None = None,
        most_tokens: int | None = None,
    ) -> Consensus:
        """Ask the panel; `choices` independent decisions, each over one reply of every upstream, or as many as it takes.

        A seed is counted up from choice to choice. caller: whose budget pays. most_tokens: what the request may cost; of an
        adaptive panel fewer upstreams are asked for it, though no less than the first. Raises QuorumMissed where any choice
        has too few replies and no fallback that answers, BudgetSpent, and NotReady while the encoder loads.
        """
        loaded = self._encoder()
        if loaded is None:
            raise NotReady("The encoder is still loading; /readyz says when it is ready.")
        asking = UnderWay(panel, question, choices, EncodingOnce(loaded), Book(panel.tariffs, question))
        reading = self._recall(panel, loaded)
        if reading is not None and panel.adaptive is not None:  # whose order may depend on it
            asking.recalled = await within_reason(reading)
        besides = fallback_turns(panel, question, range(choices))
        turns = asking.book.within(self._turns(asking), most_tokens, panel.fewest, besides)
        async with self._connections.held(panel.reached), self._reserved(caller, asking.book, [*turns, *besides]):
            await self._ask(asking, turns)
            if reading is not None and asking.recalled is None:
                asking.recalled = await within_reason(reading)
            return await self._decided(asking)

    def _recall(self, panel: Panel, encoder: Encoder) -> "asyncio.Future[Recalled] | None":
        if self._memory is None or panel.memory is None:
            return None
        return self._memory.recall(panel.name, panel.memory, encoder.identity.digest)

    def _reserved(
        self, caller: PanelCaller | None, book: Book, turns: Sequence[Sequence[Turn]]
    ) -> AbstractAsyncContextManager[None]:
        """What the turns may cost, where the caller has a budget."""
        if self._budgets is None or caller is None or caller.budget is None:
            return nullcontext()
        return self._budgets.reserved(caller.name, caller.budget, book.at_most(turns), book.spent)

    async def _ask(self, asking: UnderWay, turns: Sequence[Sequence[Turn]]) -> None:
        """The panel, and its fallback for each choice that misses the quorum. Raises QuorumMissed."""
        limits = replace(asking.panel.limits, choices_apart=asking.panel.fallback is not None)
        await self._requests(asking, turns, limits, self._steps(asking))
        missed = asking.missed()
        await self._ask_fallback(asking, missed)
        asking.require_quorum(missed)

    async def _decided(self, asking: UnderWay) -> Consensus:
        """What the panel says, is remembered; where it abstains, its fallback may answer."""
        consensus, pools = await self._in_thread(decided, asking)
        self._remember(asking.panel, consensus.encoder, pools)
        withheld = [
            k for k, each in enumerate(consensus.choices) if each.label.abstention is not None and each.fallback is None
        ]
        if asking.panel.fallback is None or not asking.panel.fallback_on_abstention or not withheld:
            return consensus
        await self._ask_fallback(asking, withheld)
        consensus, _ = await self._in_thread(decided, asking)
        return consensus

    def _remember(self, panel: Panel, encoder: str, pools: Sequence[Pool]) -> None:
        if self._memory is not None and panel.memory is not None and panel.learns:
            self._memory.remember(
                panel.name, panel.memory, encoder, pools, panel.policy, drop_refusals=panel.limits.drop_refusals
            )

    async def _ask_fallback(self, asking: UnderWay, choices: Sequence[int]) -> None:
        """For these choices. No choice waits for less because another one has its answer, or has none."""
        alone = replace(asking.panel.limits, quorum=0, patience_seconds=None)
        await self._requests(asking, fallback_turns(asking.panel, asking.question, choices), alone)

    async def _requests(
        self, asking: UnderWay, turns: Sequence[Sequence[Turn]], limits: WaitLimits, steps: Steps | None = None
    ) -> None:
        """Make them. What became of them is entered and paid for, however this ends."""
        requests = Asking(turns, limits, steps)
        try:
            await requests.run()
        finally:
            requests.cancel()
            told = requests.told()
            asking.enter(told)
        self._latencies.note(told)

    def _turns(self, asking: UnderWay) -> list[list[Turn]]:
        panel, recalled = asking.panel, asking.recalled
        upstreams: Sequence[Upstream] = panel.upstreams
        if panel.adaptive is not None:
            upstreams = in_order(
                upstreams,
                panel.adaptive.order,
                prices={name: each.price for name, each in panel.tariffs.items() if each.price is not None},
                latencies=self._latencies,
                reliability={} if recalled is None else trusted(recalled, len(upstreams)),
            )
        return [turns_of(upstreams, asking.question, choice=k, samples=panel.samples) for k in range(asking.choices)]

    def _steps(self, asking: UnderWay) -> Steps | None:
        plan = asking.panel.adaptive
        if plan is None:
            return None

        async def further(asked: Sequence[UpstreamRequest], unheard: int) -> int:
            missing = asking.panel.limits.quorum - len({each.voter for each in asked if each.reply is not None})
            if missing > 0:
                return missing
            consensus, _ = await self._in_thread(decided, asking.so_far(asked))
            label = consensus.choices[0].label
            return still_needed(label.abstention, [each.votes for each in label.clusters], unheard, plan)

        hedged = self._latencies.late_after if plan.hedge_late else lambda _upstream: plan.hedge_seconds
        return Steps(plan.first, further, hedged)

    async def _in_thread(self, work: Callable[..., T], *given: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    async def close(self) -> None:
        """Close the connections to the upstreams."""
        await asyncio.gather(*(upstream.close() for upstream in self._said.upstreams))
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._memory is not None:
            await self._memory.close()
