"""A round under a policy that carries a calibration: what is published is the estimated probability."""

import pytest

from client_kit import wire

CALIBRATION = {
    "method": "dominant_share",
    "scores": [0.0, 0.5, 1.0],
    "probabilities": [0.1, 0.3, 0.9],
    "least_score": 0.6,
}


def answers(three_agree_on, two_agree_on):
    """Rows of a participant for p1 and p2."""
    return [
        {"prompt_id": "p1", "sample": 0, "text": three_agree_on},
        {"prompt_id": "p2", "sample": 0, "text": two_agree_on},
    ]


def test_confidence_is_the_calibrated_one_and_doubtful_labels_are_withheld(live, new_arena):
    """p1: all three say the same, a share of 1. p2: two of four, a share of 1/2, less than the least score."""
    policy = {"rule": "cluster_medoid", "guards": False, "reliability": False, "calibration": CALIBRATION}
    arena = new_arena(live, participants=("anna", "bert", "cleo", "dora"), policy=policy)
    arena.publish(
        {
            "anna": answers("yes", "blue"),
            "bert": answers("yes", "blue"),
            "cleo": answers("yes", "7,153"),
            "dora": answers("yes", "zzz qqq"),
        }
    )
    body = arena.as_("anna").get(f"{arena.round}/pseudo-labels").json()
    labels = {each.prompt_id: each for each in wire.PseudoLabelPage.model_validate(body).items}
    assert (labels["p1"].text, labels["p1"].confidence) == ("yes", pytest.approx(0.9))
    assert labels["p1"].confidence_method == "dominant_share, calibrated"
    assert (labels["p2"].text, labels["p2"].abstention) == (None, "low_confidence")
    assert labels["p2"].share == pytest.approx(0.5)
    card = wire.RoundCard.model_validate(arena.operator.get(f"{arena.round}/card").json())
    assert card.policy.calibration is not None
    assert card.policy.calibration.least_score == 0.6
    assert card.counts.abstentions["low_confidence"] == 1
    same = arena.operator.post(f"{arena.round}/what-if", json=card.policy.model_dump(mode="json"))
    assert wire.WhatIf.model_validate(same.json()).changes == []
