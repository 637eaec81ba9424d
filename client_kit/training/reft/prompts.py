"""Where the prompt ends, in every way in which a model is called. What cannot be known is refused."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from client_kit.errors import ConfigurationError, TrainingError
from client_kit.training.reft.positions import Edited, Positions, Prompts, edited

_IGNORED = -100

_PACKED = (
    "this batch is packed or padding-free, so that rows hold several prompts; ReFT edits positions of one prompt per row: "
    "set packing=False and padding_free=False, and do not use continuous batching"
)
_UNKNOWN = (
    "ReFT cannot tell where the prompts end: outside generate() pass labels (-100 on the prompt), or prompt_lengths "
    "(tokens of each row's prompt) where labels are held back, as label smoothing, custom losses and scoring do"
)
_NO_PROMPT = (
    "row {row} has no prompt before its first supervised token; ReFT edits prompts: give prompt and completion, not plain "
    "text, and for whole conversations train on the assistant's turns only (assistant_only_loss=True)"
)


class State:
    """What the layers of one model share: the prompts of the running forward pass, and what of it is seen.

    `causal` tells decoders, whose rows are prompt and answer, from encoders, whose rows are all prompt.
    """

    def __init__(self, *, causal: bool) -> None:
        self.causal = causal
        self.enabled = True
        self.subspaces: tuple[str, ...] | None = None
        self._generating: tuple[Prompts, int] | None = None
        self._prompts: Prompts | None = None
        self._seen = self._width = 0
        self._edited: dict[Positions, Edited] = {}

    @contextmanager
    def generating(self, prompts: Prompts, width: int) -> Iterator[None]:
        """Within, forward passes belong to answers to these prompts, which end at column `width`."""
        self._generating = (prompts, width)
        try:
            yield
        finally:
            self._generating = None
            self.forget()

    def forget(self) -> None:
        """No forward pass is running: nothing is edited."""
        self._prompts = None
        self._edited.clear()

    def begin(self, kwargs: Mapping[str, Any], inputs: Tensor, lengths: object) -> None:
        """Learn the prompts of a forward pass over `inputs`, ids (rows, tokens) or embeddings (rows, tokens, d)."""
        self.forget()
        rows, self._width = inputs.shape[:2]
        self._seen = _seen(kwargs.get("past_key_values"))
        if self._generating is not None:
            prompts, end = self._generating
            if self._seen < end:  # later steps see the edited cache and are not edited themselves
                self._prompts = prompts.repeated(rows)
            return
        _refuse_packed(kwargs)
        mask = kwargs.get("attention_mask")
        labels = kwargs.get("labels")
        total = self._seen + self._width
        if lengths is not None:
            self._prompts = from_lengths(lengths, mask, rows, total, inputs.device)
        elif not self.causal:
            self._prompts = from_mask(mask, rows, total, inputs.device)
        elif labels is not None and self._seen == 0:
            self._prompts = from_labels(labels, mask)
        else:
            raise TrainingError(_UNKNOWN)

    @property
    def edits(self) -> bool:
        """Whether the running forward pass has prompts to edit."""
        return self._prompts is not None

    def columns(self, positions: Positions, device: torch.device) -> Edited:
        """The columns that this forward pass edits."""
        if self._prompts is None:
            raise RuntimeError("no forward pass is running")
        if positions not in self._edited:
            self._edited[positions] = edited(positions, self._prompts, seen=self._seen, width=self._width)
        found = self._edited[positions]
        return Edited(found.index.to(device), found.used.to(device), found.prefix)


def from_mask(mask: Tensor | None, rows: int, width: int, device: torch.device) -> Prompts:
    """Prompts that fill whatever the padding mask (rows, width) leaves."""
    if mask is None:
        start = torch.zeros(rows, dtype=torch.long, device=device)
        return Prompts(start, torch.full_like(start, width))
    if mask.dim() != 2 or mask.shape[1] < width:  # noqa: PLR2004
        raise TrainingError(
            f"ReFT needs the padding mask of shape (rows, {width}), to know where prompts begin; "
            f"the attention_mask has shape {tuple(mask.shape)}"
        )
    present = mask[:, :width].long()
    return Prompts(present.argmax(1), present.sum(1))


def from_labels(labels: Tensor, mask: Tensor | None) -> Prompts:
    """Prompts that end before each row's first supervised token; rows without one are all prompt."""
    whole = from_mask(mask, labels.shape[0], labels.shape[1], labels.device)
    supervised = labels != _IGNORED
    first = torch.where(supervised.any(1), supervised.long().argmax(1), whole.start + whole.length)
    length = first - whole.start
    if bool((length < 1).any()):
        raise TrainingError(_NO_PROMPT.format(row=int((length < 1).long().argmax())))
    return Prompts(whole.start, length)


def from_lengths(lengths: object, mask: Tensor | None, rows: int, width: int, device: torch.device) -> Prompts:
    """Prompts of stated lengths (rows,), counted from each row's first real token."""
    whole = from_mask(mask, rows, width, device)
    given = torch.as_tensor(lengths, device=device)
    if given.shape != (rows,) or given.is_floating_point() or bool((given < 1).any()):
        raise TrainingError(f"prompt_lengths must be {rows} numbers of tokens, 1 or more; they are {given.tolist()}")
    if bool((given > whole.length).any()):
        row = int((given > whole.length).long().argmax())
        raise TrainingError(
            f"prompt_lengths says {int(given[row])} tokens for row {row}, which has {int(whole.length[row])}"
        )
    return Prompts(whole.start, given.long())


def chosen_subspaces(names: Sequence[str], known: Mapping[str, object] | None) -> tuple[str, ...]:
    """The names, checked against those of an adapter."""
    if unknown := [name for name in names if name not in (known or {})]:
        raise ConfigurationError(
            f"there is no subspace {unknown[0]}; the adapter has {', '.join(known) if known else 'none'}"
        )
    return tuple(names)


def _seen(cache: Any) -> int:  # noqa: ANN401 - one of transformers' caches
    """Columns that the cache holds already."""
    return 0 if cache is None else int(cache.get_seq_length())


def _refuse_packed(kwargs: Mapping[str, Any]) -> None:
    """Flash attention's variable lengths, or position numbers that fall within a row, betray several texts in one."""
    if any(kwargs.get(name) is not None for name in ("cu_seq_lens_q", "seq_idx", "block_table")):
        raise TrainingError(_PACKED)
    numbers, mask = kwargs.get("position_ids"), kwargs.get("attention_mask")
    if numbers is None or numbers.shape[-1] < 2:  # noqa: PLR2004
        return
    falls = numbers[..., 1:] < numbers[..., :-1]
    if mask is not None and mask.dim() == 2 and mask.shape == numbers.shape:  # noqa: PLR2004
        falls = falls & (mask[:, 1:] * mask[:, :-1] > 0)  # padding may bear any number
    if bool(falls.any()):
        raise TrainingError(_PACKED)
