"""What a round of each method costs on the wire, from architecture figures: no model is loaded.

Formulas per participant and round, s bytes per number, r the rank, P the sum of in + out over adapted matrices, M their
number, K participants, d the width, L edited layers, g interventions of a layer. Headers are not counted; a test holds the
formulas equal to the numbers in files of real adapters.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from client_kit.comparison.architectures import TARGETS, Architecture
from client_kit.errors import ConfigurationError

PRECISIONS: Final[Mapping[str, int]] = MappingProxyType({"float32": 4, "bfloat16": 2, "float16": 2})
"""Bytes of a number."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What the formulas need beside the architecture."""

    rank: int = 16
    targets: str = "all-linear"
    precision: str = "bfloat16"
    participants: int = 5
    prompts: int = 1_000
    answer_tokens: int = 128
    bytes_per_token: float = 4.2
    """UTF-8 bytes of a token of English text; 3 to 5 for other languages and tokenizers. Before compression."""
    row_bytes: int = 120
    """JSON around one answer or one label."""
    groups: int = 2
    """Interventions of a layer: 2 for first and last positions apart, 1 where they are tied."""

    def __post_init__(self) -> None:
        """Refuse what has no cost."""
        if self.precision not in PRECISIONS:
            raise ConfigurationError(f"there is no precision {self.precision!r}; known are {', '.join(PRECISIONS)}")
        counts = {"rank": self.rank, "participants": self.participants, "prompts": self.prompts,
                  "answer_tokens": self.answer_tokens}  # fmt: skip
        for name, value in counts.items():
            if value < 1:
                raise ConfigurationError(f"{name} is {value}; it must be 1 or more")

    @property
    def number_bytes(self) -> int:
        return PRECISIONS[self.precision]

    @property
    def text_bytes(self) -> int:
        """Of all answers, or all labels, of a round."""
        return round(self.prompts * (self.answer_tokens * self.bytes_per_token + self.row_bytes))


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes of one participant in one round."""

    up: int
    down: int


METHODS: Final = ("consensus", "fedavg", "fedit", "flora", "ffa_lora", "het_lora", "fedsa_lora", "fed_sb", "fedreft")


def cost(model: Architecture, method: str, budget: Budget) -> Cost:
    """Bytes of a method. Raises ConfigurationError for one that is not known."""
    if method not in METHODS:
        raise ConfigurationError(f"there is no method {method!r}; known are {', '.join(METHODS)}")
    if method == "consensus":
        return Cost(budget.text_bytes, budget.text_bytes)
    up = budget.number_bytes * _numbers(model, budget)[method]
    return Cost(up, up * budget.participants if method == "flora" else up)


def _numbers(model: Architecture, budget: Budget) -> dict[str, int]:
    """How many numbers a participant sends, by method."""
    matrices, rank = model.matrices(budget.targets), budget.rank
    inner, outer = (model.layers * sum(sizes) for sizes in zip(*matrices, strict=True))
    lora = rank * (inner + outer)
    return {
        "fedavg": model.parameters,
        "fedit": lora,
        "flora": lora,
        "ffa_lora": rank * outer,
        "het_lora": lora,
        "fedsa_lora": rank * inner,
        "fed_sb": rank**2 * model.layers * len(matrices),
        "fedreft": budget.groups * model.layers * rank * (2 * model.width + 1),
    }


@dataclass(frozen=True, slots=True)
class Fit:
    """The text of a round that would make a method cost `factor` times as much, up."""

    method: str
    targets: str
    rank: int
    precision: str
    adapter_bytes: int
    text_bytes: float
    tokens: float


def explain(factor: float, model: Architecture, budget: Budget) -> Iterator[Fit]:
    """For each target set, rank and precision, the text budget that yields a stated factor.

    A fit, not a reproduction: whoever states a factor without its assumptions can mean any of these.
    """
    if factor <= 0:
        raise ConfigurationError(f"the factor is {factor:g}; it must be above 0")
    for method, targets in [("fedavg", "all weights"), *(("fedit", each) for each in TARGETS)]:
        for rank in (0,) if method == "fedavg" else (4, 8, 16, 32, 64):
            for precision in ("float32", "bfloat16"):
                chosen = Budget(rank=rank or 1, targets="qv" if rank == 0 else targets, precision=precision)
                size = cost(model, method, chosen).up
                text = size / factor
                yield Fit(method, targets, rank, precision, size, text, text / budget.bytes_per_token)
