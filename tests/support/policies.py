"""Policies for tests."""

from typing import Any

from consensus_server.core.consensus import Policy


def plain(**fields: Any) -> Policy:
    """A policy under which each pool is decided by itself: no guards, no reliability, `cluster_medoid` unless named."""
    return Policy(**({"rule": "cluster_medoid", "guards": False, "reliability": False} | fields))
