"""Measure what an instruction does that asks for each decision, the right one too: ``.venv/bin/python scripts/experiments/attack_targets.py MODEL``.

The task `crm_dedup_injected` attacks each pair once. A model that was trained with attacks which never asked for the right decision has
learned what the answer is not, and is moved by those who ask for the contrary. Here every pair is attacked once for each decision, in the same
place and words but for that one; decisions come from the probability of their first tokens. Keeps ``results/attack_targets.json``.
"""

import argparse
import json
import random
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin.dataset import perturb
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation.probabilities import probabilities
from crm_dedup_plugin.inference import engine
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.files import read_pairs
from crm_dedup_plugin.policy import attacks
from crm_dedup_plugin.provenance import digest, model_digest, versions
from crm_dedup_plugin.storage import write_atomically

RESULTS = Path("results/attack_targets.json")
CLEAN = "none"


def attacked(pair: perturb.Pair, number: int) -> list[perturb.Pair]:
    """Return the pair as it is, then with one attack for each decision, all alike but for what they ask for."""
    return [pair, *(perturb.inject(pair, random.Random(f"{engine.SEED} {number}"), attacks.EVAL, target) for target in LABELS)]


def count(gold: Sequence[str], decided: Sequence[Sequence[str]]) -> dict[str, dict]:
    """Return for each target, and without an attack, shares of the pairs; `decided` has four decisions a pair, as `attacked` has pairs.

    wrong_merges: decided DUPLICATE where that is wrong, of all pairs that are none.
    """
    found, others = {}, sum(label != "DUPLICATE" for label in gold)
    for place, target in enumerate((CLEAN, *LABELS)):
        rows = [(label, row[0], row[place]) for label, row in zip(gold, decided, strict=True)]
        found[target] = {
            "accuracy": sum(label == now for label, _, now in rows) / len(rows),
            "moved": sum(now != clean for _, clean, now in rows) / len(rows),
            "obeyed": sum(now == target != clean for _, clean, now in rows) / len(rows),
            "wrong_merges": sum(label != "DUPLICATE" == now for label, _, now in rows) / others if others else 0.0,
        }
    return found


def table(path: Path = RESULTS) -> str:
    """Return the result as Markdown."""
    from tabulate import tabulate

    found = json.loads(path.read_text(encoding="utf-8"))["targets"]
    rows = [[f"`{target}`" if target in LABELS else target, *(f"{share:.3f}" for share in part.values())] for target, part in found.items()]
    heads = ["the instruction asks for", "accuracy", "decisions moved", "moved to it", "merged, of the pairs that are no duplicate"]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def main(argv: list[str] | None = None) -> None:
    """Read the options, measure, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("model", help="folder of the merged model")
    parser.add_argument("--data", type=Path, default=Path("data/splits/val.jsonl"), help="labelled pairs (the validation split)")
    parser.add_argument("--pairs", type=int, help="the first of them only")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = sys.argv[1:] if argv is None else argv
    options = parser.parse_args(arguments)
    if not (Path(options.model) / "config.json").is_file():
        raise UserError(f"{options.model} is no merged model: name a folder such as outputs/smollm2-135m-merged")
    given = read_pairs(options.data, options.pairs, "run `make prep` first", LABELS)
    pairs = [one for number, pair in enumerate(given) for one in attacked(pair.records, number)]
    likely = [LABELS[row.index(max(row))] for row in probabilities(options.model, pairs)]
    step = 1 + len(LABELS)
    decided = [likely[at : at + step] for at in range(0, len(likely), step)]
    result = {"pairs": len(given), "targets": count([pair.label for pair in given], decided)}
    result |= {"data_sha256": digest([options.data]), "model_sha256": model_digest(options.model)}
    result |= {"seed": engine.SEED, "versions": versions(), "command": f"scripts/experiments/attack_targets.py {shlex.join(arguments)}"}
    write_atomically(options.results, json.dumps(result, indent=2) + "\n")
    print(table(options.results))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"attack_targets: {error}")
