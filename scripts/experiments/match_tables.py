"""The tables of ``results/matching.json`` and ``results/match_scale.json`` for the documents."""

import json
from pathlib import Path

from tabulate import tabulate

from crm_dedup_plugin.inference import embedded
from crm_dedup_plugin.reporting.tables import precise

# Ours on lists: without any weights, without those of the list's own columns, and with a merge of all that is more likely one entity than not.
ALONE, GENERAL, LIKELY = "model alone", "general weights", "at 0.5"
ON_LISTS = {ALONE: ", alone", GENERAL: ", general weights", LIKELY: ", --threshold 0.5"}
TAKEN = {"before": "nothing", "calibrated": "a calibration"}
WHO = {"ours": "this package", "splink": "Splink 5", "dedupe": "dedupe", "goldenmatch": "GoldenMatch"}


def quality(results: Path) -> str:
    """Return what groups are worth on each set: ours, on lists also with less, and the recommended set-up of each peer."""
    entries = [one for one in json.loads(results.read_text(encoding="utf-8")) if one["variant"] in ("", "recommended") or _less_on_list(one)]
    places = list(dict.fromkeys(one["set"] for one in entries))
    entries.sort(key=lambda one: (places.index(one["set"]), list(WHO).index(one["who"]), ["", "recommended", *ON_LISTS].index(one["variant"])))
    heads = ["set", "records", "who", "precision", "recall", "F1 of pairs", "B-cubed F1", "wrong merges in 1,000", "merged or in review"]
    rows = []
    for one in entries:
        pairs = [precise(one["pairs"][name]) for name in ("precision", "recall", "f1")]
        more = [precise(one["b_cubed"]["f1"]), f"{one['wrong_merges_per_1000']['value']:.1f}", precise(one["merged_or_in_review"])]
        rows.append([one["set"], f"{one['rows']:,}", _who(one), *pairs, *more])
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def answered(results: Path) -> str:
    """Return what weights of evidence and answers are worth on each set that was answered about."""
    entries = [one for one in json.loads(results.read_text(encoding="utf-8")) if one["who"] == "ours"]
    sets, rows = {(one["set"], one["rows"]) for one in entries if "answers" in one}, []
    entries = [one for one in entries if (one["set"], one["rows"]) in sets and one["variant"] != LIKELY]
    for one in sorted(entries, key=lambda one: (one["set"], [*ON_LISTS, one["variant"]].index(one["variant"]), sum(one.get("answers", {}).values()))):
        numbers = [
            precise(one["pairs"]["f1"]),
            f"{one['wrong_merges_per_1000']['value']:.1f}",
            f"{one['in_review']:,}",
            precise(one["merged_or_in_review"]),
        ]
        rows.append([one["set"], one["variant"] or "as it is", TAKEN.get(one.get("taken"), ""), *numbers])
    heads = ["set", "what", "learn takes", "F1 of pairs", "wrong merges in 1,000", "pairs for a person", "merged or in review"]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def _who(one: dict) -> str:
    """Return who made the groups; of ours, which model did where it was not the embedded one, and whether it did so alone."""
    model = Path(one["decide"]["model"]).name if one["who"] == "ours" else embedded.NAME
    told = f" ({model.removesuffix('-merged')}{ON_LISTS.get(one['variant'], '')})" if model != embedded.NAME else ""
    return WHO[one["who"]] + told


def _less_on_list(one: dict) -> bool:
    return one["who"] == "ours" and one["variant"] in ON_LISTS and Path(one["decide"]["model"]).name != embedded.NAME


def blocking(results: Path) -> str:
    """Return how many true pairs are among the candidates of each set, and how many candidates there are."""
    entries = [one for one in json.loads(results.read_text(encoding="utf-8")) if (one["who"] == "ours" and not one["variant"]) or _less_on_list(one)]
    entries = list({one["set"]: one for one in sorted(entries, key=lambda one: one["variant"] not in ON_LISTS)}.values())
    rows = [
        [one["set"], f"{one['rows']:,}", precise(one["blocking"]["completeness"]), f"{one['blocking']['per_record']:.1f}", f"{one['in_review']:,}"]
        for one in entries
    ]
    heads = ["set", "records", "pair completeness", "candidates a record", "pairs for a person"]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def scale(results: Path) -> str:
    """Return what reading and candidates cost by the number of rows."""
    entries = sorted(json.loads(results.read_text(encoding="utf-8")), key=lambda one: (one["rows"], one["crm"]))
    rows = [
        [
            one["crm"],
            f"{one['rows']:,}",
            *(f"{one[stage]['cpu_seconds']:,.0f} s" for stage in ("read", "candidates")),
            f"{one['seconds']:,.0f} s",
            f"{one['load_average']:.1f}",
            f"{max(one[stage]['peak_mb'] for stage in ('read', 'candidates')):,} MB",
            f"{one['per_record']:.1f}",
            f"{one['completeness']:.3f}",
        ]
        for one in entries
    ]
    heads = ["export", "rows", "read, CPU", "candidates, CPU", "both, elapsed", "load", "peak memory", "candidates a record", "pair completeness"]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)
