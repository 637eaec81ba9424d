import numpy as np
import pytest

from consensus_server.evaluation import figures


def test_the_effect_of_length_is_found_beside_those_of_models_and_prompts():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 9)) + rng.normal(size=9)
    y = 0.3 * x + rng.normal(size=(60, 1)) + 5 * rng.normal(size=9) + 0.01 * rng.normal(size=(60, 9))
    y[rng.random(y.shape) < 0.1] = np.nan
    assert figures.length_effect(y, x) == pytest.approx(0.3, abs=0.005)
    assert figures.length_effect(np.full((3, 2), np.nan), np.ones((3, 2))) == 0


def test_an_interval_over_panels_and_prompts_is_wider_than_over_either():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(40, 1)) + rng.normal(size=(1, 50))
    low, high = figures.two_way_interval(values, 7)
    spread = (high - low) / (2 * 1.96)
    assert spread == pytest.approx(np.sqrt(values.mean(1).var() / 40 + values.mean(0).var() / 50), rel=0.15)
    assert figures.two_way_interval(np.full((2, 2), np.nan), 7) == (None, None)


def test_confidence_is_measured_on_labels_with_a_judgement():
    confidence, quality = np.array([[0.9, 0.8, 0.1, np.nan]]), np.array([[1.0, 0.2, 0.1, 1.0]])
    assert figures.auroc(confidence, quality) == 1
    assert figures.auroc(confidence, np.ones((1, 4))) is None
    assert figures.top_half(list(confidence), list(quality)) == pytest.approx(0.6)


def test_confidence_is_ranked_with_graded_worth():
    confidence, worth = np.array([[0.9, 0.8, 0.1, np.nan]]), np.array([[0.4, 0.3, 0.1, 1.0]])
    assert (figures.auroc(confidence, worth), figures.rank_correlation(confidence, worth)) == (None, pytest.approx(1))
    assert figures.rank_correlation(confidence, -worth) == pytest.approx(-1)
    assert figures.rank_correlation(confidence, np.ones((1, 4))) is None
    assert figures.best_of_rows(np.array([[0.1, np.nan], [np.nan, np.nan]])).tolist() == pytest.approx(
        [0.1, np.nan], nan_ok=True
    )


def test_labels_of_one_confidence_count_alike_whatever_their_order():
    quality = np.array([1.0, 1, 1, 0, 0, 0])
    for order in (quality, quality[::-1]):
        assert figures.top_half([np.full(6, 0.5)], [order]) == 0.5
        assert {value for _, value in figures.risk_coverage(np.full(6, 0.5), order)} == {0.5}
    surer = np.array([0.9, 0.5, 0.5, 0.5, 0.5])
    assert figures.top_half([surer], [np.array([1.0, 1, 0, 0, 1])]) == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert figures.risk_coverage(np.full(2, np.nan), np.ones(2)) == []
