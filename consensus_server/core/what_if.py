"""Published rounds decided again under another policy. Frozen records; nothing of it is stored."""

from collections.abc import Sequence
from dataclasses import dataclass

from consensus_server.core.consensus.records import Policy
from consensus_server.core.labels import Label


@dataclass(frozen=True, slots=True)
class LabelChange:
    """A prompt that would have another pseudo-label, or none, or one at last."""

    before: Label
    after: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A published round as another policy would have decided it."""

    policy: Policy
    published: str
    """Digest of the pseudo-labels as published."""
    labels: str
    """Digest of those that the policy would give."""
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
    changes: tuple[LabelChange, ...]
    """In the order of `prompt_id`; the first ones, where there are very many."""


def compare(
    policy: Policy, digests: tuple[str, str], before: Sequence[Label], after: Sequence[Label], most: int
) -> WhatIf:
    """digests: of the labels before and after. before, after: for the same prompts in their order. most: changes to list."""
    pairs = list(zip(before, after, strict=True))
    changes = [LabelChange(*pair) for pair in pairs if _outcome(pair[0]) != _outcome(pair[1])]
    return WhatIf(
        policy=policy,
        published=digests[0],
        labels=digests[1],
        prompts=len(pairs),
        labels_before=sum(label.text is not None for label in before),
        labels_after=sum(label.text is not None for label in after),
        changed=len(changes),
        gained=sum(change.before.text is None and change.after.text is not None for change in changes),
        lost=sum(change.before.text is not None and change.after.text is None for change in changes),
        rescored=sum(old != new and _outcome(old) == _outcome(new) for old, new in pairs),
        changes=tuple(changes[:most]),
    )


def _outcome(label: Label) -> tuple[str | None, str | None]:
    return label.digest, label.abstention
