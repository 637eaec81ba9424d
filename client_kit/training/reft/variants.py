"""The edits of the ReFT family, in the row convention: R, W2, W (r, d), b (r,), h (..., d)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variant:
    """One edit h + U' (f(W h) + b - U h), of which parts can be missing; U is R or W2, f the identity or relu."""

    orthonormal: bool
    """U has orthonormal rows (then it is called R, else W2)."""
    projects: bool
    """There is a W; without it the target is the constant b."""
    subtracts: bool
    """U h is taken off: the edit replaces what h has in the subspace, instead of adding to it."""

    @property
    def up(self) -> str:
        """What U is called in files and tables."""
        return "R" if self.orthonormal else "W2"

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the tensors of one intervention."""
        return (self.up, "W", "b") if self.projects else (self.up, "b")

    def parameters(self, rank: int, width: int) -> int:
        """Trainable numbers of one intervention: r (2 d + 1) with W, r (d + 1) without."""
        return rank * ((2 if self.projects else 1) * width + 1)


VARIANTS = {
    "loreft": Variant(orthonormal=True, projects=True, subtracts=True),
    "noreft": Variant(orthonormal=False, projects=True, subtracts=True),
    "direft": Variant(orthonormal=False, projects=True, subtracts=False),
    "direft_orth": Variant(orthonormal=True, projects=True, subtracts=False),
    "consreft": Variant(orthonormal=True, projects=False, subtracts=True),
    "lobireft": Variant(orthonormal=True, projects=False, subtracts=False),
}
"""loreft: h + R'(W h + b - R h), equation 2 of the paper. direft: h + W2'(W h + b), equation 3; pyreft calls it
`NodireftIntervention`, and its `DireftIntervention` is direft_orth here. The others are the paper's ablations."""
