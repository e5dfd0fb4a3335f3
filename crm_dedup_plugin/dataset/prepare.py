"""Read labelled pairs, check every line, split them and write the splits: ``crm-dedup prepare``.

Nothing is written unless every line is right; each file appears whole or not at all.
"""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin.dataset.splits import SPLITS, contents, split
from crm_dedup_plugin.pair.answer import LABELS, MAX_REASONING_CHARS, exchange_sides
from crm_dedup_plugin.pair.files import read_rows
from crm_dedup_plugin.pair.prompt import ask
from crm_dedup_plugin.pair.record import MAX_FIELD_CHARS
from crm_dedup_plugin.provenance import digest
from crm_dedup_plugin.storage import write_atomically

DEFAULT_SOURCE = Path("data/all.jsonl")
DEMO_PAIRS = 1500
TRAINED = ("train", "val")  # what a trainer reads; test pairs stay as they came, as a user's do
_OTHER_SIDE = {"record_a": "record_b", "record_b": "record_a", "cluster_a": "cluster_b", "cluster_b": "cluster_a"}


def prepare(
    source: Path | None,
    out: Path,
    fractions=(0.8, 0.1, 0.1),
    seed: int = 7,
    demo_pairs: int | None = None,
    augmentations: tuple[str, ...] = (),
    also: Sequence[Path] = (),
) -> dict:
    """Split `source` into `out`/{train,val,test}.jsonl and write a summary.json, which is returned.

    The pairs are generated if `demo_pairs` says how many, or if no `source` is named and `DEFAULT_SOURCE` does not exist.
    `also` names files of more pairs, for training only; pairs whose records or people are in another split are left out.
    `augmentations` (see `augment`) apply to the training split. Pairs to train with are written in the order of their prompt.
    Raises DataError or SplitError and writes nothing if the data are not right.
    """
    if source is None and demo_pairs is None and not DEFAULT_SOURCE.exists():
        demo_pairs = DEMO_PAIRS
        print(f"{DEFAULT_SOURCE} does not exist: using a generated demo set of {demo_pairs} pairs (seed {seed})", file=sys.stderr)
    source = source or DEFAULT_SOURCE
    if demo_pairs is None:
        origin = str(source)
        rows, cut = read_rows(source, cure=f"name a file of labelled pairs with --data, or generate a demo set with --demo {DEMO_PAIRS}")
    else:
        origin = f"generated: {demo_pairs} compact pairs, seed {seed}"
        from crm_dedup_plugin.dataset.synth.generate import Settings, generate

        rows, cut = list(generate(demo_pairs, seed, Settings(compact=True))), Counter()
    added = {}
    for path in also:
        added[path], shortened = read_rows(path, cure="name files of labelled pairs with --also, or leave it out")
        cut.update(shortened)

    from crm_dedup_plugin.policy.identity import identities  # reads YAML, which the command line starts without

    parts = split(rows, tuple(fractions), seed, identities)
    held_out = {key for name in ("val", "test") for row in parts[name] for key in contents(row) | identities(row)} if added else set()
    kept = {path: [row for row in rows if not held_out & (contents(row) | identities(row))] for path, rows in added.items()}
    parts["train"] += [row for rows in kept.values() for row in rows]
    if augmentations:
        from crm_dedup_plugin.dataset.augment import augment

        parts["train"] = augment(parts["train"], tuple(augmentations), seed)
    for name, count in sorted(cut.items()):
        limit = f"{MAX_REASONING_CHARS} characters" if name == "output.reasoning" else f"{MAX_FIELD_CHARS} characters a field and the record's limit"
        print(f"warning: {name} was cut in {count} records, at {limit}", file=sys.stderr)

    parts |= {name: [in_prompt_order(row) for row in parts[name]] for name in TRAINED}
    texts = {name: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part) for name, part in parts.items()}
    summary = {
        "source": origin,
        "source_sha256": digest([source]) if demo_pairs is None else None,
        "seed": seed,
        "fractions": list(fractions),
        "also": {str(path): {"sha256": digest([path]), "pairs": len(rows), "left_out": len(added[path]) - len(rows)} for path, rows in kept.items()},
        "augmentations": list(augmentations),
        "splits": {name: _describe(part, texts[name]) for name, part in parts.items()},
        "cut_fields": dict(sorted(cut.items())),
    }
    for name in SPLITS:
        write_atomically(out / f"{name}.jsonl", texts[name])
    write_atomically(out / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    return summary


def in_prompt_order(row: dict) -> dict:
    """Return the row with its records in the order of the prompt, and clusters and reasoning that follow them."""
    pair, answer = row["input"], row["output"]
    if ask(**pair).record_a is pair["record_a"]:
        return row
    turned = {_OTHER_SIDE.get(key, key): value for key, value in row.items()}
    turned = {key: turned[key] for key in (*row, *turned) if key in turned}  # keys in the order of the file
    pair = {"record_a": pair["record_b"], "record_b": pair["record_a"]}
    return {**turned, "input": pair, "output": {**answer, "reasoning": exchange_sides(answer["reasoning"])}}


def _describe(rows: list[dict], text: str) -> dict:
    decisions = Counter(row["output"]["decision"] for row in rows)
    slices = Counter(str(row["slice"]) for row in rows if row.get("slice") is not None)
    return {
        "pairs": len(rows),
        "decisions": {label: decisions[label] for label in LABELS},
        "slices": dict(sorted(slices.items())),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
