"""A round under a policy that carries a calibration: what is published is the estimated probability."""

import json

import pytest
from typer.testing import CliRunner

from client_kit import wire
from client_kit.client import ConsensusClient
from client_kit.errors import ValidationFailed
from consensus_server import cli

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


@pytest.fixture
def published(live, new_arena):
    """p1: all but one say the same. p2: two of four, a share of 1/2, less than the least score."""
    plain = {"rule": "cluster_medoid", "guards": False, "reliability": False}
    policy = plain | {"confidence": "dominant_share", "calibration": CALIBRATION}
    arena = new_arena(live, participants=("anna", "bert", "cleo", "dora"), policy=policy)
    arena.publish(
        {
            "anna": answers("yes", "blue"),
            "bert": answers("yes", "blue"),
            "cleo": answers("yes", "7,153"),
            "dora": answers("yes", "zzz qqq"),
        }
    )
    return arena


@pytest.fixture
def what_if(published, live, monkeypatch):
    """`consensus-server round what-if` with these changes."""
    monkeypatch.setenv("CONSENSUS_DATA_DIR", str(live.server.settings.data_dir))

    def invoke(*changes, expect=0):
        words = [word for change in changes for word in ("--set", change)]
        result = CliRunner().invoke(cli.app, ["round", "what-if", published.name, "1", *words])
        assert result.exit_code == expect, result.output
        return result.output

    return invoke


def test_confidence_is_the_calibrated_one_and_doubtful_labels_are_withheld(published):
    arena = published
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


def test_the_round_can_be_asked_what_it_were_without_its_calibration(published, live, what_if):
    """p2 is no longer withheld."""
    assert "1 gain a label" in what_if("calibration=null")
    assert "1 gain a label" in what_if("calibration=null", "confidence=semantic_entropy")
    with ConsensusClient(live.url, live.operator_token, federation=published.name) as operator:
        plain = operator.federation().policy.model_copy(update={"calibration": None})
        assert operator.what_if(1, plain).gained == 1


def test_the_round_can_be_asked_what_it_were_with_another_calibration(what_if, tmp_path):
    file = tmp_path / "calibration.json"
    file.write_text(json.dumps({"calibration": CALIBRATION | {"least_score": 0.4}}), encoding="utf-8")
    assert "1 gain a label" in what_if(f"calibration={file}")
    file.write_text("{}", encoding="utf-8")
    assert "is not a calibration file" in what_if(f"calibration={file}", expect=4)
    assert "--set calibration=null" in what_if("calibration=", expect=2)


def test_another_confidence_alone_is_told_that_the_calibration_goes(published, live, what_if):
    said = what_if("confidence=semantic_entropy", expect=2)
    assert "fitted to the confidence 'dominant_share'" in said
    assert "--set calibration=null" in said
    assert "Fields are" not in said
    with ConsensusClient(live.url, live.operator_token, federation=published.name) as operator:
        policy = operator.federation().policy.model_copy(update={"confidence": "semantic_entropy"})
        with pytest.raises(ValidationFailed, match="leave the calibration out"):
            operator.what_if(1, policy)
