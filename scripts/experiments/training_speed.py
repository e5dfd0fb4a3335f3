"""Measure the speed of training on one or several GPUs.

    .venv/bin/python scripts/experiments/training_speed.py MODEL [--gpus N] [--random-weights] [--key=value ...]

The real command, `accelerate launch -m axolotl.cli.train`, for a few steps on real pairs, without evaluations and checkpoints; options
as --key=value go to Axolotl. Keeps ``results/training_speed.json``, one entry a model, its weights, label and number of GPUs; one that is
there is not repeated.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import result_entries
import yaml

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.provenance import digest, versions
from crm_dedup_plugin.training import train as training

RESULTS = Path("results/training_speed.json")
HERE = Path(__file__).resolve().parent
METER = "training_meter.Meter"
WARM_UP = 3
FIRST = "as it is"
# What would evaluate, save, or count on more steps than are made here.
LEFT_OUT = (
    *("test_datasets", "eval_sample_packing", "evals_per_epoch", "eval_steps", "eval_strategy", "saves_per_epoch", "save_steps"),
    *("save_total_limit", "load_best_model_at_end", "metric_for_best_model", "greater_is_better", "early_stopping_patience", "lr_scheduler_kwargs"),
)


def settings_for(model: str, base: Path | None, random_weights: bool, data: str | None, steps: int, folder: Path) -> dict:
    """Return the configuration of `model`, changed to `steps` measured steps that leave nothing outside `folder`."""
    settings = {key: value for key, value in training.load_config(model)[1].items() if key not in LEFT_OUT}
    if random_weights:
        settings.pop("chat_template", None)  # it may need special tokens that the stand-in tokenizer lacks
    if base:
        settings["base_model"] = str(base)
    if data:
        settings["datasets"] = [{**settings["datasets"][0], "path": data}]
    ours = {"max_steps": steps, "save_strategy": "no", "lr_scheduler": "constant", "auto_resume_from_checkpoints": False}
    folders = {"output_dir": str(folder / "out"), "dataset_prepared_path": str(folder / "prepared")}
    return {**settings, **ours, **folders, "plugins": [*settings.get("plugins", []), METER]}


def measure(settings: dict, model: str, overrides: list[str], gpus: int, folder: Path) -> dict:
    """Train, and return what was measured; raises UserError where the run stopped before its last step."""
    training.preflight(model, settings | training.parse_overrides(overrides))
    config, used = folder / f"{model}.yml", _choose_gpus(gpus)
    config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    path = os.pathsep.join([str(HERE), str(HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**training.QUIET, **os.environ, "PYTHONPATH": path}
    if Path(settings["base_model"]).is_dir():
        environment.setdefault("HF_HUB_OFFLINE", "1")
    options = training._launch_options()
    command = [sys.executable, "-m", "accelerate.commands.launch", *options, "-m", "axolotl.cli.train", str(config), *overrides]
    code = subprocess.run(command, env=environment).returncode
    ranks = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / "out").glob("training_meter_*.json"))]
    if code or not ranks or len(ranks) != ranks[0]["processes"]:
        raise UserError(f"training of {model} stopped before its last step (exit code {code}): its last lines are above")
    return {"gpus": used, **summary(ranks)}


def summary(ranks: list[dict], warm_up: int = WARM_UP) -> dict:
    """Return rates over all processes after the first `warm_up` steps, and the peak of memory of the process that took most."""
    steps = len(ranks[0]["seconds"])
    if steps <= warm_up:
        raise UserError(f"{steps} steps are too few, the first {warm_up} only warm up: make more, with --steps")
    seconds = [max(times) for times in zip(*(rank["seconds"] for rank in ranks), strict=True)][warm_up:]
    tokens, examples, positions = (sum(sum(rank[key][warm_up:]) for rank in ranks) for key in ("tokens", "examples", "positions"))
    peaks = [rank[phase] for rank in ranks for phase in ("peak", "loading_peak") if rank[phase]]
    loading = [rank["loading_peak"]["reserved_bytes"] for rank in ranks if rank["loading_peak"]]
    return {
        "tokens_per_second": tokens / sum(seconds),
        "examples_per_second": examples / sum(seconds),
        "step_seconds": statistics.median(seconds),
        "step_seconds_all": [round(one, 4) for one in ranks[0]["seconds"]],
        "tokens_per_example": tokens / examples,
        "tokens_per_step": tokens / len(seconds),
        "padding": 1 - tokens / positions,
        "peak_reserved_bytes": max((peak["reserved_bytes"] for peak in peaks), default=None),
        "peak_allocated_bytes": max((peak["allocated_bytes"] for peak in peaks), default=None),
        "loading_reserved_bytes": max(loading, default=None),
        "losses": ranks[0]["losses"],
        "settings": ranks[0]["settings"],
        "hardware": ranks[0]["hardware"],
    }


def _choose_gpus(wanted: int) -> int:
    """Hide all GPUs but the first `wanted` from what is started next; return how many are used: none where there is none."""
    import torch

    there = torch.cuda.device_count()
    if wanted > max(there, 1) or wanted < 1:
        raise UserError(f"{wanted} GPUs were asked for and {there} are here: choose another --gpus")
    if there:
        names = (os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(there)))).split(",")
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names[:wanted])
    return min(wanted, there)


def _random_weights(model: str, folder: Path) -> None:
    """Write the shape of `model` with random weights to `folder`, in a process of its own, which leaves the GPU empty."""
    if subprocess.run([sys.executable, str(HERE / "model_shape.py"), model, str(folder), "--weights"]).returncode:
        raise UserError(f"the shape of {model} could not be written to {folder}: the reason is above")


def table(path: Path = RESULTS) -> str:
    """Return all entries as Markdown; those of several GPUs say how many times as fast as one with the same label and data they are.

    The rate of the median step leaves out what only a short run is slowed by: kernels that are compiled, plans that are made.
    """
    from tabulate import tabulate

    found = json.loads(path.read_text(encoding="utf-8"))
    alike = ("model", "weights", "label", "data_sha256")
    single = {(*(one[key] for key in alike), one["hardware"]["name"]): one["tokens_per_second"] for one in found if one["gpus"] == 1}
    rows = []
    for one in sorted(found, key=lambda one: (one["model"], one["weights"], one["label"] != FIRST, one["label"], one["gpus"])):
        name = one["hardware"]["name"]
        alone = single.get((*(one[key] for key in alike), name))
        factor = f"{one['tokens_per_second'] / alone:.2f}" if alone and one["gpus"] > 1 else "-"
        memory = f"{one['peak_reserved_bytes'] / 2**30:.1f}" if one["peak_reserved_bytes"] else "-"
        steady = one["tokens_per_step"] / one["step_seconds"]
        rates = [f"{one['tokens_per_second']:,.0f}", f"{steady:,.0f}", factor, f"{one['examples_per_second']:.1f}", f"{one['step_seconds']:.2f}"]
        rows.append([one["model"], one["weights"], f"{one['gpus']} x {name}" if one["gpus"] else name, f"`{one['label']}`", *rates, memory])
    heads = ["model", "weights", "GPUs", "setting", "tokens/s", "at the median step", "x one GPU", "examples/s", "step s", "peak GiB reserved"]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def _key(entry: dict) -> tuple:
    return entry["model"], entry["weights"], entry["label"], entry["gpus"]


def main(argv: list[str] | None = None) -> None:
    """Read the options, measure, and keep the entry."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("model", help="the name of a file in axolotl_configs/")
    parser.add_argument("--base", type=Path, metavar="FOLDER", help="another base model; with --random-weights they are kept there")
    parser.add_argument("--random-weights", action="store_true", help="the sizes of scripts/experiments/model_shape.py: speed and memory only")
    parser.add_argument("--data", metavar="FILE", help="pairs to train on, in place of the configuration's")
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--steps", type=int, default=12, help=f"with the first {WARM_UP}, which only warm up")
    parser.add_argument("--label", help="a name for this setting; by default the options for Axolotl")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--force", action="store_true", help="repeat what is there")
    arguments = sys.argv[1:] if argv is None else argv
    options, overrides = parser.parse_known_args(arguments)
    training.parse_overrides(overrides)
    if options.steps <= WARM_UP:
        raise UserError(f"--steps {options.steps} is too few, the first {WARM_UP} only warm up: make more")
    import torch

    entry = {"model": options.model, "weights": "random" if options.random_weights else "its own"}
    entry |= {"label": options.label or " ".join(overrides) or FIRST, "gpus": options.gpus if torch.cuda.is_available() else 0}
    if not options.force and _key(entry) in map(_key, result_entries.read(options.results)):
        print(f"{entry['model']}, {entry['label']}, {entry['gpus']} GPUs: is there already")
        return
    with tempfile.TemporaryDirectory(prefix="training-speed-") as name:
        base = options.base
        if options.random_weights:
            base = base or Path(name) / "base"
            _random_weights(options.model, base)
        settings = settings_for(options.model, base, options.random_weights, options.data, options.steps, Path(name))
        entry |= measure(settings, options.model, overrides, options.gpus, Path(name))
        entry |= {"data_sha256": digest([Path(settings["datasets"][0]["path"])]), "versions": versions()}
    entry |= {"steps": options.steps, "warm_up_steps": WARM_UP, "command": f"scripts/experiments/training_speed.py {shlex.join(arguments)}"}
    result_entries.keep(options.results, entry, _key)
    print(f"{entry['tokens_per_second']:,.0f} tokens/s, {entry['step_seconds']:.2f} s a step, loss {entry['losses'][-1:]}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"training_speed: {error}")
