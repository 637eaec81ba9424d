"""One block of a model with its interventions: the edit of the block's output."""

import math
from itertools import chain
from typing import Any, NamedTuple

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from torch.nn.functional import dropout

from client_kit.training.reft.config import ReftConfig
from client_kit.training.reft.orthonormal import orthonormal_rows
from client_kit.training.reft.positions import Edited
from client_kit.training.reft.prompts import State


class Effective(NamedTuple):
    """The tensors that an edit uses, float32: up (groups, r, d), W (groups, r, d) or None, b (groups, r)."""

    up: Tensor
    W: Tensor | None
    b: Tensor


class ReftLayer(nn.Module, BaseTunerLayer):  # type: ignore[misc]  # peft is untyped here
    """A block whose output is edited at positions of the prompt.

    Parameters per adapter, in float32: `reft_up` (groups, r, d), the matrix M of which R is the orthonormal form, or W2
    itself; `reft_W` (groups, r, d) where the variant has one; `reft_b` (groups, r). A raw M is kept, not R, so that
    optimisers move it freely and a resumed training goes on from the same numbers.
    """

    adapter_layer_names = ("reft_up", "reft_W", "reft_b")
    other_param_names = ("reft_config",)

    def __init__(self, base_layer: nn.Module, state: State) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.reft_up, self.reft_W, self.reft_b = nn.ParameterDict(), nn.ParameterDict(), nn.ParameterDict()
        self.reft_config: dict[str, ReftConfig] = {}
        self._state = state
        self._disable_adapters = False
        self._active_adapter: str | list[str] = []
        self.merged_adapters: list[str] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - models read attributes of their blocks
        """What the layer lacks is the block's."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "base_layer":
                raise
            return getattr(super().__getattr__("base_layer"), name)

    def update_layer(self, name: str, config: ReftConfig, width: int) -> None:
        """Add an adapter for hidden states of `width`, drawn from torch's random state."""
        shape = (len(config.groups), config.rank, width)
        tensors = {"up": torch.empty(shape), "b": torch.empty(shape[:2])}
        if config.form.projects:
            tensors["W"] = torch.empty(shape)
        if tensors["up"].device.type != "meta":  # on `meta` the numbers are loaded afterwards
            _initialise(tensors, config)
            device = _device_of(self.base_layer)
            tensors = {key: value.to(device) for key, value in tensors.items()}
        for key, value in tensors.items():
            getattr(self, f"reft_{key}")[name] = nn.Parameter(value)
        self.reft_config[name] = config
        self.set_adapter(self.active_adapters)

    def effective(self, name: str) -> Effective:
        """The adapter's tensors as the edit uses them, with gradients."""
        config, up = self.reft_config[name], self.reft_up[name]
        W = self.reft_W[name].float() if config.form.projects else None  # noqa: N806 - the paper's name
        return Effective(orthonormal_rows(up) if config.form.orthonormal else up.float(), W, self.reft_b[name].float())

    def forward(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the block takes and gives
        """The block, then the edits of the active adapters."""
        output = self.base_layer(*args, **kwargs)
        hidden = output[0] if isinstance(output, tuple) else output
        if self._disable_adapters or not self._state.edits:
            return output
        with torch.autocast(hidden.device.type, enabled=False):
            for name in self.active_adapters:
                if name in self.reft_up:
                    hidden = self._edited(hidden, name)
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    def _edited(self, hidden: Tensor, name: str) -> Tensor:
        """`hidden` (rows, tokens, d) with one adapter's edits, computed in float32."""
        config = self.reft_config[name]
        columns = self._state.columns(config.places, hidden.device)
        index = columns.index[..., None].expand(-1, -1, hidden.shape[-1])
        states = hidden.gather(1, index).float()
        change = self._change(states, columns, name)
        if config.dropout and self.training:  # as pyreft: on the edited state, not on the change
            change = dropout(states + change, config.dropout) - states
        change = torch.where(columns.used[..., None], change, 0.0)
        return hidden.scatter_add(1, index, change.to(hidden.dtype))

    def _change(self, states: Tensor, columns: Edited, name: str) -> Tensor:
        """U'(f(W h + b) - U h) for states (rows, slots, d), each group at its slots."""
        config, tensors = self.reft_config[name], self.effective(name)
        on = self._directions(config, states.device)
        groups = len(config.groups)
        parts = (states[:, : columns.prefix], states[:, columns.prefix :]) if groups > 1 else (states,)
        return torch.cat([change_of(part, config, tensors, group, on) for group, part in enumerate(parts)], dim=1)

    def _directions(self, config: ReftConfig, device: torch.device) -> Tensor | None:
        """1 for the directions whose subspaces are switched on, (r,); None where all are."""
        if self._state.subspaces is None or config.subspaces is None:
            return None
        on = torch.zeros(config.rank, device=device)
        for name in self._state.subspaces:
            first, stop = config.subspaces[name]
            on[first:stop] = 1.0
        return on

    def _get_base_layer_device_and_dtype(self, base_layer: nn.Module) -> tuple[torch.device, None]:
        """Adapters go to the block's device and stay in float32."""
        return _device_of(base_layer), None


def _device_of(block: nn.Module) -> torch.device:
    """Of its numbers, which a quantised block may keep in buffers alone."""
    return next(chain(block.parameters(), block.buffers())).device


def change_of(states: Tensor, config: ReftConfig, tensors: Effective, group: int, on: Tensor | None = None) -> Tensor:
    """U'(f(W h + b) - U h) of one group, for states h (..., d). on: directions that are switched on, (r,); None: all."""
    up, b = tensors.up[group], tensors.b[group]
    flat = states.flatten(
        0, -2
    )  # for more dimensions torch chooses a kernel by requires_grad, and the last bit with it
    target = b.expand(len(flat), -1) if tensors.W is None else flat @ tensors.W[group].mT + b
    if config.activation == "relu":
        target = target.relu()
    if config.form.subtracts:
        target = target - flat @ up.mT
    change = (target if on is None else target * on) @ up
    return change.view_as(states)


def _initialise(tensors: dict[str, Tensor], config: ReftConfig) -> None:
    """As pyreft: R orthonormal, everything else uniform within 1 / sqrt(d); or so that nothing is edited at first."""
    up, bound = tensors["up"], 1 / math.sqrt(tensors["up"].shape[-1])
    for key in ("W", "b"):
        if key in tensors:
            nn.init.uniform_(tensors[key], -bound, bound)
    if not config.form.orthonormal:
        nn.init.uniform_(up, -bound, bound)
    for rows in up if config.form.orthonormal else ():
        nn.init.orthogonal_(rows)
    if not config.form.projects:
        nn.init.uniform_(tensors["b"], 0, 1)  # pyreft draws a constant target so
    if config.init == "identity":
        _silence(tensors, config)


def _silence(tensors: dict[str, Tensor], config: ReftConfig) -> None:
    """No edit at the start: W = U and b = 0 where U h is taken off, else W = 0 and b = 0."""
    tensors["b"].zero_()
    if config.form.projects:
        tensors["W"].copy_(tensors["up"]) if config.form.subtracts else tensors["W"].zero_()
