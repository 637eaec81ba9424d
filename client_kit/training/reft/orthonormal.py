"""Orthonormal rows from any matrix of full rank, with a gradient."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _Polar(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:  # noqa: ANN401 - torch's context
        eigenvalues, vectors = torch.linalg.eigh(matrix @ matrix.mT)
        scales = eigenvalues.clamp_min(torch.finfo(matrix.dtype).tiny).sqrt()
        inverse = (vectors / scales[..., None, :]) @ vectors.mT
        rows: Tensor = inverse @ matrix
        ctx.save_for_backward(rows, vectors, scales, inverse)
        return rows

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        rows, vectors, scales, inverse = ctx.saved_tensors
        cross = gradient @ rows.mT
        sums = scales[..., :, None] + scales[..., None, :]
        turn = vectors @ ((vectors.mT @ (cross - cross.mT) @ vectors) / sums) @ vectors.mT
        result: Tensor = inverse @ (gradient - cross @ rows) + turn @ rows
        return result


def orthonormal_rows(matrix: Tensor) -> Tensor:
    """R = (M M')^(-1/2) M for M of shape (..., r, d) with r <= d and full rank; R R' = I, in float32 or wider.

    R is the matrix with orthonormal rows that is nearest to M (the polar factor), and the same for every multiple of M:
    weight decay, which shrinks M, leaves R alone. torch's `parametrizations.orthogonal` is no substitute: decay drives
    it to zero, and it keeps a d x d buffer. The r x r Gram matrix is all that is decomposed here, in float64, so that R
    is orthonormal to the last bits of float32 even where M is ill-conditioned.

    The backward pass is in closed form. With G = dL/dR, C = G R', M M' = Q diag(s^2) Q' and P = (M M')^(-1/2):
    dL/dM = P (G - C R) + Y R, where Q'YQ = Q'(C - C')Q / (s_i + s_j). Autograd through `eigh` divides by differences of
    eigenvalues instead, and at an orthonormal M they are all zero.
    """
    wide = torch.float32 if matrix.device.type == "mps" else torch.float64  # MPS has no float64
    with torch.autocast(matrix.device.type, enabled=False):
        result: Tensor = _Polar.apply(matrix.to(wide))  # type: ignore[no-untyped-call]
    return result.to(torch.promote_types(matrix.dtype, torch.float32))
