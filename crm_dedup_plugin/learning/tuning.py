"""Tune a model on labelled pairs with Axolotl, and ask a model about pairs: ``tune(MODEL, [(record, record, True)], Path("work"))``.

The loss of a labelled pair is on its decision alone: nobody wrote a reasoning. A share of generated pairs with whole answers keeps what the
model knew. All weights are trained; those of a model of more than a billion parameters stay as they are, and an adapter is (QLoRA).
"""

import gc
import json
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import yaml

from crm_dedup_plugin.dataset.prepare import in_prompt_order
from crm_dedup_plugin.dataset.synth.generate import generate
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.prompt import ask
from crm_dedup_plugin.storage import write_atomically

if TYPE_CHECKING:
    import numpy as np

Labelled = tuple[dict, dict, bool]  # two records, in either order; True: the same entity

CONFIG = Path(__file__).with_name("tuning.yml")
ROWS, SETTINGS, MERGED, MANIFEST = "train.jsonl", "tuning.yml", "merged", "crm_dedup.json"
LARGE = 1_000_000_000  # parameters above which an adapter is trained
ADAPTER = {"adapter": "qlora", "load_in_4bit": True, "lora_r": 32, "lora_alpha": 64, "lora_dropout": 0.0, "lora_target_linear": True}
ALONE = {"crm_dedup_shared_prefix": False, "micro_batch_size": 1, "gradient_checkpointing": True}  # one row at a time: nothing is padded
ADAPTER_RATE = 2.0  # times the learning rate of whole weights


class Tuning(NamedTuple):
    """How a model is tuned. AdamW; the learning rate rises in `warmup` steps and then falls linearly to nothing."""

    passes: float = 4  # over all rows
    learning_rate: float = 2e-4
    share: float = 1 / 3  # generated pairs for each labelled one
    seed: int = 7  # of the generated pairs and of the order of rows
    batch: int = 16  # rows a step
    warmup: int = 5  # steps
    decision_weight: float = 8.0  # of the loss of the token that decides, relative to others


USUAL = Tuning()


def tune(model: str, pairs: Sequence[Labelled], out: Path, tuning: Tuning = USUAL, what: str = "on answers", run: Callable | None = None) -> Path:
    """Train from the folder `model` on labelled pairs and return the folder of the tuned model, ``out/merged``.

    `out` gets the data and the log too: copies of the records, so delete it. Called again with the same arguments, it returns what is there.
    `what` names the training in messages; `run` does what `train.run` does, which trains in a process of its own.
    Raises UserError where the model cannot be trained on this machine, or the training stops.
    """
    from crm_dedup_plugin.provenance import digest, model_digest, versions
    from crm_dedup_plugin.training import train

    check(model)
    write_atomically(out / ROWS, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(pairs, tuning)))
    settings = configuration(model, out, tuning)
    write_atomically(out / SETTINGS, yaml.safe_dump(settings, sort_keys=False))
    origin = {"base_model": model, "base_sha256": model_digest(model), "train_sha256": digest([out / ROWS]), "tuning": tuning._asdict()}
    manifest = out / MERGED / MANIFEST
    if manifest.is_file() and origin.items() <= json.loads(manifest.read_text(encoding="utf-8")).items():
        return out / MERGED
    done = (run or train.run)(what, out / SETTINGS, settings, out / MERGED, processes=1)
    write_atomically(manifest, json.dumps({**origin, **done, "versions": versions()}, indent=2) + "\n")
    return out / MERGED


def rows(pairs: Sequence[Labelled], tuning: Tuning) -> list[dict]:
    """Return the rows of a training: decisions about `pairs`, and generated pairs with whole answers; records in the order of the prompt."""
    labels = {True: LABELS[0], False: LABELS[2]}
    asked = [({"record_a": prompt.record_a, "record_b": prompt.record_b}, same) for a, b, same in pairs for prompt in [ask(a, b)]]
    own = [{"input": records, "output": {"decision": labels[bool(same)]}} for records, same in asked]
    made = generate(round(tuning.share * len(own)), tuning.seed)
    return own + [{key: in_prompt_order(row)[key] for key in ("input", "output")} for row in made]


def made_from(pairs: Sequence[Labelled], tuning: Tuning) -> list:
    """Return all that a tuning is made from, but the model."""
    return [rows(pairs, tuning), tuning._asdict(), CONFIG.read_text(encoding="utf-8")]


def configuration(model: str, out: Path, tuning: Tuning) -> dict:
    """Return what Axolotl gets, by its keys."""
    settings = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    large = parameters(model) > LARGE
    if large:
        settings |= ADAPTER | ALONE
    return settings | {
        "base_model": model,
        "datasets": [{"path": str(out / ROWS), "ds_type": "text", "type": "crm_dedup_plugin.training.formatter"}],
        "dataset_prepared_path": str(out / "prepared"),
        "output_dir": str(out / "axolotl"),
        "gradient_accumulation_steps": max(tuning.batch // settings["micro_batch_size"], 1),
        "num_epochs": tuning.passes,
        "learning_rate": tuning.learning_rate * (ADAPTER_RATE if large else 1),
        "warmup_steps": tuning.warmup,
        "seed": tuning.seed,
        "crm_dedup_decision_weight": tuning.decision_weight,
    }


def check(model: str) -> None:
    """Raise UserError where a model cannot be tuned on this machine."""
    import torch

    if not Path(model).is_dir():
        raise UserError(f"{model} is no folder: a model of the Hub is tuned from a copy on this machine (`hf download {model} --local-dir FOLDER`)")
    if not (size := parameters(model)):
        raise UserError(f"{model} holds no weights in safetensors, so it cannot be tuned: --no-tuning calibrates it")
    if size > LARGE and not torch.cuda.is_available():
        raise UserError(f"{model} has {size / 1e9:.1f} billion parameters, too many to tune without a GPU: use one, or --no-tuning")


def parameters(model: str) -> int:
    """Return how many parameters the weights in a folder hold."""
    from safetensors import safe_open

    found = 0
    for path in Path(model).glob("*.safetensors"):
        with safe_open(path, "numpy") as file:
            found += sum(prod(file.get_slice(key).get_shape()) for key in file.keys())
    return found


def score(model: str, pairs: Sequence[tuple[dict, dict]], say: Callable[[int], None] = lambda done: None) -> "np.ndarray":
    """Return the raw probabilities (n, 3) of the decisions about pairs of records, from a model in this process; `say` hears how many are done."""
    import numpy as np
    import torch

    from crm_dedup_plugin.inference.engine import DECISION
    from crm_dedup_plugin.inference.transformers_engine import TransformersEngine

    engine, found = TransformersEngine(model), []
    for at in range(0, len(pairs), 32):
        found += engine.ask(DECISION, pairs[at : at + 32]).answers
        say(len(found))
    del engine
    gc.collect()
    torch.cuda.empty_cache()  # for the training that may follow, in a process of its own
    return np.array(found, float).reshape(-1, len(LABELS))
