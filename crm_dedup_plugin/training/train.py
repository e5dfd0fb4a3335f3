"""Train one configuration and merge it: ``crm-dedup train smollm2-135m``, or ``make train-smollm2-135m``.

The work is Axolotl's: ``accelerate launch -m axolotl.cli.train axolotl_configs/MODEL.yml``. Here are only the checks
that spare a wasted download, the memory of what was done, and the merge.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.provenance import digest, versions
from crm_dedup_plugin.storage import RESULTS, write_atomically

CONFIGS = Path("axolotl_configs")
MANIFEST = "crm_dedup.json"
QUIET = {
    "AXOLOTL_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "WANDB_MODE": "disabled",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def train(model: str, overrides: list[str], force: bool = False, name: str | None = None) -> Path:
    """Train and merge `model` (the name of a file in axolotl_configs/); return the folder of the merged model.

    Does nothing where the merged model was made from the same data, settings and base. `overrides` go to Axolotl, as in
    ``--micro_batch_size=2``, or ``--adapter= --load_in_4bit=false``, which trains all weights; `name` is that of the results, and of
    the merged model, where it is not that of the configuration. An interrupted run goes on from its last checkpoint.
    """
    config, settings = load_config(model)
    given, overrides = overrides, [*overrides, *((f"--output_dir=outputs/{name}",) if name else ())]
    settings |= parse_overrides(overrides)
    name = name or config.stem
    target = Path(f"outputs/{name}-merged")
    preflight(model, settings)
    from crm_dedup_plugin.training.plugin import DONE, fingerprint

    key = fingerprint({**settings, "overrides": overrides, "base": _base_identity(settings["base_model"])})
    manifest = target / MANIFEST
    if not force and manifest.is_file() and json.loads(manifest.read_text()).get("fingerprint") == key:
        print(f"{target} is up to date")
        return target
    output_dir = Path(settings["output_dir"])
    if force:
        shutil.rmtree(output_dir, ignore_errors=True)
    environment = {**QUIET, **os.environ}
    if Path(settings["base_model"]).is_dir():
        environment.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.update(environment)
    (output_dir / DONE).unlink(missing_ok=True)
    launch = [sys.executable, "-m", "accelerate.commands.launch", *_launch_options(), "-m", "axolotl.cli.train", str(config), *overrides]
    code = subprocess.run(launch).returncode
    # Axolotl leaves with 0 on Ctrl-C too, having saved a half-trained adapter.
    if code or not (output_dir / DONE).is_file():
        raise UserError(f"training of {model} stopped before its last step (exit code {code}): run the same command to go on from {output_dir}")

    from crm_dedup_plugin.training.merge import adopt, merge

    if settings.get("adapter"):
        merge(config, settings["base_model"], output_dir, target, overrides)
    else:
        adopt(output_dir, target)
    done = json.loads((output_dir / DONE).read_text())
    details = {
        "fingerprint": key,
        "config": str(config),
        "overrides": given,
        "base_model": settings["base_model"],
        "train_sha256": digest([Path(settings["datasets"][0]["path"])]),
        "seconds": done["seconds"],
        "machine": done["machine"],
        "versions": versions(),
    }
    text = json.dumps(details, indent=2) + "\n"
    write_atomically(manifest, text)
    write_report(name, text)
    return target


def write_report(name: str, text: str) -> None:
    """Write what is known of a training, as its manifest says it, to ``outputs/results/NAME/training.json``."""
    report = RESULTS / name / "training.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(report, text)


def load_config(model: str) -> tuple[Path, dict]:
    """Return the path and the settings of a configuration, by its name or its path; raises UserError with the names that exist."""
    path = Path(model) if model.endswith(".yml") else CONFIGS / f"{model}.yml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in CONFIGS.glob("*.yml")))
        cure = f"use one of {known}, or copy one and change it" if known else "run this in the repository, or name a file, as in path/to/model.yml"
        raise UserError(f"there is no configuration {path}: {cure}")
    return path, yaml.safe_load(path.read_text(encoding="utf-8"))


def parse_overrides(overrides: list[str]) -> dict:
    """Return what ``--key=value`` options say; raises UserError for any other form."""
    for option in overrides:
        if not option.startswith("--") or "=" not in option:
            raise UserError(f"{option} is not understood: write options for Axolotl as --key=value, as in --micro_batch_size=2")
    pairs = (option.removeprefix("--").split("=", 1) for option in overrides)
    return {key.replace("-", "_"): yaml.safe_load(value) for key, value in pairs}


def preflight(model: str, settings: dict) -> None:
    """Raise UserError, before any download, where this machine or this account cannot train the model."""
    import torch

    for source in [*settings["datasets"], *(settings.get("test_datasets") or [])]:
        if not Path(source["path"]).is_file():
            raise UserError(f"{source['path']} does not exist: run `make prep` first")
    if settings.get("bf16") is True and not settings.get("crm_dedup_cpu") and not torch.cuda.is_available():
        raise UserError(
            f"{model} needs an NVIDIA GPU with 24 GB and CUDA, and there is none here: train it on one, or try `make demo`, which needs none"
        )
    base = settings["base_model"]
    size = _local_size(Path(base)) if Path(base).is_dir() else _hub_size(base)
    free = shutil.disk_usage(".").free
    needed = int(size * (1.2 if Path(base).is_dir() else 2.2)) + 2**30
    if free < needed:
        raise UserError(
            f"{free / 2**30:.1f} GiB of disk are free and {model} needs about {needed / 2**30:.1f}: make room, or set HF_HOME to a larger disk"
        )


def _hub_size(base: str) -> int:
    """Return the bytes still to download; raises UserError where the model is gated, unknown or out of reach."""
    import httpx
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    if base.count("/") != 1 or base.startswith(("outputs/", ".", "/")):
        raise UserError(f"the base model {base} does not exist: run `crm-dedup fetch` (or `make demo`), or name a model of the Hub")
    try:
        snapshot_download(base, allow_patterns=["*.safetensors", "*.json"], local_files_only=True)
        return 0
    except (LocalEntryNotFoundError, OSError):
        pass
    try:
        api = HfApi()
        api.auth_check(base)
        files = api.model_info(base, files_metadata=True).siblings
        return sum(file.size or 0 for file in files if file.rfilename.endswith(".safetensors"))
    except GatedRepoError:
        raise UserError(f"{base} is gated: accept its licence on its page on the Hub, then log in with `hf auth login`") from None
    except RepositoryNotFoundError:
        raise UserError(f"{base} is not on the Hub, or this account may not see it: check base_model, then `hf auth login`") from None
    except (OSError, HfHubHTTPError, httpx.HTTPError) as error:
        raise UserError(
            f"the Hub cannot be reached for {base} ({type(error).__name__}): check the network, or set base_model to a local folder"
        ) from None


def _launch_options() -> list[str]:
    """Return what accelerate would otherwise ask about; a configuration of the user's own comes first."""
    import torch

    if os.environ.get("ACCELERATE_ARGS"):
        return os.environ["ACCELERATE_ARGS"].split()
    processes = max(torch.cuda.device_count(), 1)
    options = ["--num_processes", str(processes), "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    return [*options, "--multi_gpu"] if processes > 1 else options


def _base_identity(base: str) -> str:
    source = Path(base) / "SOURCE.json"
    return source.read_text() if source.is_file() else base


def _local_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
