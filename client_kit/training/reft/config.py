"""What a ReFT adapter is: `adapter_config.json` of its folder."""

from dataclasses import dataclass, field
from typing import Any

from peft import PeftConfig

from client_kit.errors import ConfigurationError
from client_kit.training.reft.positions import Positions
from client_kit.training.reft.registration import REFT
from client_kit.training.reft.variants import VARIANTS, Variant

ACTIVATIONS = ("identity", "relu")
INITS = ("random", "identity")


@dataclass
class ReftConfig(PeftConfig):  # type: ignore[misc]  # peft is untyped here
    """Edits of hidden states at positions of the prompt, after chosen layers (arXiv 2404.03592).

    Raises ConfigurationError for what cannot be.
    """

    rank: int = field(default=8, metadata={"help": "directions of one intervention, 1 or more"})
    variant: str = field(default="loreft", metadata={"help": ", ".join(VARIANTS)})
    layers: list[int] | str = field(
        default="all", metadata={"help": "blocks whose output is edited, from 0, or 'all' of them"}
    )
    positions: str = field(
        default="f1+l1", metadata={"help": "f2+l3: the first 2 and last 3 tokens of the prompt; f2; l3; all"}
    )
    tied: bool = field(default=False, metadata={"help": "one intervention for first and last tokens, in place of two"})
    activation: str = field(default="identity", metadata={"help": "applied to W h + b: identity or relu"})
    dropout: float = field(default=0.0, metadata={"help": "share of the edited state's numbers dropped in training"})
    init: str = field(
        default="random",
        metadata={"help": "random, as pyreft: it edits from the start; identity: W = R, b = 0, no edit at the start"},
    )
    subspaces: dict[str, list[int]] | None = field(
        default=None, metadata={"help": "name -> [first, stop) of the directions, to be trained and switched apart"}
    )
    target_modules: Any = field(default=None, metadata={"help": "set from `layers`; a regular expression"})
    modules_to_save: list[str] | None = field(
        default=None, metadata={"help": "modules beside the adapter that are trained whole, as a classifier's head"}
    )
    trainable_token_indices: dict[str, list[int]] | None = None
    bias: str = "none"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        super().__post_init__()
        self.peft_type = REFT
        self._check()
        self._check_subspaces()

    def _check(self) -> None:
        if self.rank < 1:
            raise ConfigurationError(f"ReFT's rank is {self.rank}; it must be 1 or more")
        for name, value, known in (
            ("variant", self.variant, tuple(VARIANTS)),
            ("activation", self.activation, ACTIVATIONS),
            ("init", self.init, INITS),
        ):
            if value not in known:
                raise ConfigurationError(f"ReFT's {name} is {value!r}; take one of {', '.join(known)}")
        if not 0 <= self.dropout < 1:
            raise ConfigurationError(f"ReFT's dropout is {self.dropout}; it must be from 0 to below 1")
        if self.activation != "identity" and not self.form.projects:
            raise ConfigurationError(f"variant {self.variant} has no W h for activation {self.activation} to act on")
        if self.layers != "all" and (isinstance(self.layers, str) or len(set(self.layers)) != len(self.layers)):
            raise ConfigurationError(f"ReFT's layers are {self.layers!r}; give a list of different numbers, or 'all'")
        _ = self.places

    def _check_subspaces(self) -> None:
        for name, bounds in (self.subspaces or {}).items():
            if len(bounds) != 2 or not 0 <= bounds[0] < bounds[1] <= self.rank:  # noqa: PLR2004 - first and stop
                raise ConfigurationError(
                    f"subspace {name} is {bounds}; give [first, stop) with 0 <= first < stop <= rank {self.rank}"
                )

    @property
    def form(self) -> Variant:
        """The edit's parts."""
        return VARIANTS[self.variant]

    @property
    def places(self) -> Positions:
        """The positions, read."""
        return Positions.parse(self.positions)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the interventions of each layer."""
        return self.places.groups(tied=self.tied)

    def parameters(self, width: int, layers: int) -> int:
        """Trainable numbers for hidden states of `width` and this many edited layers: layers * groups * r (2 d + 1)."""
        return layers * len(self.groups) * self.form.parameters(self.rank, width)
