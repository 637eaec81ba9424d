"""Panels that learn: what was remembered is read while the upstreams think, and added to once the answer is out."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import structlog

from consensus_server.core.consensus.records import Policy, Pool
from consensus_server.core.errors import StoreUnavailable
from consensus_server.core.panel_memory import UpstreamMemory, fading, standings_on
from consensus_server.ports import PanelMemoryStore

READ_SECONDS: Final = 1.0
"""Longest wait for the memory beyond that for the upstreams: a slow database makes no slow answers."""

_log = structlog.get_logger("consensus_server.panel_memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTerms:
    """How a panel remembers."""

    half_life_questions: float
    """Questions after which one counts half."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """By upstream: digest of what it is asked for."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a panel knows when a question begins."""

    of_upstreams: tuple[UpstreamMemory, ...] = ()
    """By this encoder, and of the upstreams as they are."""
    another_encoder: bool = False
    """There is a memory, and all of it is by another encoder: it is not used."""
    unavailable: bool = False
    """The database did not answer in time: decided without a memory, as on the first question."""


class PanelMemory:
    """The memories of a server's panels, in a store that other servers may share.

    Its one thread keeps order: a question reads what the questions before it on this server have added.
    """

    def __init__(self, store: PanelMemoryStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="panel-memory")

    def recall(self, panel: str, terms: MemoryTerms, encoder: str) -> "asyncio.Future[Recalled]":
        """Begin to read. The result never raises."""
        return asyncio.get_running_loop().run_in_executor(self._thread, self._recalled, panel, terms, encoder)

    def remember(
        self,
        panel: str,
        terms: MemoryTerms,
        encoder: str,
        pools: Sequence[Pool],
        policy: Policy,
        *,
        drop_refusals: bool,
    ) -> None:
        """Add a question, later. pools: of each choice. What fails is logged, and that question forgotten."""
        self._thread.submit(self._add, panel, terms, encoder, pools, policy, drop_refusals)

    async def close(self) -> None:
        """Wait until all that was to be remembered is."""
        await asyncio.to_thread(self._thread.shutdown)

    def _recalled(self, panel: str, terms: MemoryTerms, encoder: str) -> Recalled:
        try:
            return recalled(self._store.of(panel), terms.versions, encoder)
        except StoreUnavailable as error:
            _log.warning("a panel decides without its memory", panel=panel, cause=error.reason)
            return Recalled(unavailable=True)
        except Exception:  # noqa: BLE001 - the upstreams are paid already
            _log.exception("a panel decides without its memory", panel=panel)
            return Recalled(unavailable=True)

    def _add(  # noqa: PLR0917 - as above
        self,
        panel: str,
        terms: MemoryTerms,
        encoder: str,
        pools: Sequence[Pool],
        policy: Policy,
        drop_refusals: bool,  # noqa: FBT001 - of `submit`
    ) -> None:
        try:
            stood = standings_on(pools, policy, drop_refusals=drop_refusals)
            rows = [
                UpstreamMemory(
                    upstream=name, version=terms.versions[name], encoder=encoder, total=z, weight=1.0, questions=1
                )
                for name, z in stood.items()
            ]
            self._store.add(panel, rows, fading=fading(terms.half_life_questions))
        except StoreUnavailable as error:
            _log.warning("a question is not remembered", panel=panel, cause=error.reason)
        except Exception:  # noqa: BLE001 - the answer is out; nobody waits for what comes of this
            _log.exception("a question is not remembered", panel=panel)


async def within_reason(reading: "asyncio.Future[Recalled]") -> Recalled:
    """What was read, once the upstreams have answered; without it after `READ_SECONDS`."""
    done, _ = await asyncio.wait([reading], timeout=READ_SECONDS)
    return reading.result() if done else Recalled(unavailable=True)


def recalled(rows: Iterable[UpstreamMemory], versions: Mapping[str, str], encoder: str) -> Recalled:
    """What of a panel's rows counts under this encoder, for the upstreams as they are."""
    current = [row for row in rows if versions.get(row.upstream) == row.version]
    own = tuple(row for row in current if row.encoder == encoder)
    return Recalled(own, another_encoder=bool(current) and not own)
