"""What a comparison is run on: data and base models of each participant, public prompts, and how answers are judged."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from client_kit.generation.base import Generation
from client_kit.training.base import Example
from client_kit.wire import Prompt

HELD_OUT = 0.1
"""Part of a participant's private data that no method trains on: adaptive mixing looks at it."""


@dataclass(frozen=True, slots=True)
class SiteData:
    """What a participant begins with: its base model and its private data."""

    name: str
    architecture: str
    base: Path
    private: tuple[Example, ...]
    held_out: tuple[Example, ...]


class Task(Protocol):
    """A task. Equal settings and seeds give equal sites, whatever method they are for."""

    max_answer_tokens: int

    def sites(self, seed: int, *, mixed: bool, drifted: bool = False) -> list[SiteData]:
        """The participants; mixed: of different architectures. The private data is the same either way.

        drifted: their private data once facts have been replaced.
        """
        ...

    def prompts(self) -> list[Prompt]:
        """The public prompts."""
        ...

    def questions(self) -> list[Prompt]:
        """Asked of every participant at every stage; validation and test questions together."""
        ...

    def judge(self, seed: int, site: int, answers: Sequence[Generation], *, drifted: bool = False) -> dict[str, float]:
        """Quality of one participant's answers by group, 0..1: `private`, `overall` and `validation` at least."""
        ...

    def right(self, prompt_id: str, text: str, *, drifted: bool = False) -> bool | None:
        """Whether a pseudo-label is right; None where that is not known."""
        ...


def share(right: Mapping[str, bool], names: Sequence[str]) -> float:
    """Of these questions, how many were answered right, 0..1."""
    return sum(right[name] for name in names) / len(names) if names else 0.0


def split_site(index: int, architecture: str, base: Path, examples: Sequence[Example], seed: int) -> SiteData:
    """A participant, with a part of its private data held out."""
    shuffled = list(examples)
    random.Random(f"held out {seed} {index}").shuffle(shuffled)  # noqa: S311 - a draw, no secret
    kept = round(HELD_OUT * len(shuffled))
    return SiteData(f"site-{index}", architecture, base, tuple(shuffled[kept:]), tuple(shuffled[:kept]))
