"""What has equal names on the wire and in the core is handed over as it is, so the names must be equal."""

from dataclasses import fields

import pytest

from client_kit import wire
from consensus_server.core import federations, parameters, privacy, pulling
from consensus_server.core.consensus.records import Calibration, Policy
from consensus_server.http_api import translate

PAIRS = [
    (wire.ConsensusPolicy, Policy),
    (wire.Calibration, Calibration),
    (wire.AnswerPolicy, federations.AnswerPolicy),
    (wire.ParameterPlan, parameters.ParameterPlan),
    (wire.TensorSpec, parameters.TensorSpec),
    (wire.Manifest, federations.Manifest),
    (wire.Prompt, federations.Prompt),
    (wire.PrivacyStatement, privacy.PrivacyStatement),
    (wire.Endpoint, pulling.Endpoint),
]


@pytest.mark.parametrize(("message", "record"), PAIRS, ids=lambda kind: kind.__name__)
def test_a_request_and_its_record_have_the_same_fields(message, record):
    assert {field.name for field in fields(record)} == set(message.model_fields)


def test_the_terms_of_a_federation_keep_every_field_in_both_directions():
    asked = wire.FederationCreate(
        federation="clinics",
        prompt_set="a" * 64,
        policy=wire.ConsensusPolicy(
            rule="medoid",
            calibration=wire.Calibration(method="agreement", scores=[0.1, 0.9], probabilities=[0.2, 0.7]),
        ),
        answers=wire.AnswerPolicy(truncated="drop", refusals="drop"),
        quorum=3,
        round_seconds=60,
        samples_per_prompt=4,
        max_answer_chars=99,
        contributors_only=True,
        parameters=wire.ParameterPlan(
            method="fedit", base_model="b" * 64, tensors=[{"name": "q.lora_A", "shape": ["r", 8]}]
        ),
        requires_training_rights=True,
    )
    terms = translate.terms(asked)
    assert terms.policy.calibration.scores == (0.1, 0.9)
    assert terms.parameters.tensors[0].shape == ("r", 8)
    kept = federations.Federation(id=1, terms=terms, encoder="c" * 64, created_at="2026-01-01T00:00:00Z")
    assert (
        wire.FederationCreate(
            **translate.federation(kept).model_dump(
                exclude={"encoder", "created_at", "refusals_told_by", "retired_clusterer"}
            )
        )
        == asked
    )
