"""Which base model a model was trained from, and the licence under which it may be passed on.

The licence is that of the base model. If the base model is not in `LICENCES`, its card in the Hub's cache is read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from crm_dedup_plugin.errors import UserError, advise
from crm_dedup_plugin.storage import results_of

LICENCES = {  # the id of a model on the Hub: the Hub's name of its licence
    "HuggingFaceTB/SmolLM2-135M-Instruct": "apache-2.0",
    "Qwen/Qwen3-4B-Instruct-2507": "apache-2.0",
    "microsoft/Phi-4-mini-instruct": "mit",
    "mistralai/Mistral-7B-Instruct-v0.3": "apache-2.0",
    "meta-llama/Llama-3.2-3B-Instruct": "llama3.2",
}

DOCUMENTS = ("LICENSE", "LICENSE.txt", "USE_POLICY.md")  # files of the base model that are passed on
OWN_LICENCE = Path("LICENSE")  # Apache-2.0


class Licence(NamedTuple):
    """A licence as it stands in the Hub's metadata."""

    id: str
    name: str | None = None
    link: str | None = None

    @property
    def llama(self) -> str | None:
        """The version of Llama, as in "3.2", if this is a Llama Community License."""
        return self.id.removeprefix("llama") if self.id.startswith("llama") else None


def base_model(name: str, merged: Path) -> str:
    """Return the Hub id of the model that `name` was trained from; raises UserError if it is not recorded."""
    import yaml

    config, training = Path("axolotl_configs") / f"{name}.yml", results_of(name) / "training.json"
    if training.is_file():
        base = json.loads(training.read_text(encoding="utf-8"))["base_model"]
    elif config.is_file():
        base = yaml.safe_load(config.read_text(encoding="utf-8"))["base_model"]
    else:
        raise UserError(f"neither {training} nor {config} says what {name} was trained from: train it with {advise('train', name)}")
    if base.count("/") == 1 and not base.startswith((".", "/", "outputs/")) and not Path(base).exists():
        return base
    for source in (Path(base) / "SOURCE.json", merged / "SOURCE.json"):
        if source.is_file() and (model := json.loads(source.read_text(encoding="utf-8")).get("model")):
            return model
    raise UserError(f'the base model {base} is a folder of unknown origin: write {{"model": "ORGANISATION/MODEL"}} to {Path(base) / "SOURCE.json"}')


def of(base: str) -> Licence:
    """Return the licence of a model on the Hub; raises UserError if it is not known."""
    if base in LICENCES:
        known = LICENCES[base]
        return Licence(known, link=f"https://huggingface.co/{base}/blob/main/LICENSE.txt" if known.startswith("llama") else None)
    from huggingface_hub import ModelCard

    card = cached(base, "README.md")
    stated = ModelCard.load(card, ignore_metadata_errors=True).data if card else {}
    if not stated.get("license"):
        raise UserError(f"the licence of {base} is not known here: run `hf download {base} README.md`, whose metadata state it, and push again")
    return Licence(stated.get("license"), stated.get("license_name"), stated.get("license_link"))


def default_name(name: str, licence: Licence) -> str:
    """Return the default name of the repository; Llama's licence requires that it begins with "Llama"."""
    plain = f"crm-dedup-{name.replace('/', '-')}"
    return f"Llama-{plain}" if licence.llama else plain


def documents(base: str, licence: Licence, repo: str) -> tuple[dict[str, str], dict[str, Path]]:
    """Return the texts and files that the licence requires beside the model; raises UserError if its terms are not met."""
    if licence.llama and not repo.split("/")[1].startswith("Llama"):
        raise UserError(
            f"{repo}: the licence of {base} wants a name that begins with Llama: choose one, as in --repo {repo.replace('/', '/Llama-', 1)}"
        )
    found = {file: path for file in DOCUMENTS if (path := cached(base, file))}
    if licence.id == "apache-2.0" and not found and OWN_LICENCE.is_file():
        found = {"LICENSE": OWN_LICENCE}  # the same text, word for word
    wanted = "LICENSE.txt" if licence.llama else "LICENSE"
    if wanted not in found and (licence.llama or licence.id == "mit"):
        raise UserError(f"the licence of {base} wants a copy of itself beside the model: run `hf download {base} {wanted}` and push again")
    title = f"Llama {licence.llama}"
    notice = f"{title} is licensed under the {title} Community License, Copyright © Meta Platforms, Inc. All Rights Reserved.\n"
    return {"NOTICE": notice} if licence.llama else {}, found


def cached(base: str, file: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(base, file)
    return Path(found) if isinstance(found, str) else None
