"""Calibration on judged answers: probabilities that hold on prompts held out, and a least score that bounds the risk."""

from dataclasses import replace

import numpy as np
import pytest

from consensus_server.backends.encoders import HashingEncoder
from consensus_server.core.consensus.records import Policy
from consensus_server.evaluation.calibration import (
    CalibrationError,
    calibrate,
    covering_score,
    expected_error,
    least_score,
)
from consensus_server.evaluation.rows import Finding
from consensus_server.evaluation.run import Plan, run


def finding(prompts, seed=0, panels=20, chance=lambda score: score**3):
    """Labels whose chance to be good is another function of their score; a prompt's panels share half of their luck."""
    rng = np.random.default_rng(seed)
    score = rng.random((panels, prompts))
    luck = np.where(rng.random((panels, prompts)) < 0.5, rng.random(prompts), rng.random((panels, prompts)))
    worth = (luck < chance(score)).astype(float)
    return Finding(row=None, policy=Policy(), confidence=score, worth=worth)


def test_probabilities_hold_on_held_out_prompts():
    found = calibrate(finding(400), risk=0.1, seed=7)
    assert found.ece_before > 0.2
    assert found.ece_after < 0.04
    points = found.calibration
    assert np.interp(0.9, points.scores, points.probabilities) == pytest.approx(0.9**3, abs=0.1)
    assert list(points.scores) == sorted(set(points.scores))
    assert list(points.probabilities) == sorted(points.probabilities)
    assert len(points.scores) <= 101
    assert points.method == Policy().confidence


def test_the_risk_on_held_out_prompts_is_bounded_and_costs_coverage():
    found = [calibrate(finding(300, seed), risk=0.1, seed=7) for seed in range(5)]
    assert np.mean([each.risk for each in found]) <= 0.1
    assert all(each.risk_without > 0.4 for each in found)
    assert all(0 < each.coverage < 0.9 for each in found)
    strict = calibrate(finding(300), risk=0.02, seed=7)
    assert strict.calibration.least_score > found[0].calibration.least_score
    assert strict.coverage < found[0].coverage


def test_a_risk_that_so_few_prompts_cannot_show_leaves_only_certain_labels():
    score, good = np.full((1, 9), 0.5), np.ones((1, 9))
    assert least_score(score, good, 0.05) == 1.0
    assert least_score(score, good, 0.2) == 0.0


def test_a_label_that_nobody_judged_lowers_no_risk():
    rng = np.random.default_rng(4)
    score, good = rng.random((1, 200)), (rng.random((1, 200)) < 0.7).astype(float)
    unjudged = np.concatenate([good, np.full_like(good, np.nan)])
    alone = least_score(score, good, 0.2)
    assert least_score(np.concatenate([score, score]), unjudged, 0.2) == alone > 0


def test_equal_input_gives_equal_calibrations_and_unknown_worth_is_left_out():
    known = finding(50)
    more = replace(
        known,
        confidence=np.hstack([known.confidence, np.full((20, 3), 0.5)]),
        worth=np.hstack([known.worth, np.full((20, 3), np.nan)]),
    )
    assert calibrate(known, risk=0.1, seed=7) == calibrate(more, risk=0.1, seed=7)


@pytest.mark.parametrize(
    ("made", "message"), [(finding(4), "4 prompts .* too few"), (finding(20, chance=np.ones_like), "equally good")]
)
def test_what_allows_no_calibration_says_why(made, message):
    with pytest.raises(CalibrationError, match=message):
        calibrate(made, risk=0.1, seed=7)


def test_the_error_of_probabilities():
    good = np.array([1.0, 0.0] * 50)
    assert expected_error(np.full(100, 0.5), good) == pytest.approx(0)
    assert expected_error(np.full(100, 0.9), good) == pytest.approx(0.4)


def test_the_share_of_the_vote_is_calibrated_on_made_questions(made_answers, store):
    plan = Plan(panel_size=8, panels=10, rules=("hybrid",), policy=Policy(confidence="dominant_share", abstain=False))
    found = list(run(made_answers, plan, HashingEncoder(), store, lambda *_: None))[-1]
    shares = np.unique(found.confidence[np.isfinite(found.confidence)])
    assert shares.min() > 0
    assert shares.max() <= 1
    result = calibrate(found, risk=0.2, seed=7)
    assert result.ece_after < result.ece_before
    assert (result.prompts, result.calibration.method) == (60, "dominant_share")


def test_each_kind_of_task_has_a_calibration_of_its_own():
    """What is sure of one kind is not of another, and a fit to both holds for neither."""
    easy, hard = (
        finding(60, seed=1, chance=lambda score: score**0.3),
        finding(60, seed=2, chance=lambda score: score**5),
    )
    both = replace(
        easy,
        confidence=np.hstack([easy.confidence, hard.confidence]),
        worth=np.hstack([easy.worth, hard.worth]),
        kinds=("easy",) * 60 + ("hard",) * 60,
    )
    for kind, own in (("easy", easy), ("hard", hard)):
        fitted = calibrate(both.of_kind(kind), risk=0.1, seed=7)
        assert fitted == calibrate(own, risk=0.1, seed=7)
        assert fitted.calibration != calibrate(both, risk=0.1, seed=7).calibration


def test_a_coverage_that_is_asked_for_is_reached_on_held_out_prompts_and_sure_labels_are_kept():
    asked = {share: calibrate(finding(300), coverage=share, seed=7) for share in (0.3, 0.6, 1.0)}
    for share, found in asked.items():
        assert found.coverage == pytest.approx(share, abs=0.05)
        assert (found.coverage_target, found.risk_target) == (share, None)
    assert asked[0.3].risk < asked[0.6].risk < asked[1.0].risk == pytest.approx(asked[1.0].risk_without)
    assert covering_score(np.array([[0.2, 0.4], [0.6, np.nan]]), 0.5) == 0.4
