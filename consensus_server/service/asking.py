"""Whom a panel asks when: the turns of a question, their order, and what is late."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import median, quantiles
from typing import Final

import numpy as np
from jaxtyping import Float32

from consensus_server.core.asking import Order
from consensus_server.core.budgets import Price
from consensus_server.core.inference import Question, UpstreamRequest
from consensus_server.ports import Encoder, Upstream
from consensus_server.service.fan_out import ToAsk, Turn

REMEMBERED: Final = 64
"""Latest replies of an upstream by which its latency is told."""
TELLING: Final = 8
"""Replies from which a percentile tells anything."""


class Latencies:
    """Seconds of each upstream's latest replies, since the server began."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def note(self, asked: Iterable[UpstreamRequest]) -> None:
        """Remember how long the replies among these took."""
        for each in asked:
            if each.reply is not None:
                self._seconds[each.upstream].append(each.seconds)

    def median(self, upstream: str) -> float:
        """0 for one that never replied."""
        return median(self._seconds[upstream] or [0.0])

    def late_after(self, upstream: str) -> float | None:
        """The 95th percentile; None while there are too few replies."""
        seconds = self._seconds[upstream]
        return quantiles(seconds, n=20)[-1] if len(seconds) >= TELLING else None


def in_order(
    upstreams: Sequence[Upstream],
    order: Order,
    *,
    prices: Mapping[str, Price],
    latencies: Latencies,
    reliability: Mapping[str, float],
) -> list[Upstream]:
    """The first to ask first; equal ones as listed. prices, reliability: by upstream; those that are not there come last."""
    nowhere = Price(prompt=float("inf"), completion=float("inf"))

    def price(upstream: Upstream) -> tuple[float, float]:
        known = prices.get(upstream.name, nowhere)
        return known.completion, known.prompt

    keys: Mapping[Order, Callable[[Upstream], tuple[float, ...]]] = {
        Order.LISTED: lambda _: (),
        Order.CHEAPEST: price,
        Order.FASTEST: lambda upstream: (latencies.median(upstream.name),),
        Order.RELIABLE: lambda upstream: (-reliability.get(upstream.name, float("-inf")),),
    }
    return sorted(upstreams, key=keys[order])


def turns_of(upstreams: Sequence[Upstream], question: Question, *, choice: int, samples: int) -> list[Turn]:
    """The turns of one choice. A seed counts up from sample to sample and from choice to choice.

    Samples of one upstream among several share its vote; those of a single upstream have one each, and a name: `llama#2`.
    """
    asked = [
        [ToAsk(each, _seeded(question, choice * samples + sample), choice, sample) for sample in range(samples)]
        for each in upstreams
    ]
    if samples > 1 and len(upstreams) == 1:
        return [(replace(each, called=f"{each.upstream.name}#{each.sample + 1}"),) for each in asked[0]]
    return [tuple(turn) for turn in asked]


def _seeded(question: Question, number: int) -> Question:
    return question if question.seed is None else replace(question, seed=question.seed + number)


class EncodingOnce:
    """`ports.Encoder` for one question: a panel that asks step by step looks at the same answers again and again."""

    def __init__(self, encoder: Encoder) -> None:
        self.identity = encoder.identity
        self.stand_in = encoder.stand_in
        self._encoder = encoder
        self._seen: dict[str, tuple[Float32[np.ndarray, " dimension"], Float32[np.ndarray, " dimension"]]] = {}

    def encode_with_openings(
        self, texts: Sequence[str]
    ) -> tuple[Float32[np.ndarray, "texts dimension"], Float32[np.ndarray, "texts dimension"]]:
        """Vectors of whole texts, and of their openings."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._seen]
        if fresh:
            self._seen.update(zip(fresh, zip(*self._encoder.encode_with_openings(fresh), strict=True), strict=True))
        whole, openings = zip(*(self._seen[text] for text in texts), strict=True)
        return np.stack(whole), np.stack(openings)
