"""Calibration: planted models that are too sure, rightly sure and blind, each found out."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from crm_dedup_plugin.evaluation import calibration
from crm_dedup_plugin.pair.answer import LABELS

DUPLICATE = LABELS.index("DUPLICATE")


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(calibration, "RESAMPLES", 60)


def sample(pairs: int, seed: int, sharpen: float = 1.0) -> tuple[list[str], np.ndarray]:
    """Return labels drawn from honest probabilities, and those probabilities, sharpened after the draw."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2.5, (pairs, 3))
    honest = softmax(logits, axis=1)
    gold = [LABELS[rng.choice(3, p=row)] for row in honest]
    return gold, softmax(logits * sharpen, axis=1)


def measured(sharpen: float = 1.0, pairs: int = 4000, **planted) -> dict:
    return calibration.measure(*sample(pairs, 1, sharpen), *sample(pairs, 2, sharpen), **planted)


def truth(gold: list[str]) -> np.ndarray:
    return np.array([LABELS.index(label) for label in gold])


def assert_interval(number: dict) -> None:
    assert set(number) == {"value", "low", "high"} and number["low"] <= number["value"] <= number["high"], number


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it takes no part
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2))
def test_the_area_under_the_curve_is_that_of_scikit_learn(scored):
    is_duplicate, score = np.array([one for one, _ in scored]), np.array([value for _, value in scored]).round(1)
    found = calibration.auroc(is_duplicate, score)
    if len(set(is_duplicate)) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(is_duplicate, score), abs=1e-12)


def test_a_model_that_is_as_sure_as_it_is_right_needs_no_temperature():
    found = measured()
    assert found["ece"]["value"] < 0.02 and found["ece_calibrated"]["value"] < 0.02
    assert found["temperature"] == pytest.approx(1, abs=0.07)


def test_a_model_that_is_too_sure_is_seen_and_repaired():
    found = measured(sharpen=3)
    assert found["ece"]["value"] > 0.1 > 0.02 > found["ece_calibrated"]["value"]
    assert found["temperature"] == pytest.approx(3, rel=0.07)
    assert found["ece"]["low"] > found["ece_calibrated"]["high"]


def test_every_number_has_its_interval_and_can_be_repeated():
    found = measured(pairs=300)
    for name in ("auroc", "ece", "ece_calibrated", "review_load"):
        assert_interval(found[name])
    assert_interval(found["merge_at_99"]["precision"])
    assert_interval(found["merge_at_99"]["coverage"])
    assert found == measured(pairs=300) != measured(pairs=300, seed=8)
    assert (found["pairs"], found["validation_pairs"]) == (300, 300)


def test_the_error_is_the_gap_to_the_calibration_curve_of_scikit_learn():
    gold, probs = sample(2000, 5, sharpen=2)
    top, right = probs.max(axis=1), probs.argmax(axis=1) == truth(gold)
    accuracy, confidence = calibration_curve(right, top, n_bins=calibration.BINS)
    parts = calibration.reliability(truth(gold), probs)
    assert [part["accuracy"] for part in parts] == pytest.approx(list(accuracy))
    assert [part["confidence"] for part in parts] == pytest.approx(list(confidence))
    assert sum(part["pairs"] for part in parts) == 2000


def test_planted_wrong_merges_lower_the_coverage():
    (gold, probs), (val_gold, val_probs) = sample(2000, 1), sample(2000, 2)
    clean = calibration.measure(gold, probs, val_gold, val_probs)["merge_at_99"]
    planted = list(val_gold)
    for at in np.argsort(-val_probs[:, DUPLICATE])[20:120]:
        planted[at] = "NO_MATCH"
    found = calibration.measure(gold, probs, planted, val_probs)["merge_at_99"]
    assert found["coverage"]["value"] < clean["coverage"]["value"] / 2
    wrong = ["NO_MATCH" if value > 0.9 else label for label, value in zip(gold, probs[:, DUPLICATE], strict=True)]
    assert calibration.measure(wrong, probs, val_gold, val_probs)["merge_at_99"]["precision"]["value"] < 0.5 < clean["precision"]["value"]


def test_where_validation_never_reaches_the_precision_nothing_is_merged():
    gold, probs = sample(300, 1)
    wrong = ["POSSIBLE" if label == "DUPLICATE" else label for label in gold]
    found = calibration.measure(gold, probs, wrong, probs)["merge_at_99"]
    assert found["threshold"] is found["precision"] is found["precision_exact_low"] is None
    assert (found["merged"], found["coverage"]["value"]) == (0, 0)


def test_few_right_merges_do_not_prove_99_percent():
    gold, probs = ["DUPLICATE"] * 8 + ["NO_MATCH"] * 8, np.array([[0.98, 0.01, 0.01]] * 8 + [[0.01, 0.01, 0.98]] * 8)
    found = calibration.measure(gold, probs, gold, probs)["merge_at_99"]
    assert found["precision"] == {"value": 1, "low": 1, "high": 1}
    assert 0.6 < found["precision_exact_low"] < 0.64
    assert (found["merged"], found["coverage"]["value"]) == (8, 1)


def test_equal_scores_are_merged_together_or_not_at_all():
    score, right = np.array([0.9, 0.8, 0.8, 0.8]), np.array([True, True, True, False])
    assert calibration.merge_threshold(right, score, 0.99) == 0.9
    assert calibration.merge_threshold(right, score, 0.75) == 0.8
    assert calibration.merge_threshold(~right, score, 0.99) is None


def test_the_area_under_the_curve_is_undefined_without_both_kinds():
    _, probs = sample(50, 1)
    found = calibration.measure(["DUPLICATE"] * 50, probs, ["DUPLICATE"] * 50, probs)
    assert found["auroc"] is None
    only = calibration.measure(["NO_MATCH"] * 50, probs, ["NO_MATCH"] * 50, probs)
    assert only["auroc"] is only["merge_at_99"]["coverage"] is None
    gold, probs = sample(3000, 1)
    blind = calibration.measure(gold, probs[::-1], gold, probs)
    assert blind["auroc"]["value"] == pytest.approx(0.5, abs=0.04)
    assert calibration.measure(gold, probs, gold, probs)["auroc"]["value"] > 0.85


def test_the_cost_of_merging_counts_wrong_merges_reviews_and_missed_duplicates():
    gold = truth(["DUPLICATE", "NO_MATCH", "POSSIBLE", "DUPLICATE", "NO_MATCH"])
    probs = np.array([[0.9, 0.05, 0.05], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0, 0.1, 0.9]])
    assert calibration.merge_cost(gold, probs, 0.7, ratio=100) == pytest.approx((0 + 100 + 1 + 1 + 0) / 5)
    assert calibration.merge_cost(gold, probs, 0.85, ratio=100) == pytest.approx((0 + 1 + 1 + 1 + 0) / 5)
    assert calibration.merge_cost(gold, probs, None, ratio=100) == pytest.approx((1 + 1 + 1 + 1 + 0) / 5)


def test_dear_wrong_merges_ask_for_a_higher_threshold():
    curves = measured()["merge_cost"]
    limits = [2 if limit is None else limit for limit in curves.pop("threshold")]
    cheapest = {ratio: limits[int(np.argmin(costs))] for ratio, costs in curves.items()}
    assert list(curves) == ["ratio_10", "ratio_100", "ratio_1000"]
    assert cheapest["ratio_10"] < cheapest["ratio_100"] <= cheapest["ratio_1000"]


def test_the_temperature_keeps_the_decision_and_certain_zeros():
    probs = np.array([[1.0, 0.0, 0.0], [0.2, 0.5, 0.3]])
    for temperature in (0.05, 1, 20):
        changed = calibration.scaled(probs, temperature)
        assert np.isfinite(changed).all() and changed.sum(axis=1) == pytest.approx([1, 1])
        assert changed.argmax(axis=1).tolist() == [0, 1]
    assert calibration.scaled(probs, 1) == pytest.approx(probs)


@pytest.mark.parametrize(("gold", "rows"), [([], 0), (["DUPLICATE"], 2), (["DUPLICATE"] * 2, 1)])
def test_labels_and_probabilities_of_unequal_number_are_refused(gold, rows):
    with pytest.raises(ValueError, match="one row of 3 a pair"):
        calibration.measure(gold, np.ones((rows, 3)) / 3, ["DUPLICATE"], np.ones((1, 3)) / 3)
