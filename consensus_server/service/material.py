"""What a round is decided from, read from the store."""

from dataclasses import replace

from consensus_server.core.consensus.answers.gates import ANSWER_GATES
from consensus_server.core.consensus.records import Policy
from consensus_server.core.federations import Federation
from consensus_server.core.rounds import Round
from consensus_server.ports import Transaction
from consensus_server.service.deciding import Material, reputations_before
from consensus_server.service.prompt_sets import manifest_for


def load_material(
    tx: Transaction, federation: Federation, round_: Round, policy: Policy, exempt: frozenset[tuple[str, str]]
) -> Material:
    """exempt: (participant, gate) of upheld appeals; where the policy does not guard, those count that every round asks."""
    digest = federation.terms.prompt_set
    known = reputations_before(tx.reliabilities.before(federation, round_.number), round_.number, policy)
    return Material(
        prompts=tx.prompt_sets.prompts(digest),
        equivalence=manifest_for(tx, digest).equivalence,
        answers=tuple(tx.submissions.pooled(round_)),
        submissions=round_.attendance.sealed,
        earlier=replace(known, exempt=frozenset(each for each in exempt if policy.guards or each[1] in ANSWER_GATES)),
    )
