"""Orthonormal rows and their gradient."""

import pytest
import torch

from client_kit.training.reft.orthonormal import orthonormal_rows


def matrix(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def away_from_identity(rows):
    rows = rows.double()
    return float((rows @ rows.mT - torch.eye(rows.shape[-2], dtype=torch.float64)).abs().max())


@pytest.mark.parametrize("scale", [1e-18, 1e-6, 1.0, 1e6])
def test_rows_are_orthonormal_whatever_the_scale(scale):
    assert away_from_identity(orthonormal_rows(scale * matrix(2, 8, 300))) < 1e-6


def test_rows_are_orthonormal_where_the_matrix_is_nearly_singular():
    nearly = matrix(4, 200)
    nearly[3] = nearly[2] + 1e-4 * matrix(200, seed=1)
    assert away_from_identity(orthonormal_rows(nearly)) < 1e-6


def test_orthonormal_rows_stay_and_multiples_do_not_matter():
    rows = orthonormal_rows(matrix(5, 40))
    assert torch.allclose(orthonormal_rows(rows), rows, atol=1e-7)
    assert torch.allclose(orthonormal_rows(0.01 * rows), rows, atol=1e-7)


def test_the_result_is_the_nearest_matrix_with_orthonormal_rows():
    left, _, right = torch.linalg.svd(matrix(5, 40), full_matrices=False)
    assert torch.allclose(orthonormal_rows(matrix(5, 40)), left @ right, atol=1e-5)


@pytest.mark.parametrize("at", ["any matrix", "an orthonormal matrix"])
def test_the_gradient_is_right(at):
    """At an orthonormal matrix all eigenvalues coincide, where autograd through eigh gives no number."""
    start = matrix(3, 7, dtype=torch.float64)
    start = orthonormal_rows(start) if at == "an orthonormal matrix" else start
    assert torch.autograd.gradcheck(orthonormal_rows, start.requires_grad_())


def test_half_precision_around_it_changes_nothing():
    raw = matrix(8, 256)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert away_from_identity(orthonormal_rows(raw)) < 1e-6
    assert orthonormal_rows(raw.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("optimiser", [torch.optim.AdamW, torch.optim.SGD])
def test_weight_decay_does_not_touch_orthonormality(optimiser):
    raw, target = torch.nn.Parameter(matrix(4, 64)), matrix(4, 64, seed=3)
    steps = optimiser([raw], lr=0.05, weight_decay=1.0)
    for _ in range(400):
        steps.zero_grad()
        (orthonormal_rows(raw) * target).sum().backward()
        steps.step()
    assert away_from_identity(raw.detach()) > 0.5, "decay has moved the raw matrix"
    assert away_from_identity(orthonormal_rows(raw.detach())) < 1e-6
