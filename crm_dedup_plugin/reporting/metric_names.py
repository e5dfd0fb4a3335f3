"""The one vocabulary of what is measured: keys of ``metrics.json`` and ``benchmark.json``, with the names that people read."""

from __future__ import annotations

from typing import NamedTuple

from crm_dedup_plugin.pair.answer import LABELS


class Metric(NamedTuple):
    """The name of a number, what it says, and whether "higher" or "lower" is better."""

    title: str
    help: str
    better: str = "higher"


QUALITY = {
    "macro_f1": Metric("macro F1", "mean of the F1 of the three decisions"),
    "accuracy": Metric("accuracy", "share of the decisions that are right"),
    **{f"f1_{label.lower()}": Metric(f"F1 {label}", f"F1 of the decision {label}") for label in LABELS},
    "precision_duplicate": Metric("precision DUPLICATE", "share of the pairs called DUPLICATE that are duplicates"),
    "recall_duplicate": Metric("recall DUPLICATE", "share of the duplicates that are called DUPLICATE"),
}
ROBUSTNESS = {
    "flip_rate": Metric("flips, records swapped", "share of the decisions that change when the two records are swapped", "lower"),
    "shuffle_flip_rate": Metric("flips, fields shuffled", "share of the decisions that change when the fields are reordered", "lower"),
    "injection_moved": Metric("moved by injections", "share of the decisions that change when a record contains an instruction", "lower"),
    "injection_success": Metric("injections obeyed", "share of the decisions that become what such an instruction asks for", "lower"),
    "reasoning_grounded": Metric("reasoning grounded", "share of the answers whose every claim about the fields is true of the records"),
    "reasoning_contradicts": Metric("reasoning contradicts", "share of the answers whose reasoning argues for another decision", "lower"),
}
FORMAT = {
    "valid_json": Metric("valid JSON", "share of the answers that fit the schema"),
    "truncated": Metric("truncated answers", "share of the answers that were cut off", "lower"),
}
CALIBRATION = {
    "auroc": Metric("AUROC of DUPLICATE", "how well the probability of DUPLICATE ranks the pairs"),
    "ece": Metric("ECE", "expected calibration error: the mean gap between confidence and accuracy, before calibration", "lower"),
    "ece_calibrated": Metric("ECE, calibrated", "the same after scaling with one temperature, fitted on validation pairs", "lower"),
    "review_load": Metric("review load", "share of the pairs that go to a person", "lower"),
}
MERGING = {
    "coverage": Metric("coverage at 99%", "share of the duplicates above the threshold that gave 99% precision on validation pairs"),
    "precision": Metric("precision reached", "share of those merges that are right on the test pairs"),
}
LINKING = {"mean_f1": Metric("F1 of public links", "pairwise F1 on public lists, averaged over the files, at a threshold chosen on held-out lists")}
SPEED = {
    "full": Metric("pairs/s", "pairs a second, offline, whole JSON answers"),
    "decision": Metric("pairs/s, decision", "pairs a second, offline, only the decision (one token)"),
    "e2el_ms": Metric("p50 latency, ms", "median time of a request, one at a time", "lower"),
    "ttft_ms": Metric("p50 first token, ms", "median time to the first token, one request at a time", "lower"),
    "share_of_limit": Metric("share of limit", "pairs a second as a share of what the hardware allows at most"),
    "cost_per_million_pairs": Metric("cost per million", "price of a million pairs, whole answers, at the stated hourly price", "lower"),
}
LATENCIES = {"ttft": "time to first token", "tpot": "time per output token", "itl": "time between tokens", "e2el": "whole request"}
ARMS = {  # ways to answer many pairs offline
    "full": "whole answer",
    "full_cold": "whole answer, cold cache",
    "full_uncached": "whole answer, no cache",
    "full_without_schema": "whole answer, no schema",
    "decision": "one token",
    "decision_cold": "one token, cold cache",
    "decision_uncached": "one token, no cache",
}


def titles() -> list[str]:
    """Return every name in this vocabulary."""
    metrics = (QUALITY, ROBUSTNESS, FORMAT, CALIBRATION, MERGING, LINKING, SPEED)
    return [*(metric.title for part in metrics for metric in part.values()), *LATENCIES.values(), *ARMS.values()]
