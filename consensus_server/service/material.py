"""What a round is decided from, read from the store."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from consensus_server.core.consensus.answers.gates import ANSWER_GATES
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.federations import Federation, Prompt
from consensus_server.core.rounds import Round
from consensus_server.ports import PooledAnswer, SealedSubmission, Transaction
from consensus_server.service.contradictions import BY_WORDS, Comparisons
from consensus_server.service.deciding import Material, reputations_before
from consensus_server.service.prompt_sets import manifest_for
from consensus_server.service.second_hand import (
    FirstHand,
    Teachings,
    differs_under,
    excludes,
    first_hand,
    teachings,
)


def _decided_as(seals: Mapping[str, SealedSubmission], number: int) -> int:
    """The round whose reputations count: where all answers are those of one earlier round that one, so that labels stay the same."""
    given_in = {number if seal.carried_from is None else seal.carried_from for seal in seals.values()}
    return given_in.pop() if len(given_in) == 1 else number


@dataclass(frozen=True, slots=True)
class Held:
    """What the store holds of a round. It is read in one transaction, and no model is asked meanwhile."""

    prompts: tuple[Prompt, ...]
    equivalence: str
    answers: tuple[PooledAnswer, ...]
    seals: Mapping[str, SealedSubmission]
    known: Teachings
    submissions: int
    earlier: EarlierRounds


def read_held(
    tx: Transaction, federation: Federation, round_: Round, policy: Policy, exempt: frozenset[tuple[str, str]]
) -> Held:
    """exempt: (participant, gate) of upheld appeals; where the policy does not guard, those count that every round asks."""
    digest = federation.terms.prompt_set
    seals = tx.submissions.seals(round_)
    taught = {who: seal.taught_through for who, seal in seals.items() if seal.taught_through}
    as_of = _decided_as(seals, round_.number)
    reputations = reputations_before(tx.reliabilities.before(federation, as_of), as_of, policy)
    return Held(
        prompts=tx.prompt_sets.prompts(digest),
        equivalence=manifest_for(tx, digest).equivalence,
        answers=tuple(tx.submissions.pooled(round_)),
        seals=seals,
        known=teachings(tx, federation, round_, taught if excludes(policy) else {}),
        submissions=round_.attendance.sealed,
        earlier=replace(
            reputations, exempt=frozenset(each for each in exempt if policy.guards or each[1] in ANSWER_GATES)
        ),
    )


def material_of(held: Held, policy: Policy, comparisons: Comparisons = BY_WORDS) -> Material:
    """What a round is decided from. policy: the one that it was read for. Raises ComparisonFailed."""
    heard = FirstHand(held.answers)
    if excludes(policy):
        differs = differs_under(policy, held.equivalence, comparisons)
        heard = first_hand(held.prompts, held.answers, held.known, differs)
    return Material(
        prompts=held.prompts,
        equivalence=held.equivalence,
        answers=heard.answers,
        set_aside=heard.set_aside,
        stands_in=heard.stands_in,
        # Where only first-hand answers count, and what contradicts the labels that were taught, all in the pools are such.
        taught=frozenset(who for who, seal in held.seals.items() if seal.taught_through and not excludes(policy)),
        carried=frozenset(who for who, seal in held.seals.items() if seal.carried_from is not None),
        submissions=held.submissions,
        earlier=held.earlier,
    )
