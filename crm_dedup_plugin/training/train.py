"""Train one configuration and merge it: ``crm-dedup train smollm2-135m``, or ``make train-smollm2-135m``.

Axolotl does the work: ``accelerate launch -m axolotl.cli.train axolotl_configs/MODEL.yml``. This module adds the checks before
any download, a manifest of what was done, and the merge.
"""

import difflib
import json
import os
import pkgutil
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from crm_dedup_plugin import process
from crm_dedup_plugin.dataset.families import learned_from
from crm_dedup_plugin.errors import CONFIGS, UserError
from crm_dedup_plugin.provenance import FAMILIES, MANIFEST, PRIVATE, digest, families, private_records, versions
from crm_dedup_plugin.storage import RESULTS, write_atomically
from crm_dedup_plugin.training import base_model

OUT_OF_MEMORY = re.compile(r"out of memory|OutOfMemory|Cannot allocate memory")
QUIET = {
    "AXOLOTL_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "WANDB_MODE": "disabled",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def train(model: str, overrides: Sequence[str] = (), force: bool = False, name: str | None = None) -> Path:
    """Train and merge `model` (the name of a file in axolotl_configs/); return the folder of the merged model.

    Does nothing if the merged model was made from the same data, settings and base. `overrides` replace keys of the configuration, as
    in ``--micro_batch_size=2``, or ``--adapter= --load_in_4bit=false``, which trains all weights; `name` is the name of the merged
    model and of its results, by default that of the configuration. An interrupted run continues from its last checkpoint.
    Raises UserError on what the user can put right, as much of it as possible before any work.
    """
    config, settings = load_config(model)
    given, overrides = list(overrides), [*overrides, *((f"--output_dir=outputs/{name}",) if name else ())]
    settings |= parse_overrides(overrides)
    name = name or config.stem
    target = Path(f"outputs/{name}-merged")
    with process.silent():
        from crm_dedup_plugin.training.plugin import fingerprint
    require_known_keys(settings)
    preflight(model, settings)

    source = Path(settings["base_model"]) / base_model.SOURCE
    identity = source.read_text() if source.is_file() else settings["base_model"]
    key = fingerprint({**settings, "overrides": overrides, "base": identity})
    manifest = target / MANIFEST
    if not force and manifest.is_file() and json.loads(manifest.read_text()).get("fingerprint") == key:
        print(f"{target} is up to date")
        return target
    if force:
        shutil.rmtree(settings["output_dir"], ignore_errors=True)
    done = run(model, config, settings, target, overrides)
    details = {
        "fingerprint": key,
        "config": str(config),
        "overrides": given,
        "base_model": settings["base_model"],
        "train_sha256": digest([data := Path(settings["datasets"][0]["path"])]),
        FAMILIES: sorted({*learned_from(data), *families(settings["base_model"]), *families(f"{settings.get('lora_model_dir')}-merged")}),
        **done,
        "versions": versions(),
    }
    text = json.dumps(details, indent=2) + "\n"
    write_atomically(manifest, text)
    write_report(name, text)
    return target


def run(what: str, config: Path, settings: dict, target: Path, overrides: Sequence[str] = (), processes: int | None = None) -> dict:
    """Train as `config` with `overrides` says, which `settings` are, and write the merged model to `target`; return seconds and machine.

    `what` is its name for people; `processes` how many take part, by default one a GPU. Raises UserError if it stops early.
    """
    with process.silent():
        from crm_dedup_plugin.training.merge import adopt, merge
        from crm_dedup_plugin.training.plugin import DONE
    output_dir = Path(settings["output_dir"])
    os.environ.update({**QUIET, **({"HF_HUB_OFFLINE": "1"} if Path(settings["base_model"]).is_dir() else {}), **os.environ})
    _launch(what, config, overrides, output_dir, processes)
    print(f"merging (details: {output_dir / 'merge.log'})", flush=True)
    if settings.get("adapter"):
        merge(config, settings["base_model"], output_dir, target, overrides)
    else:
        adopt(output_dir, target)
    if private_records(base := Path(settings["base_model"])):
        shutil.copy(base / PRIVATE, target / PRIVATE)
    done = json.loads((output_dir / DONE).read_text())
    return {"seconds": done["seconds"], "machine": done["machine"]}


def _launch(model: str, config: Path, overrides: Sequence[str], output_dir: Path, processes: int | None) -> None:
    """Run Axolotl, show its progress, and write everything else to ``train.log``; raises UserError if it stops early."""
    from crm_dedup_plugin.training.plugin import DONE, PROGRESS

    log = output_dir / "train.log"
    (output_dir / DONE).unlink(missing_ok=True)
    print(f"training {model} (details: {log})", flush=True)
    command = [sys.executable, "-m", "accelerate.commands.launch", *_launch_options(processes), "-m", "axolotl.cli.train", str(config), *overrides]
    code = process.run(command, log, PROGRESS)
    if code or not (output_dir / DONE).is_file():  # Axolotl can leave with 0 before its last step
        cure = "give a smaller --micro_batch_size, then " if OUT_OF_MEMORY.search("\n".join(process.lines(log))) else ""
        raise UserError(
            f"training of {model} stopped before its last step (exit code {code}): {cure}run the same command again to continue "
            f"from {output_dir}. The last lines of {log}:\n{process.tail(log)}"
        )


def require_known_keys(settings: dict) -> None:
    """Raise UserError, naming the nearest key, on a key that neither Axolotl nor a plugin knows: Axolotl drops it silently."""
    for key, known in unknown_keys(settings).items():
        near = difflib.get_close_matches(key.rpartition(".")[2], known, 1)
        cure = f"did you mean {near[0]}?" if near else "its documentation lists all keys"
        raise UserError(f"{key} is a key of neither Axolotl nor its plugins: {cure}")


def unknown_keys(settings: dict) -> dict[str, list[str]]:
    """Return the keys that Axolotl would drop (those of a list or a group as ``datasets.KEY``), with those that it knows there."""
    with process.silent():
        from axolotl.utils.schemas.config import AxolotlInputConfig
        from axolotl.utils.schemas.datasets import SFTDataset
        from axolotl.utils.schemas.fsdp import FSDPConfig

        plugins = [pkgutil.resolve_name(name.replace(":", "."))().get_input_args() for name in settings.get("plugins") or []]
        models = [AxolotlInputConfig, *(pkgutil.resolve_name(arguments) for arguments in plugins if arguments)]
    known = {"": _names(*models), "datasets": _names(SFTDataset), "test_datasets": _names(SFTDataset), "fsdp_config": _names(FSDPConfig)}
    found = [("", key.partition("__")[0]) for key in settings]
    found += [(group, rest) for group, _, rest in (key.partition("__") for key in settings) if rest and group in known]
    for group in known.keys() & settings.keys():
        entries = settings[group] if isinstance(settings[group], list) else [settings[group]]
        found += [(group, key) for entry in entries if isinstance(entry, dict) for key in entry]
    return {".".join(filter(None, (group, key))): sorted(known[group]) for group, key in found if key not in known[group]}


def _names(*models) -> set[str]:
    """Return the names of all fields of pydantic models, and their aliases."""
    fields = [(name, field) for model in models for name, field in model.model_fields.items()]
    return {name for name, _ in fields} | {field.alias for _, field in fields if field.alias}


def write_report(name: str, text: str) -> None:
    """Write the manifest of a training, `text`, to ``outputs/results/NAME/training.json`` as well."""
    write_atomically(RESULTS / name / "training.json", text)


def load_config(model: str) -> tuple[Path, dict]:
    """Return the path and the settings of a configuration, by its name or its path; raises UserError with the names that exist."""
    path = Path(model) if model.endswith(".yml") else CONFIGS / f"{model}.yml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in CONFIGS.glob("*.yml")))
        cure = f"use one of {known}, or copy one and change it" if known else "run this in the repository, or name a file, as in path/to/model.yml"
        raise UserError(f"there is no configuration {path}: {cure}")
    return path, yaml.safe_load(path.read_text(encoding="utf-8"))


def parse_overrides(overrides: list[str]) -> dict:
    """Return the settings in ``--key=value`` options; raises UserError for any other form."""
    found = {}
    for option in overrides:
        key, is_given, value = option.partition("=")
        if not key.startswith("--") or not is_given:
            raise UserError(f"{option} is not understood: write options for Axolotl as --key=value, as in --micro_batch_size=2")
        found[key.removeprefix("--").replace("-", "_")] = yaml.safe_load(value)
    return found


def preflight(model: str, settings: dict) -> None:
    """Raise UserError, before any download, if this machine or this account cannot train the model; fetch SmolLM2 if it is the base."""
    import torch

    for source in [*settings["datasets"], *(settings.get("test_datasets") or [])]:
        if not Path(source["path"]).is_file():
            raise UserError(f"{source['path']} does not exist: run `crm-dedup prepare` first")
    if settings.get("bf16") is True and not settings.get("crm_dedup_cpu") and not torch.cuda.is_available():
        raise UserError(
            f"{model} needs an NVIDIA GPU with 24 GB and CUDA, and there is none here: train it on one, or try `make demo`, which needs none"
        )
    base = settings["base_model"]
    if base == str(base_model.TARGET):
        base_model.fetch()
    local = sum(path.stat().st_size for path in Path(base).glob("*.safetensors"))
    free, needed = shutil.disk_usage(".").free, 2**30 + int(1.2 * local if Path(base).is_dir() else 2.2 * _hub_size(base))
    if free < needed:
        raise UserError(
            f"{free / 2**30:.1f} GiB of disk are free and {model} needs about {needed / 2**30:.1f}: make room, or set HF_HOME to a larger disk"
        )


def _hub_size(base: str) -> int:
    """Return the bytes still to download; raises UserError where the model is gated, unknown or out of reach."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if base.count("/") != 1 or base.startswith(("outputs/", ".", "/")):
        raise UserError(f"the base model {base} does not exist: run `crm-dedup fetch`, or name a model of the Hub")
    try:
        snapshot_download(base, allow_patterns=["*.safetensors", "*.json"], local_files_only=True)
        return 0
    except (LocalEntryNotFoundError, OSError):
        return base_model.hub_weights(base)


def _launch_options(processes: int | None = None) -> list[str]:
    """Return the options of accelerate; those in the variable ACCELERATE_ARGS come first."""
    import torch

    if os.environ.get("ACCELERATE_ARGS"):
        return os.environ["ACCELERATE_ARGS"].split()
    processes = processes or max(torch.cuda.device_count(), 1)
    options = ["--num_processes", str(processes), "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    return [*options, "--multi_gpu"] if processes > 1 else options
