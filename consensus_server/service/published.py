"""What is asked of published rounds only."""

from consensus_server.core.errors import RoundFailed, RoundNotPublished
from consensus_server.core.federations import Role
from consensus_server.core.lifecycle import RoundState
from consensus_server.core.rounds import Round
from consensus_server.ports import Clock, Store
from consensus_server.service.access import Caller
from consensus_server.service.settling import current_round


def published_round(
    store: Store, clock: Clock, caller: Caller, federation: str, number: int, *, roles: frozenset[Role]
) -> Round:
    """The published round. Raises UnknownFederation, Forbidden, UnknownRound, RoundNotPublished, RoundFailed."""
    round_ = current_round(store, clock, caller, federation, number, roles=roles)
    if round_.failure is not None:
        raise RoundFailed(f"Round {number} failed ({round_.failure.code}): {round_.failure.detail}")
    if round_.state is not RoundState.PUBLISHED:
        raise RoundNotPublished(f"Round {number} is {round_.state}; its pseudo-labels come when it is published.")
    return round_


def may_see(caller: Caller, participant: str) -> bool:
    """Whether the caller may see what became of a participant's answers: operators of all, others of their own."""
    return caller.role is Role.OPERATOR or (caller.participant is not None and caller.participant.name == participant)
