"""Published rounds looked at again: maps of pools, and what another policy would have decided."""

from pydantic import Field

from client_kit.wire.base import WireModel
from client_kit.wire.federations import ConsensusPolicy
from client_kit.wire.limits import Digest, Name, PromptId
from client_kit.wire.pseudo_labels import PseudoLabel


class MapPoint(WireModel):
    """Where an answer lies."""

    participant: Name | None = None
    """Operators see every participant; a participant sees itself only."""
    sample: int
    x: float
    y: float
    cluster: int | None = None
    """Index into the label's `clusters`; none where the answer was kept out."""
    gate: str | None = None
    chosen: bool = False


class PoolMap(WireModel):
    """The answers to one prompt in two dimensions. Answers without a vector are left out."""

    prompt_id: PromptId
    method: str
    """`pca` or `umap`."""
    explained: tuple[float, float] | None = None
    """Part of the variance along x and y, 0..1; none where the method does not know it."""
    points: list[MapPoint]


class LabelChange(WireModel):
    """A prompt that would have another pseudo-label, or none, or one at last."""

    before: PseudoLabel
    after: PseudoLabel


class WhatIf(WireModel):
    """A published round as another policy would have decided it. Nothing is changed by asking."""

    policy: ConsensusPolicy
    published: Digest
    """Of the pseudo-labels as published."""
    labels: Digest
    """Of those that the policy would give; the same under the same policy."""
    prompts: int
    labels_before: int
    labels_after: int
    changed: int
    """Prompts whose text or abstention changes."""
    gained: int
    """Of these: an abstention becomes a label."""
    lost: int
    """Of these: a label becomes an abstention."""
    rescored: int
    """Prompts with the same outcome, and other figures."""
    changes: list[LabelChange] = Field(max_length=1000)
    """In the order of `prompt_id`; the first thousand."""
