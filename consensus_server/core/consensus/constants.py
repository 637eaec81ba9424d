"""The numbers that made a decision, beside those that stand in its policy; a round's card carries them."""

from client_kit.vocabulary import DecideBy
from consensus_server.core.consensus import confidence, evidence
from consensus_server.core.consensus.answers.pairs import FULL_MATRIX_ANSWERS
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.round import earlier, other_questions, redundancy, standing, trust, usual
from consensus_server.core.consensus.round.gates import GATES
from consensus_server.core.consensus.rounding import DECIMALS
from consensus_server.core.consensus.rules import rule_named


def deciding_constants(policy: Policy) -> dict[str, float]:
    """By name; only those that the policy makes use of."""
    found: dict[str, int | float] = {"score_decimals": DECIMALS, "full_matrix_answers": FULL_MATRIX_ANSWERS}
    if policy.confidence in {"agreement", "trusted_similarity"}:
        found["trust"] = confidence.TRUST
    if rule_named(policy.rule).round_wide or policy.guards:
        found |= _standing(policy)
    if policy.guards:
        found |= _guarding()
    if policy.decide_by == DecideBy.EVIDENCE:
        found |= _evidence(policy)
    return {name: float(value) for name, value in found.items()}


def _standing(policy: Policy) -> dict[str, int | float]:
    found: dict[str, int | float] = {
        "scale_cosine": standing.SCALE_COSINE,
        "scale_words": standing.SCALE_WORDS,
        "scale_wording": standing.SCALE_WORDING,
    }
    if policy.length_penalty:
        found["shrink_length"] = standing.SHRINK_LENGTH
    if policy.reliability:
        found |= {
            "beta": trust.BETA,
            "lambda": trust.LAMBDA,
            "shrink": trust.SHRINK,
            "half_telling_votes": trust.HALF_TELLING_VOTES,
            "most_reliability": trust.MOST_RELIABILITY,
            "reputation_prompts": earlier.REPUTATION_PROMPTS,
        }
    if policy.reliability and policy.guards:
        found |= {
            "shared_by_from": trust.SHARED_BY[0],
            "shared_by_to": trust.SHARED_BY[1],
            "clearly_central": trust.CLEARLY_CENTRAL,
        }
    return found


def _evidence(policy: Policy) -> dict[str, int | float]:
    found: dict[str, int | float] = {"corroborated_from": evidence.CORROBORATED_FROM}
    if policy.guards:
        found |= {
            "same_text": other_questions.SAME_TEXT,
            "sure_from": other_questions.SURE_FROM,
            "nearer_by": other_questions.NEARER_BY,
            "near_from": other_questions.NEAR_FROM,
            "compared_texts": other_questions.COMPARED,
        }
    return found


def _guarding() -> dict[str, int | float]:
    of_gates = {name: value for gate in GATES.values() for name, value in gate.constants.items()}
    return of_gates | {
        "redundant_f1_from": redundancy.REDUNDANT_F1[0],
        "redundant_f1_to": redundancy.REDUNDANT_F1[1],
        "redundant_pair_from": redundancy.REDUNDANT_PAIR[0],
        "redundant_pair_to": redundancy.REDUNDANT_PAIR[1],
        "copy_cosine": redundancy.COPY_COSINE,
        "unusual_text_from": redundancy.UNUSUAL_TEXT[0],
        "unusual_text_to": redundancy.UNUSUAL_TEXT[1],
        "unusual_pair_from": redundancy.UNUSUAL_PAIR[0],
        "unusual_pair_to": redundancy.UNUSUAL_PAIR[1],
        "usual_share": usual.LOWER,
        "usual_pairs": usual.FEWEST_PAIRS,
        "pair_prompts": redundancy.PAIR_PROMPTS,
    }
