"""Score public pairs with models that were not trained on their families: ``scripts/experiments/held_out_families.py model NAME``.

    python scripts/real_pairs.py --fold a --out data/real-a.jsonl          real sources, but those of the families that fold `a` holds out
    crm-dedup prepare --also data/more.jsonl data/lists.jsonl data/real-a.jsonl --augment oversampled shuffled injected injected injected renamed \\
        brief
    crm-dedup train smollm2-135m --name fold-a-1 --seed=1
    python scripts/experiments/held_out_families.py model fold-a-1         what the model says of every set
    python scripts/experiments/held_out_families.py boosting fold-a        the same of gradient boosting, from the pairs in `--splits`
    python scripts/experiments/held_out_families.py table                  results/families.json
    python scripts/experiments/held_out_families.py evidence               crm_dedup_plugin/inference/adapter/lists.json
    python scripts/experiments/held_out_families.py evidence fold-b-1 --without febrl      the same from other families, for that model

The last three need the exports that `contact_evidence.py` decided about: it does so first, where they are missing.

Scores are kept in ``results/families/NAME.npz``, without any record: the log-odds of "one entity" of each pair of each set, and the labels.
Sets are the files of CRM_DEDUP_BENCHMARKS, of other folders that `--also` names, and the held-out generated lists, which give the threshold.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import contact_evidence
import held_out_tables
import list_evidence
import numpy as np

from crm_dedup_plugin.dataset.families import learned_from, of_file
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation import documents, linking
from crm_dedup_plugin.evaluation.calibration import auroc
from crm_dedup_plugin.inference import embedded
from crm_dedup_plugin.matching import Matcher
from crm_dedup_plugin.matching.probability import LEARNED
from crm_dedup_plugin.pair.files import read_pairs
from crm_dedup_plugin.provenance import digest, families, model_digest, versions
from crm_dedup_plugin.storage import write_atomically

OUT = Path("results/families")
SMALLEST = 1e-6  # a probability: what is less is as good as never


def sets(also: list[Path]) -> list[Path]:
    """Return the files of all sets, the lists last."""
    return [*documents.benchmark_files(), *(path for folder in also for path in sorted(folder.glob("*.jsonl"))), documents.place(documents.LISTS)]


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Return the log-odds (pairs,) of one entity from (pairs, 3) probabilities; POSSIBLE counts half."""
    same = np.clip(linking.score(probabilities), SMALLEST, 1 - SMALLEST)
    return np.log(same / (1 - same))


def ask(model: str, paths: list[Path]) -> dict[str, np.ndarray]:
    """Return the log-odds of the pairs of each file, from a model."""
    parts = {path.stem: [pair.records for pair in read_pairs(path)] for path in paths}
    with Matcher(model) as matcher:
        found = log_odds(np.array(matcher.probabilities([pair for part in parts.values() for pair in part])))
    return dict(zip(parts, np.split(found, np.cumsum([len(part) for part in parts.values()])[:-1]), strict=True))


def boost(splits: Path, paths: list[Path], seed: int) -> dict[str, np.ndarray]:
    """Return the same from gradient boosting on the pairs of `splits`, which should hold no augmented copies."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from baselines import boosting
    from baselines.pairs import load

    fitted = boosting.fit(load(splits / "train.jsonl"), load(splits / "val.jsonl"), seed)
    return {path.stem: log_odds(fitted.decide(load(path, gold=linking.truth)).probabilities) for path in paths}


def keep(name: str, scores: dict[str, np.ndarray], paths: list[Path], about: dict) -> None:
    """Write the scores, with the labels and what they were made from."""
    OUT.mkdir(parents=True, exist_ok=True)
    labels = {path.stem: np.array([linking.truth(pair) for pair in read_pairs(path)], np.int8) for path in paths}
    public = [path.stem for path in documents.benchmark_files()]
    about |= {"public": public, "sets_sha256": {path.stem: digest([path]) for path in paths}, "versions": versions()}
    tables = {f"odds {stem}": found.astype(np.float32) for stem, found in scores.items()} | {f"labels {stem}": one for stem, one in labels.items()}
    partial = OUT / f".{name}.part.npz"
    np.savez_compressed(partial, **tables)
    partial.replace(OUT / f"{name}.npz")
    write_atomically(OUT / f"{name}.json", json.dumps(about, indent=2) + "\n")
    seen = {path.stem for path in paths if of_file(path, about["families"])}
    for stem, found in scores.items():
        print(f"{stem}: AUROC {auroc(labels[stem] == 1, found):.3f}{'  (trained on its family)' if stem in seen else ''}")


def evidence(name: str | None, without: list[str]) -> None:
    """Write what evidence is worth in lists: to the package, or to the folder of a model that is measured on the families `without`."""
    models = [one for one in held_out_tables.load_all(OUT) if held_out_tables.kind_of(one) == held_out_tables.OURS]
    files = [path for path in documents.benchmark_files() if not of_file(path, without)]
    sets = [*held_out_tables.taught(models, files).values(), *list_evidence.exports()]
    found = list_evidence.learned(sets)
    if name:
        return write_atomically(Path(Matcher(name).model) / LEARNED, json.dumps(found._asdict(), indent=1) + "\n")
    data = {path.stem: digest([path]) for path in files} | json.loads(embedded.CONTACTS.read_text(encoding="utf-8"))["data"]
    return contact_evidence.keep(
        embedded.LISTS, found, np.concatenate([one.same for one in sets]), data, f"scripts/experiments/{Path(__file__).name} evidence"
    )


def main() -> None:
    """Read the options, score and keep, or make the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("model", "boosting", "table", "evidence"))
    parser.add_argument("name", nargs="?", help="of the model as crm-dedup decide takes it, or of the file of boosting")
    parser.add_argument("--also", type=Path, nargs="*", default=[], metavar="FOLDER", help="folders of more labelled sets")
    parser.add_argument("--splits", type=Path, default=Path("data/splits"), help="what boosting learns from (default: %(default)s)")
    parser.add_argument("--without", nargs="*", default=[], metavar="FAMILY", help="families that do not teach what evidence is worth")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if not os.environ.get(documents.BENCHMARKS):
        raise UserError(f"set {documents.BENCHMARKS} to the folder of the public files")
    if options.what == "table":
        return held_out_tables.summarise(OUT, documents.benchmark_files())
    if options.what == "evidence":
        if options.without and not options.name:
            parser.error("--without is for the model that you name: the package learns from all families")
        return evidence(options.name, options.without)
    if not options.name:
        parser.error("name a model, or what boosting is to be called")
    paths, began = sets(options.also), time.monotonic()
    if options.what == "model":
        folder = Matcher(options.name).model
        scores, about = ask(options.name, paths), {"families": families(folder), "model_sha256": model_digest(folder)}
    else:
        train = options.splits / "train.jsonl"
        scores, about = boost(options.splits, paths, options.seed), {"families": learned_from(train), "train_sha256": digest([train])}
    about |= {"name": options.name, "what": options.what, "seed": options.seed, "seconds": round(time.monotonic() - began, 1)}
    keep(options.name, scores, paths, {**about, "command": f"scripts/experiments/{Path(__file__).name} {options.what} {options.name}"})


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
