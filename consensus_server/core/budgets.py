"""What requests to upstreams cost: an upper bound before they are made, and what is known afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from consensus_server.core.inference import Question, RequestState, UpstreamRequest

MESSAGE_TOKENS: Final = 16
"""Reserved for what a chat template puts around a message."""
MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens, and money in the currency of the prices."""

    tokens: int = 0
    money: float = 0.0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.tokens + other.tokens, self.money + other.money)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.tokens - other.tokens, self.money - other.money)


NOTHING: Final = Amount()


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a caller may spend in each span of time; None: any amount."""

    tokens: int | None
    money: float | None
    seconds: int
    """The span: 60, 3600 or 86400; the first began at Unix time 0."""

    def allows(self, amount: Amount) -> bool:
        """Whether the whole budget is enough. A budget of zero allows nothing, not even what costs nothing."""
        tokens = self.tokens is None or amount.tokens <= self.tokens
        money = self.money is None or (amount.money <= self.money and self.money > 0)
        return tokens and money

    def __str__(self) -> str:
        limits = [
            *([] if self.tokens is None else [f"{self.tokens} tokens"]),
            *([] if self.money is None else [f"{self.money:g} in money"]),
        ]
        return f"{' and '.join(limits)} each {SPANS[self.seconds]}"


SPANS: Final[Mapping[int, str]] = MappingProxyType({60: "minute", 3_600: "hour", 86_400: "day"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Money for a million tokens, 0 or more."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> Amount:
        money = (self.prompt * prompt_tokens + self.completion * completion_tokens) / MILLION
        return Amount(prompt_tokens + completion_tokens, money)


FREE: Final = Price(prompt=0.0, completion=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What a request to one upstream may cost."""

    price: Price | None = None
    """None: nobody has said."""
    reserve_tokens: int = 1024
    """Of an answer, where the request sets no limit: an estimate, no bound."""
    tells_limit: bool = True
    """Whether the upstream is told the limit of a request; else it is none."""

    def at_most(self, question: Question) -> Amount:
        """What one request is reserved: a token of the prompt has at least one byte."""
        prompt = sum(len(text.encode()) + MESSAGE_TOKENS for text in question.texts)
        limit = question.max_tokens if self.tells_limit else None
        return (self.price or FREE).of(prompt, self.reserve_tokens if limit is None else limit)

    def spent(self, asked: UpstreamRequest, reserved: Amount) -> Amount:
        """What came of it: what the upstream counted, of an answer without use too, and nothing for a failure without one.

        reserved: what `at_most` gives. It stands where the cost is unknown: for one that was given up, or whose failure may have been paid for.
        """
        reply = asked.said
        if reply is not None and reply.prompt_tokens is not None and reply.completion_tokens is not None:
            return (self.price or FREE).of(reply.prompt_tokens, reply.completion_tokens)
        doubtful = asked.failure is not None and asked.failure.cost_unknown
        unknown = reply is not None or doubtful or asked.state is RequestState.LATE
        return reserved if unknown else NOTHING
