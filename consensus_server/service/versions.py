"""Versions of what decided a round, for its card."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

DECIDING = ("semantic-consensus", "numpy", "scipy", "scikit-learn", "faiss-cpu", "torch", "sentence-transformers")
"""Everything whose version can change a vector or a decision, beside Python itself."""


@cache
def deciding_versions() -> dict[str, str]:
    """Version by name; what is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in DECIDING:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
