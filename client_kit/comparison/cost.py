"""What a round of each method costs on the wire, from architecture figures: no model is loaded.

Formulas per participant and round, s bytes per number, r the rank, P the sum of in + out over adapted matrices, M their
number, K participants, d the width, L edited layers, g interventions of a layer. Headers are not counted; a test holds the
formulas equal to the numbers in files of real adapters.
"""

from collections.abc import Callable, Iterator, Mapping
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


def _sums(model: Architecture, targets: str) -> tuple[int, int, int]:
    """Sum of in, sum of out, and number of the adapted matrices of the whole model."""
    matrices = model.matrices(targets)
    inner, outer = (model.layers * sum(sizes) for sizes in zip(*matrices, strict=True))
    return inner, outer, model.layers * len(matrices)


def _consensus(_: Architecture, budget: Budget) -> Cost:
    return Cost(budget.text_bytes, budget.text_bytes)


def _fedavg(model: Architecture, budget: Budget) -> Cost:
    return _both(budget.number_bytes * model.parameters)


def _fedit(model: Architecture, budget: Budget) -> Cost:
    inner, outer, _ = _sums(model, budget.targets)
    return _both(budget.number_bytes * budget.rank * (inner + outer))


def _flora(model: Architecture, budget: Budget) -> Cost:
    up = _fedit(model, budget).up
    return Cost(up, up * budget.participants)


def _ffa_lora(model: Architecture, budget: Budget) -> Cost:
    return _both(budget.number_bytes * budget.rank * _sums(model, budget.targets)[1])


def _fedsa_lora(model: Architecture, budget: Budget) -> Cost:
    return _both(budget.number_bytes * budget.rank * _sums(model, budget.targets)[0])


def _fed_sb(model: Architecture, budget: Budget) -> Cost:
    return _both(budget.number_bytes * budget.rank**2 * _sums(model, budget.targets)[2])


def _fedreft(model: Architecture, budget: Budget) -> Cost:
    return _both(budget.number_bytes * budget.groups * model.layers * budget.rank * (2 * model.width + 1))


def _both(count: int) -> Cost:
    return Cost(count, count)


METHODS: Final[Mapping[str, Callable[[Architecture, Budget], Cost]]] = MappingProxyType(
    {
        "consensus": _consensus, "fedavg": _fedavg, "fedit": _fedit, "flora": _flora, "ffa_lora": _ffa_lora,
        "het_lora": _fedit, "fedsa_lora": _fedsa_lora, "fed_sb": _fed_sb, "fedreft": _fedreft,
    }
)  # fmt: skip


def cost(model: Architecture, method: str, budget: Budget) -> Cost:
    """Bytes of a method. Raises ConfigurationError for one that is not known."""
    if method not in METHODS:
        raise ConfigurationError(f"there is no method {method!r}; known are {', '.join(METHODS)}")
    return METHODS[method](model, budget)


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
