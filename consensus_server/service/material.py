"""What a round is decided from, read from the store."""

from collections.abc import Mapping
from dataclasses import replace

from consensus_server.core.consensus.answers.gates import ANSWER_GATES
from consensus_server.core.consensus.records import Policy
from consensus_server.core.federations import Federation
from consensus_server.core.rounds import Round
from consensus_server.ports import SealedSubmission, Transaction
from consensus_server.service.deciding import Material, reputations_before
from consensus_server.service.prompt_sets import manifest_for
from consensus_server.service.second_hand import FirstHand, differs_under, excludes, first_hand


def _decided_as(seals: Mapping[str, SealedSubmission], number: int) -> int:
    """The round whose reputations count: where all answers are those of one earlier round that one, so that labels stay the same."""
    given_in = {number if seal.carried_from is None else seal.carried_from for seal in seals.values()}
    return given_in.pop() if len(given_in) == 1 else number


def load_material(
    tx: Transaction, federation: Federation, round_: Round, policy: Policy, exempt: frozenset[tuple[str, str]]
) -> Material:
    """exempt: (participant, gate) of upheld appeals; where the policy does not guard, those count that every round asks."""
    digest = federation.terms.prompt_set
    prompts, equivalence = tx.prompt_sets.prompts(digest), manifest_for(tx, digest).equivalence
    seals = tx.submissions.seals(round_)
    taught = {who: seal.taught_through for who, seal in seals.items() if seal.taught_through}
    heard = FirstHand(tuple(tx.submissions.pooled(round_)))
    if excludes(policy):
        heard = first_hand(tx, federation, round_, prompts, heard.answers, taught, differs_under(policy, equivalence))
    as_of = _decided_as(seals, round_.number)
    known = reputations_before(tx.reliabilities.before(federation, as_of), as_of, policy)
    return Material(
        prompts=prompts,
        equivalence=equivalence,
        answers=heard.answers,
        set_aside=heard.set_aside,
        stands_in=heard.stands_in,
        # Where only first-hand answers count, and what contradicts the labels that were taught, all in the pools are such.
        taught=frozenset() if excludes(policy) else frozenset(taught),
        carried=frozenset(who for who, seal in seals.items() if seal.carried_from is not None),
        submissions=round_.attendance.sealed,
        earlier=replace(known, exempt=frozenset(each for each in exempt if policy.guards or each[1] in ANSWER_GATES)),
    )
