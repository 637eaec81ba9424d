"""What a caller can get wrong about a policy: a name that stands in none of the tables.

ConsensusError
├── UnknownRule
├── UnknownConfidence
├── UnknownEquivalence
└── MissingOpenings
"""

from collections.abc import Iterable


class ConsensusError(ValueError):
    """A pool cannot be decided as asked. Nothing was decided."""


class _UnknownName(ConsensusError):  # noqa: N818 - named for what is wrong, as its subclasses are
    """A name that is not in a table; the message lists those that are."""

    kind = "name"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(sorted(known))
        super().__init__(f"There is no {self.kind} named {name!r}. Known: {', '.join(self.known)}.")

    def __reduce__(self) -> tuple[type["_UnknownName"], tuple[str, tuple[str, ...]]]:
        """Rebuild from the parts, so that the error crosses process borders unharmed."""
        return type(self), (self.name, self.known)


class UnknownRule(_UnknownName):
    """The policy names a rule that does not exist."""

    kind = "rule"


class UnknownConfidence(_UnknownName):
    """The policy names a confidence score that does not exist."""

    kind = "confidence score"


class UnknownEquivalence(_UnknownName):
    """A pool asks for a comparison of answers that does not exist."""

    kind = "equivalence"


class MissingOpenings(ConsensusError):  # noqa: N818 - named for what is wrong, as the others are
    """The policy guards, and a pool lacks the vectors that guards read."""

    def __init__(self, prompt_id: str) -> None:
        self.prompt_id = prompt_id
        super().__init__(
            f"The policy has guards, and pool {prompt_id!r} lacks `openings` or `prompt_opening`: embed the first window of "
            "its answers and of its prompt (Encoder.encode_with_openings), or decide with guards=False."
        )

    def __reduce__(self) -> tuple[type["MissingOpenings"], tuple[str]]:
        """Rebuild from the parts, so that the error crosses process borders unharmed."""
        return type(self), (self.prompt_id,)
