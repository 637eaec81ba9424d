import pytest
from pydantic import ValidationError

from client_kit.wire import Calibration, ConsensusPolicy

GOOD = {"method": "dominant_share", "scores": [0.2, 0.9], "probabilities": [0.5, 0.5]}


def test_a_policy_carries_a_calibration_of_its_confidence():
    policy = ConsensusPolicy(confidence="dominant_share", calibration=Calibration(**GOOD))
    assert ConsensusPolicy.model_validate_json(policy.model_dump_json()) == policy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [0.9, 0.2]}, "scores must ascend"),
        ({"scores": [0.2, 0.2]}, "scores must ascend"),
        ({"probabilities": [0.6, 0.5]}, "must not fall"),
        ({"scores": [0.2]}, "one entry each"),
        ({"probabilities": [0.5, 1.5]}, "less than or equal to 1"),
        ({"least_score": -0.1}, "greater than or equal to 0"),
        ({"method": "semantic_entropy"}, "fitted to the confidence 'semantic_entropy' and the policy has"),
    ],
)
def test_what_is_no_calibration_is_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        ConsensusPolicy(calibration=GOOD | change, confidence="dominant_share")
