"""Long lists in pieces that a statement can carry."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from consensus_server.backends.store.engine import BOUND_VALUES

T = TypeVar("T")


def chunks(values: Iterable[T], size: int = BOUND_VALUES) -> Iterator[list[T]]:
    """Lists of at most `size` values, in their order; none for nothing."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk
