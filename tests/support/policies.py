"""Policies for tests."""

from typing import Any

from consensus_server.core.consensus import Policy


def plain(**fields: Any) -> Policy:
    """By support, without guards and reliability; `cluster_medoid`, which decides each pool by itself, unless named."""
    return Policy(
        **({"rule": "cluster_medoid", "decide_by": "support", "guards": False, "reliability": False} | fields)
    )
