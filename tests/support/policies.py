"""Policies for tests."""

from typing import Any

from consensus_server.core.consensus import Policy


def plain(**fields: Any) -> Policy:
    """A policy without guards and reliability; `cluster_medoid`, which decides each pool by itself, unless named."""
    return Policy(**({"rule": "cluster_medoid", "guards": False, "reliability": False} | fields))
