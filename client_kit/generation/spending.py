"""What answers cost: an estimate before they are asked for, a meter meanwhile, and a limit that holds."""

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

from client_kit.errors import SpendingLimit
from client_kit.generation.base import Sampling
from client_kit.settings import SpendingSettings
from client_kit.wire import Prompt

TEMPLATE_TOKENS = 64
"""Most tokens that a chat template and a provider's own preamble put around a prompt."""

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens read and written."""

    prompt: int = 0
    completion: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.prompt + other.prompt, self.completion + other.completion)

    def __sub__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.prompt - other.prompt, self.completion - other.completion)

    @property
    def total(self) -> int:
        """Both."""
        return self.prompt + self.completion

    def cost(self, spending: SpendingSettings) -> float:
        """Money, in the currency's unit."""
        return (self.prompt * spending.prompt_price + self.completion * spending.completion_price) / _MILLION

    def describe(self, spending: SpendingSettings) -> str:
        """Tokens, and money where there is a price."""
        counted, cost = f"{self.prompt:,} + {self.completion:,} tokens", self.cost(spending)
        return f"{counted}, {cost:.4g} {spending.currency}" if cost else counted


def at_most(prompt: Prompt, sampling: Sampling) -> Tokens:
    """Most tokens of one answer: no tokenizer makes more tokens of a text than it has bytes."""
    return Tokens(len(prompt.prompt.encode()) + TEMPLATE_TOKENS, sampling.max_tokens)


def estimate(jobs: Iterable[tuple[Prompt, int]], sampling: Sampling) -> Tokens:
    """Most tokens of these (prompt, sample) together."""
    return sum((at_most(prompt, sampling) for prompt, _ in jobs), Tokens())


class Budget:
    """Counts what is spent, and refuses what might exceed a limit. Safe to use from several threads."""

    def __init__(
        self,
        spending: SpendingSettings = SpendingSettings(),  # noqa: B008  frozen
        *,
        spent: Tokens = Tokens(),
    ) -> None:
        """spending: prices, and limits on all that is spent from the first answer on. spent: what was before."""
        self._spending = spending
        self._spent = spent
        self._reserved = Tokens()
        self._lock = Lock()

    @property
    def spent(self) -> Tokens:
        """Tokens of all answers so far."""
        return self._spent

    def check(self, wanted: Tokens, *, answers: int) -> None:
        """Before anything is asked. Raises SpendingLimit where `answers` answers could exceed the limit."""
        if (excess := self._excess(self._spent + wanted)) is not None:
            raise SpendingLimit(
                f"{answers} answers take at most {wanted.describe(self._spending)}{self._already()}; {excess}. "
                "Nothing was asked. Raise the limit, or lower max_tokens or samples."
            )

    def reserve(self, wanted: Tokens, prompt_id: str) -> None:
        """Set aside what one answer takes at most. Raises SpendingLimit where there is too little left."""
        with self._lock:
            if (excess := self._excess(self._spent + self._reserved + wanted)) is not None:
                raise SpendingLimit(
                    f"another answer could exceed the limit{self._already()}; {excess}. "
                    "What is answered is kept; raise the limit and go on.",
                    prompt_id=prompt_id,
                )
            self._reserved += wanted

    def settle(self, wanted: Tokens, taken: Tokens) -> None:
        """One answer has come or failed: what it took, of what was set aside."""
        with self._lock:
            self._reserved -= wanted
            self._spent += taken

    def _excess(self, tokens: Tokens) -> str | None:
        most, money = self._spending.limit_tokens, self._spending.limit
        if most is not None and tokens.total > most:
            return f"the limit is {most:,} tokens"
        if money is not None and tokens.cost(self._spending) > money:
            return f"the limit is {money:g} {self._spending.currency}"
        return None

    def _already(self) -> str:
        return f", after {self._spent.describe(self._spending)}" if self._spent.total else ""
