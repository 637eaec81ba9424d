"""Refusals in federations: whether the server tells them, and by what."""

from dataclasses import replace

from client_kit.refusals import IDENTITY
from consensus_server.core.errors import AggregationRefused
from consensus_server.core.federations import Federation, Terms
from consensus_server.core.lifecycle import REFUSALS_CHANGED

DROP = "drop"


def with_what_tells_refusals(terms: Terms) -> Terms:
    """The terms of a new federation, pinned to what tells refusals here, unless they are kept."""
    return replace(terms, refusals_told_by=IDENTITY if terms.answers.refusals == DROP else None)


def refusals_changed(federation: Federation) -> str | None:
    """Why this server cannot tell refusals as a federation agreed to; None where it can. Fit for every member."""
    agreed = federation.terms.refusals_told_by
    if agreed in {None, IDENTITY}:
        return None
    return (
        f"Federation {federation.name} agreed that refusals are told by {agreed!r}, and this server has {IDENTITY!r}: the same "
        "answers might get other labels. What was published stays. The operator runs the version of the server that the "
        "federation began with, or creates a new federation."
    )


def require_refusals(federation: Federation) -> None:
    """Raise AggregationRefused where this server cannot tell refusals as the federation agreed to."""
    if changed := refusals_changed(federation):
        raise AggregationRefused(changed, REFUSALS_CHANGED)
