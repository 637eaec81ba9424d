"""Which tokens are edited: the first p and the last s of the prompt, or all of it."""

import re
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from client_kit.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Positions:
    """Positions as `f2+l3` says them (first 2, last 3 of the prompt), `f2`, `l3`, or `all`."""

    first: int
    last: int
    everything: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `f2+l3`, `f2`, `l3` or `all`. Raises ConfigurationError for anything else, and where nothing is edited."""
        if text == "all":
            return cls(0, 0, everything=True)
        match = re.fullmatch(r"(?:f(\d+))?\+?(?:l(\d+))?", text)
        first, last = (int(number or 0) for number in match.groups()) if match else (0, 0)
        if first + last == 0 or text != "+".join(
            part for part in (f"f{first}" * (first > 0), f"l{last}" * (last > 0)) if part
        ):
            raise ConfigurationError(
                f"positions {text!r} name no tokens; write f2+l3 for the first 2 and last 3 of the prompt, f2, l3 or all"
            )
        return cls(first, last)

    def groups(self, *, tied: bool) -> tuple[str, ...]:
        """Names of the interventions of a layer: prefix and suffix, or one for all positions."""
        return ("prefix", "suffix") if self.first and self.last and not tied else ("all",)

    def overlap(self, other: "Positions") -> bool:
        """Whether some prompt has a token that both edit."""
        return self.everything or other.everything or bool(self.first and other.first) or bool(self.last and other.last)


@dataclass(frozen=True, slots=True)
class Prompts:
    """Where the prompts of a batch stand: columns `start` to `start + length`, both (rows,) of integers."""

    start: Tensor
    length: Tensor

    def repeated(self, rows: int) -> "Prompts":
        """Each prompt as often in a row as beams or samples ask, `rows` in all."""
        times = rows // self.start.shape[0]
        return (
            self if times == 1 else Prompts(self.start.repeat_interleave(times), self.length.repeat_interleave(times))
        )


@dataclass(frozen=True, slots=True)
class Edited:
    """Columns of a batch that are edited.

    index: (rows, slots), from 0; 0 where the slot is empty. used: (rows, slots), whether the slot is in use.
    prefix: number of leading slots that belong to the prompt's beginning.
    """

    index: Tensor
    used: Tensor
    prefix: int


def edited(positions: Positions, prompts: Prompts, *, seen: int, width: int) -> Edited:
    """The edited columns of a forward pass over columns `seen` to `seen + width`.

    A prompt of L tokens has its first min(p, L // 2) and last min(s, L // 2) edited, as in pyreft 0.1: the two never
    overlap, and a prompt of one token is left alone. `all` edits all L.
    """
    if positions.everything:
        columns = torch.arange(width, device=prompts.start.device)
        here = columns + seen - prompts.start[:, None]
        used = (here >= 0) & (here < prompts.length[:, None])
        return Edited(columns.expand_as(used), used, 0)
    first = torch.arange(positions.first, device=prompts.start.device)
    last = torch.arange(positions.last, device=prompts.start.device)
    half = torch.div(prompts.length, 2, rounding_mode="floor")[:, None]
    end = (prompts.start + prompts.length)[:, None]
    index = torch.cat([prompts.start[:, None] + first, end - 1 - last], dim=1) - seen
    used = torch.cat([first < half, last < half], dim=1) & (index >= 0) & (index < width)
    return Edited(torch.where(used, index, 0), used, positions.first)
