"""Metrics: the same numbers as scikit-learn, honest about unreadable answers, with repeatable intervals."""

import doctest
from unittest.mock import patch

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from crm_dedup_plugin.evaluation import metrics
from crm_dedup_plugin.evaluation.metrics import COLUMNS, UNREADABLE, answer_quality, evaluate, evaluate_pairs
from crm_dedup_plugin.pair.answer import LABELS, dump

QUICK = settings()
SLOW = settings(max_examples=30, deadline=None)
few_resamples = patch.object(metrics, "RESAMPLES", 40)  # enough where only the values are compared

golds = st.sampled_from(LABELS)
predictions = st.sampled_from((*LABELS, None))
pairs = st.lists(st.tuples(golds, predictions), min_size=1, max_size=40)
matches = st.lists(st.tuples(st.integers(0, 1), predictions), min_size=1, max_size=40)
SKEWED = [("DUPLICATE", "DUPLICATE")] * 30 + [("NO_MATCH", "DUPLICATE"), ("POSSIBLE", None)]
INTERVALS = ("accuracy", "macro_f1", *(f"{name}_{label.lower()}" for name in ("precision", "recall", "f1") for label in LABELS))


def columns(rows):
    return tuple(map(list, zip(*rows, strict=True)))


def readable(predicted):
    return [p or UNREADABLE for p in predicted]


def assert_intervals(result, names):
    for name in names:
        assert 0 <= result[name]["low"] <= result[name]["value"] <= result[name]["high"] <= 1, (name, result[name])


@QUICK
@given(pairs)
@example(SKEWED)
@example([("DUPLICATE", None)])
def test_the_values_are_those_of_scikit_learn(rows):
    gold, predicted = columns(rows)
    with few_resamples:
        result = evaluate(gold, predicted)
    names = readable(predicted)
    assert result["pairs"] == len(rows)
    assert result["accuracy"]["value"] == pytest.approx(accuracy_score(gold, names))
    table = precision_recall_fscore_support(gold, names, labels=LABELS, zero_division=0)
    for name, expected in zip(("precision", "recall", "f1"), table[:3], strict=True):
        assert [result[f"{name}_{label.lower()}"]["value"] for label in LABELS] == pytest.approx(list(expected))
    seen = [label for label in LABELS if label in gold or label in predicted]
    assert result["macro_f1"]["value"] == pytest.approx(f1_score(gold, names, labels=seen, average="macro", zero_division=0))
    matrix = confusion_matrix(gold, names, labels=COLUMNS)
    assert [[result["confusion"][g][p] for p in COLUMNS] for g in LABELS] == matrix[: len(LABELS)].tolist()


@QUICK
@given(matches)
@example([(1, "POSSIBLE"), (0, None)])
@example([(0, "NO_MATCH")])
def test_the_values_of_two_way_pairs_are_those_of_scikit_learn(rows):
    match, predicted = columns(rows)
    with few_resamples:
        result = evaluate_pairs(match, predicted)
    called = [int(p == "DUPLICATE") for p in predicted]
    expected = precision_recall_fscore_support(match, called, labels=[1], average="binary", zero_division=0)
    assert [result[name]["value"] for name in ("precision", "recall", "f1")] == pytest.approx(list(expected[:3]))
    decided = [(m, c) for m, c, p in zip(match, called, predicted, strict=True) if p in ("DUPLICATE", "NO_MATCH")]
    assert result["coverage"]["value"] == pytest.approx(len(decided) / len(rows))
    assert result["decided_f1"]["value"] == pytest.approx(f1_score(*columns(decided), zero_division=0) if decided else 0)
    assert result["pairs"] == sum(sum(row.values()) for row in result["confusion"].values()) == len(rows)


def test_macro_f1_averages_only_the_decisions_that_occur():
    assert evaluate(["DUPLICATE"] * 2, ["DUPLICATE"] * 2)["macro_f1"]["value"] == 1
    assert evaluate(["DUPLICATE"] * 2, ["DUPLICATE", None])["macro_f1"]["value"] == pytest.approx(2 / 3)
    assert evaluate(["DUPLICATE"] * 2, ["DUPLICATE", "POSSIBLE"])["macro_f1"]["value"] == pytest.approx(1 / 3)
    assert evaluate(["DUPLICATE", "NO_MATCH"], ["DUPLICATE"] * 2)["macro_f1"]["value"] == pytest.approx(1 / 3)


@SLOW
@given(pairs, matches, st.integers(0, 2**32))
@example(SKEWED, [(1, "DUPLICATE"), (0, "POSSIBLE")], 7)
def test_an_interval_contains_its_value_and_can_be_repeated(rows, two_way, seed):
    result = evaluate(*columns(rows), seed=seed)
    assert_intervals(result, INTERVALS)
    assert evaluate(*columns(rows), seed=seed) == result
    assert_intervals(evaluate_pairs(*columns(two_way), seed=seed), ("precision", "recall", "f1", "coverage", "decided_f1"))


def test_an_interval_is_as_wide_as_theory_says():
    gold, predicted = ["DUPLICATE"] * 400, ["DUPLICATE"] * 320 + ["NO_MATCH"] * 80
    found = evaluate(gold, predicted)["accuracy"]
    assert (found["low"], found["value"], found["high"]) == pytest.approx((0.8 - 1.96 * 0.02, 0.8, 0.8 + 1.96 * 0.02), abs=0.008)
    assert evaluate(gold, gold)["accuracy"] == {"value": 1, "low": 1, "high": 1}


def test_another_seed_changes_the_interval_but_not_the_value():
    gold, predicted = columns(SKEWED * 7)
    one, other = (evaluate(gold, predicted, seed=seed) for seed in (1, 2))
    assert all(one[name]["value"] == other[name]["value"] for name in INTERVALS)
    assert one != other


@QUICK
@given(pairs, st.data())
def test_one_planted_error_lowers_the_accuracy_by_one_pair(rows, data):
    gold, predicted = columns(rows)
    at = data.draw(st.integers(0, len(rows) - 1))
    right = [*predicted[:at], gold[at], *predicted[at + 1 :]]
    wrong = [*predicted[:at], data.draw(predictions.filter(lambda p: p != gold[at])), *predicted[at + 1 :]]
    with few_resamples:
        before, after = evaluate(gold, right), evaluate(gold, wrong)
    assert before["accuracy"]["value"] - after["accuracy"]["value"] == pytest.approx(1 / len(rows))
    assert after[f"recall_{gold[at].lower()}"]["value"] < before[f"recall_{gold[at].lower()}"]["value"]
    assert after["confusion"][gold[at]][wrong[at] or UNREADABLE] == before["confusion"][gold[at]][wrong[at] or UNREADABLE] + 1


@QUICK
@given(pairs, st.data())
def test_a_slice_is_measured_as_if_it_stood_alone(rows, data):
    slices = data.draw(st.lists(st.sampled_from(("a", "b", None)), min_size=len(rows), max_size=len(rows)))
    assume("a" in slices)
    with few_resamples:
        found = evaluate(*columns(rows), slices=slices)["slices"]
        alone = evaluate(*columns([row for row, name in zip(rows, slices, strict=True) if name == "a"]))
    assert set(found) == set(slices) - {None}
    assert found["a"] == {name: alone[name] for name in ("pairs", "accuracy", "macro_f1")}


def test_in_the_mean_over_files_a_small_file_counts_as_much_as_a_large_one():
    match, predicted = [1] * 40 + [0] * 40 + [1] * 2, ["DUPLICATE"] * 40 + ["NO_MATCH"] * 40 + ["NO_MATCH"] * 2
    slices = ["large"] * 80 + ["small"] * 2
    found = evaluate_pairs(match, predicted, slices)
    assert found["f1"]["value"] > 0.97
    assert found["mean_f1"] == {"value": 0.5, "low": 0.5, "high": 0.5} and metrics.mean_f1(match, predicted, slices) == 0.5
    assert {name: (part["pairs"], part["f1"]["value"]) for name, part in found["slices"].items()} == {"large": (80, 1), "small": (2, 0)}
    assert "mean_f1" not in evaluate_pairs(match, predicted)


@SLOW
@given(matches, st.data())
def test_the_interval_of_the_mean_contains_it(rows, data):
    slices = data.draw(st.lists(st.sampled_from("ab"), min_size=len(rows), max_size=len(rows)))
    with few_resamples:
        found = evaluate_pairs(*columns(rows), slices)
    assert_intervals(found, ("mean_f1",))
    assert found["mean_f1"]["value"] == pytest.approx(sum(part["f1"]["value"] for part in found["slices"].values()) / len(set(slices)))


def test_a_rate_is_a_share_with_its_interval():
    found = metrics.rate([True] * 80 + [False] * 320)
    assert (found["low"], found["value"], found["high"]) == pytest.approx((0.2 - 1.96 * 0.02, 0.2, 0.2 + 1.96 * 0.02), abs=0.008)
    assert metrics.rate([False] * 9) == {"value": 0, "low": 0, "high": 0}
    assert metrics.rate([]) is None


@pytest.mark.parametrize("slices", [["a"], ["a"] * 3, [], [None]], ids=str)
def test_slices_of_another_length_are_refused(slices):
    with pytest.raises(ValueError):
        evaluate(["DUPLICATE"] * 2, ["DUPLICATE"] * 2, slices=slices)


@QUICK
@given(st.lists(st.sampled_from(("valid", "truncated", "invalid")), max_size=20))
def test_truncated_and_invalid_answers_are_counted_apart(kinds):
    good = dump("DUPLICATE", "same e-mail")
    texts = {"valid": good, "truncated": good[:-5], "invalid": good.lower()}
    expected = {name: kinds.count(kind) / max(1, len(kinds)) for name, kind in (("valid_json", "valid"), ("truncated", "truncated"))}
    assert answer_quality([texts[kind] for kind in kinds]) == pytest.approx(expected)


BAD_LISTS = {
    "no pairs": ([], [], "0 gold labels and 0 predictions"),
    "a prediction missing": (["DUPLICATE"] * 2, ["DUPLICATE"], "2 gold labels and 1 predictions"),
    "no gold label": ([None], ["DUPLICATE"], "unknown labels .'None'"),
    "an unknown gold label": (["SAME"], ["DUPLICATE"], "unknown labels .'SAME'.*DUPLICATE, POSSIBLE, NO_MATCH"),
    "an unknown prediction": (["DUPLICATE"], ["duplicate"], "unknown labels .'duplicate'"),
    "an empty prediction": (["DUPLICATE"], [""], "unknown labels"),
}


@pytest.mark.parametrize(("gold", "predicted", "message"), BAD_LISTS.values(), ids=BAD_LISTS.keys())
def test_lists_that_cannot_be_compared_are_refused(gold, predicted, message):
    with pytest.raises(ValueError, match=message):
        evaluate(gold, predicted)


@pytest.mark.parametrize(("match", "predicted"), [([2], [None]), (["1"], [None]), ([], []), ([1, 0], ["DUPLICATE"]), ([1], ["SAME"])])
def test_two_way_lists_that_cannot_be_compared_are_refused(match, predicted):
    with pytest.raises(ValueError):
        evaluate_pairs(match, predicted)


def test_the_example_in_the_documentation_holds():
    assert doctest.testmod(metrics) == (0, 2)
