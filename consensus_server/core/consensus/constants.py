"""The numbers that made a decision, beside those that stand in its policy; a round's card carries them."""

from consensus_server.core.consensus import (
    background,
    clustering,
    confidence,
    guards,
    redundancy,
    repetition,
    support,
    word_order,
)
from consensus_server.core.consensus.pools import Policy
from consensus_server.core.consensus.rounding import DECIMALS
from consensus_server.core.consensus.rules import rule_named


def deciding_constants(policy: Policy) -> dict[str, float]:
    """By name; only those that the policy makes use of."""
    found: dict[str, int | float] = {
        "score_decimals": DECIMALS,
        "full_matrix_answers": clustering.FULL_MATRIX_ANSWERS,
    }
    if policy.confidence in {"agreement", "trusted_similarity"}:
        found["trust"] = confidence.TRUST
    if rule_named(policy.rule).round_wide or policy.guards:
        found |= {
            "scale_cosine": support.SCALE_COSINE,
            "scale_words": support.SCALE_WORDS,
            "scale_wording": support.SCALE_WORDING,
            "long_chars": redundancy.LONG_CHARS,
        }
        if policy.length_penalty:
            found |= {"shrink_length": support.SHRINK_LENGTH}
        if policy.reliability:
            found |= {
                "beta": support.BETA,
                "lambda": support.LAMBDA,
                "shrink": support.SHRINK,
                "voices": support.VOICES,
                "most_reliability": support.MOST_RELIABILITY,
                "carried_prompts": background.CARRIED_PROMPTS,
            }
            if policy.guards:
                found |= {
                    "shared_out_from": support.SHARED_OUT[0],
                    "shared_out_to": support.SHARED_OUT[1],
                    "clearly_central": support.CLEARLY_CENTRAL,
                }
    if policy.guards:
        found |= _guarding()
    return {name: float(value) for name, value in found.items()}


def _guarding() -> dict[str, int | float]:
    return {
        "least_printable": guards.LEAST_PRINTABLE,
        "least_relevance": guards.LEAST_RELEVANCE,
        "relevance_of_second": guards.RELEVANCE_OF_SECOND,
        "floor_of_second": guards.FLOOR_OF_SECOND,
        "likeness_of_topical": guards.LIKENESS_OF_TOPICAL,
        "most_repetition": guards.MOST_REPETITION,
        "repetition_unit_chars": repetition.UNIT_CHARS,
        "repetition_prompts": repetition.RECURS_IN,
        "repetition_prompt_share": repetition.RECURS_IN_SHARE,
        "least_order": guards.LEAST_ORDER,
        "least_order_pairs": word_order.LEAST_PAIRS,
        "order_read_words": word_order.READ_WORDS,
        "redundant_f1_from": redundancy.REDUNDANT_F1[0],
        "redundant_f1_to": redundancy.REDUNDANT_F1[1],
        "redundant_pair_from": redundancy.REDUNDANT_PAIR[0],
        "redundant_pair_to": redundancy.REDUNDANT_PAIR[1],
        "copy_cosine": redundancy.COPY_COSINE,
        "pair_prompts": redundancy.PAIR_PROMPTS,
        "over_long_factor": redundancy.OVER_LONG_FACTOR,
        "over_long_chars": redundancy.OVER_LONG_CHARS,
    }
