"""What is asked of published rounds only."""

from collections.abc import Iterator
from itertools import chain

from client_kit.vocabulary import Role, RoundState
from consensus_server.core.errors import Forbidden, RoundFailed, RoundNotPublished, UnknownPrompt
from consensus_server.core.labels import AnswerFate
from consensus_server.core.rounds import Round
from consensus_server.ports import Clock, Store, Transaction
from consensus_server.service.access import READERS_OF_LABELS, Caller, federation_for
from consensus_server.service.settling import current_round

CHUNK_PROMPTS = 500
"""Prompts whose fates are read at once."""


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


def published_labels(store: Store, clock: Clock, caller: Caller, federation: str, number: int) -> Round:
    """The published round, for who may learn what came of its answers: labels, maps, rejections, reliability, parameters.

    Raises as `published_round`, and Forbidden for observers and, where the federation is `contributors_only`, for
    participants that did not seal a submission in this round.
    """
    round_ = published_round(store, clock, caller, federation, number, roles=READERS_OF_LABELS)
    with store.reading() as tx:
        require_contribution(tx, caller, round_)
    return round_


def require_contribution(tx: Transaction, caller: Caller, round_: Round) -> None:
    """Raise Forbidden where the caller's token ended meanwhile, or only contributors may read and the caller is none."""
    federation = federation_for(tx, caller, round_.federation, READERS_OF_LABELS)
    if not federation.terms.contributors_only or caller.role is not Role.PARTICIPANT or caller.participant is None:
        return
    if tx.submissions.sealed(round_, caller.participant) is None:
        raise Forbidden(
            f"Federation {federation.name} gives what came of a round only to those who sealed a submission "
            f"in it; {caller.participant.name} did not in round {round_.number}."
        )


def may_see(caller: Caller, participant: str) -> bool:
    """Whether the caller may see what became of a participant's answers: operators of all, others of their own."""
    return caller.role is Role.OPERATOR or (caller.participant is not None and caller.participant.name == participant)


def fates_by_prompt(tx: Transaction, round_: Round) -> Iterator[tuple[str, tuple[AnswerFate, ...]]]:
    """(prompt_id, what became of its answers) of a published round, some hundred prompts at a time."""
    after = ""
    while rows := tx.labels.fates(round_, after=after, limit=CHUNK_PROMPTS):
        yield from rows
        after = rows[-1][0]


def fates_of(tx: Transaction, round_: Round) -> Iterator[AnswerFate]:
    """What became of each answer of a published round."""
    return chain.from_iterable(fates for _, fates in fates_by_prompt(tx, round_))


def unknown_prompt(federation: str, prompt_id: str) -> UnknownPrompt:
    """For who asks about one prompt of a published round."""
    return UnknownPrompt(
        f"Prompt {prompt_id} is not in the prompt set of federation {federation}.",
        remedy="Name a prompt of that set: each pseudo-label of the round has the prompt_id of its own.",
    )
