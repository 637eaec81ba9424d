"""How a participant takes part of what comes back: its own interventions and the others', mixed as functions.

FedReFT (arXiv 2508.20295) mixes with an adaptive coefficient whose equation is not published. Ours: the coefficient
with the least loss on a held-out part of the participant's own data, of equal ones the smallest, so that on that part
nobody is worse off than alone. It costs forward passes only.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

COEFFICIENTS: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Share of the others that is tried."""


def mix_interventions(
    own: "Mapping[str, Tensor]", others: "Mapping[str, Tensor]", coefficient: float
) -> "dict[str, Tensor]":
    """(1 - coefficient) of one's own edit plus coefficient of the others', at one's own rank.

    LoReFT tensors by name (`SITE.R`, `.W`, `.b`). The edits are mixed, not the tensors: R'[W - R, b] of both are added
    and brought back to the rank by the nearest map of that rank. With 0 or 1 it is exactly the one or the other.
    """
    if coefficient in {0.0, 1.0}:
        return dict(others if coefficient else own)
    mixed: dict[str, Tensor] = {}
    for site in sorted({name.rpartition(".")[0] for name in own}):
        mixed |= _mixed_site(own, others, site, coefficient)
    return mixed


def choose_coefficient(
    loss_of: Callable[[float], float], candidates: Sequence[float] = COEFFICIENTS
) -> tuple[float, dict[float, float]]:
    """The candidate with the least loss, of equal ones the smallest; and the loss of each."""
    losses = {each: loss_of(each) for each in sorted(candidates)}
    return min(losses, key=lambda each: (losses[each], each)), losses


def _mixed_site(
    own: "Mapping[str, Tensor]", others: "Mapping[str, Tensor]", site: str, coefficient: float
) -> "dict[str, Tensor]":
    import torch  # noqa: PLC0415 - heavy, and of the extra `train`

    rows, columns = [], []
    for tensors, weight in ((own, 1 - coefficient), (others, coefficient)):
        r, w, b = (tensors[f"{site}.{part}"].double() for part in ("R", "W", "b"))
        rows.append(r)
        columns.append(weight * torch.cat([w - r, b[:, None]], dim=1))
    left, upper = torch.linalg.qr(torch.cat(rows).T)
    u, sizes, v = torch.linalg.svd(upper @ torch.cat(columns), full_matrices=False)
    rank = own[f"{site}.R"].shape[0]
    r = (left @ u)[:, :rank].T
    right = sizes[:rank, None] * v[:rank]
    return {f"{site}.R": r.float(), f"{site}.W": (right[:, :-1] + r).float(), f"{site}.b": right[:, -1].float()}
