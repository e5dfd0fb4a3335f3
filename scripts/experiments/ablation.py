"""Which training pairs teach most at equal cost, with SmolLM2-135M and as many as ten minutes on two cores allow.

    .venv/bin/python scripts/experiments/ablation.py data                      writes outputs/ablation/: one training set an arm
    .venv/bin/python scripts/experiments/ablation.py run --seeds 0 1 2         trains each (8 workers on a GPU), writes results/ablation.json
    .venv/bin/python scripts/experiments/ablation.py table                     prints the table of data/README.md

A plain loop with the hyperparameters of the demo, in fp32 and without quantisation: it compares data, not trainers.
"""

import argparse
import importlib.metadata
import json
import random
import statistics
from pathlib import Path

from crm_dedup_plugin.pair.files import read_rows
from crm_dedup_plugin.provenance import digest

FOLDER, RESULT = Path("outputs/ablation"), Path("results/ablation.json")
BASE = "outputs/smollm2-135m-base"
BATCH, STEPS, RATE, RANK = 8, 105, 2e-3, 16
TESTED = 400
AUGMENTED = {"shuffled": ("shuffled",), "injected": ("injected",), "oversampled": ("oversampled",)}
ARMS = ("plain", "varied wording", *AUGMENTED, "all three")
VIEWS = ("test", "shuffled", "injected")


def write_data(seed: int) -> None:
    """Write a training set for each arm, and the test pairs as they are, swapped, shuffled and injected."""
    from crm_dedup_plugin.dataset import perturb
    from crm_dedup_plugin.dataset.augment import augment
    from crm_dedup_plugin.dataset.splits import split
    from crm_dedup_plugin.dataset.synth.generate import Settings, generate
    from crm_dedup_plugin.pair.answer import LABELS
    from crm_dedup_plugin.policy import attacks, reasoning
    from crm_dedup_plugin.policy.evidence import compare

    parts = split(list(generate(3000, seed, Settings(compact=True))), (0.6, 0.1, 0.3), seed)
    train, rng = parts["train"], random.Random(seed)
    sets = {"plain": train, "all three": augment(train, tuple(AUGMENTED), seed)}
    sets |= {arm: augment(train, kinds, seed) for arm, kinds in AUGMENTED.items()}
    sets["varied wording"] = [
        {**row, "output": {**row["output"], "reasoning": reasoning.write(compare(**row["input"]), row["output"]["decision"], rng)}} for row in train
    ]
    changes = {
        "test": lambda pair, row: pair,
        "shuffled": lambda pair, row: perturb.shuffle(pair, rng),
        "injected": lambda pair, row: perturb.inject(pair, rng, attacks.EVAL, rng.choice(LABELS)),
    }
    for view, change in changes.items():
        pairs = [change((row["input"]["record_a"], row["input"]["record_b"]), row) for row in parts["test"][:TESTED]]
        rows = [{**row, "input": {"record_a": a, "record_b": b}} for row, (a, b) in zip(parts["test"], pairs, strict=False)]
        sets[f"view {view}"] = rows
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, rows in sets.items():
        (FOLDER / f"{name}.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        print(f"{FOLDER / name}.jsonl: {len(rows)} pairs")


def read(name: str) -> list[dict]:
    """Return the rows of one file of `write_data`."""
    return read_rows(FOLDER / f"{name}.jsonl", "run the script with `data` first")[0]


def train_one(job: tuple[str, int, str]) -> dict:
    """Train one arm with one seed; return its macro F1, and how many decisions move when the test pairs are changed."""
    arm, seed, base = job
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from crm_dedup_plugin.evaluation import metrics
    from crm_dedup_plugin.training.shared_prefix import install

    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(base)
    rows = read(arm)
    random.Random(seed).shuffle(rows)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).to(device)
    model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear"))
    install(model, True)
    fit(model, tokenizer, rows[: BATCH * STEPS], device)
    decided = {view: decide(model, tokenizer, read(f"view {view}"), device) for view in VIEWS}
    gold = [row["output"]["decision"] for row in read("view test")]
    moved = {view: sum(a != b for a, b in zip(decided["test"], decided[view], strict=True)) / len(gold) for view in VIEWS[1:]}
    return {"arm": arm, "seed": seed, "macro_f1": metrics.scores(gold, decided["test"])["macro_f1"], **moved}


def fit(model, tokenizer, rows: list[dict], device: str) -> None:
    """Train `model` on `rows`, each seen once."""
    import torch
    from transformers import DataCollatorForSeq2Seq

    from crm_dedup_plugin.pair import answer, tokens

    collate = DataCollatorForSeq2Seq(tokenizer, pad_to_multiple_of=8)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / 5, (STEPS - step) / 35))
    model.train()
    for start in range(0, len(rows), BATCH):
        pairs = [
            (tokens.prompt_ids(tokenizer, **row["input"]), tokens.answer_ids(tokenizer, answer.dump(**row["output"])))
            for row in rows[start : start + BATCH]
        ]
        batch = collate([{"input_ids": question + answer, "labels": [-100] * len(question) + answer} for question, answer in pairs])
        model(**batch.to(device)).loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()


def decide(model, tokenizer, rows: list[dict], device: str) -> list[str]:
    """Return the likeliest decision for each row, from the first token in which the labels differ; `model` is plain or PEFT."""
    import torch

    from crm_dedup_plugin.pair import answer, tokens

    start, firsts = tokens.decision_ids(tokenizer)
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    model.eval()
    decided = []
    with torch.no_grad():
        for at in range(0, len(rows), 40):
            texts = [tokens.prompt_ids(tokenizer, **row["input"]) + start for row in rows[at : at + 40]]
            batch = tokenizer.pad({"input_ids": texts}, padding_side="right", return_tensors="pt").to(device)
            hidden = causal.model(**batch).last_hidden_state
            last = hidden[torch.arange(len(texts)), [len(text) - 1 for text in texts]]
            scores = causal.lm_head(last)[:, firsts]
            decided += [answer.LABELS[best] for best in scores.argmax(-1).tolist()]
    return decided


def run(seeds: list[int], base: str, workers: int, out: Path) -> None:
    """Train every arm with every seed and write all runs, with what repeats them."""
    from multiprocessing import get_context

    jobs, runs = [(arm, seed, base) for seed in seeds for arm in ARMS], []
    with get_context("spawn").Pool(workers) as pool:
        for done in pool.imap_unordered(train_one, jobs):
            runs.append(done)
            print(json.dumps(done), flush=True)
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(_described(runs, seeds), indent=2) + "\n", encoding="utf-8")


def _described(runs: list[dict], seeds: list[int]) -> dict:
    digests = {path.stem: digest([path]) for path in sorted(FOLDER.glob("*.jsonl"))}
    return {
        "command": f"scripts/experiments/ablation.py run --seeds {' '.join(map(str, seeds))}",
        "examples": BATCH * STEPS,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")},
        "data_sha256": digests,
        "runs": sorted(runs, key=lambda one: (ARMS.index(one["arm"]), one["seed"])),
    }


def table(path: Path) -> str:
    """Return the table of the runs that are there: mean over the seeds, with the lowest and the highest."""
    from tabulate import tabulate

    runs, rows = json.loads(path.read_text(encoding="utf-8"))["runs"], []
    views = [key for key in runs[0] if key not in ("arm", "seed", "macro_f1")]
    for arm in dict.fromkeys(one["arm"] for one in runs):
        cells = [[one[key] for one in runs if one["arm"] == arm] for key in ("macro_f1", *views)]
        rows.append([arm, *(f"{statistics.mean(cell):.2f} ({min(cell):.2f}-{max(cell):.2f})" for cell in cells)])
    heads = ["training pairs", "macro F1", *(f"moved when {view}" for view in views)]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("stage", choices=("data", "run", "table"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--base", default=BASE, help="folder of the base model (%(default)s)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    if options.stage == "data":
        write_data(seed=7)
    elif options.stage == "run":
        run(options.seeds, options.base, options.workers, options.out)
    else:
        print(table(options.out))


if __name__ == "__main__":
    main()
