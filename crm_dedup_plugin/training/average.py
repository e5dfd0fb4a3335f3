"""Average trained models weight by weight: ``crm-dedup average smollm2-135m smollm2-135m-a smollm2-135m-b``.

Models trained from the same base make different mistakes, above all on pairs unlike their training data. Their average is as fast as a
single model and can make fewer (Wortsman et al. 2022, "Model soups"); results/quality.md has the numbers.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin.errors import UserError, advise
from crm_dedup_plugin.provenance import BESIDE, FAMILIES, MANIFEST, PRIVATE, families, private_records
from crm_dedup_plugin.storage import whole_folder, write_atomically
from crm_dedup_plugin.training.train import write_report


def average(name: str, parents: Sequence[str]) -> Path:
    """Write the mean of all ``outputs/PARENT-merged`` to ``outputs/NAME-merged`` and how it was made to results; return the folder.

    Raises UserError on fewer than two parents, on one that is not trained, and on parents of different bases or shapes.
    """
    if len(set(parents)) < 2 or name in parents:
        raise UserError(f"{name} of {' '.join(parents)}: name at least two other models to average")
    folders = [Path(f"outputs/{parent}-merged") for parent in parents]
    for folder, parent in zip(folders, parents, strict=True):
        if not (folder / MANIFEST).is_file():
            raise UserError(f"{folder} is no trained model: run {advise('train', parent)} first")
    trained = {parent: json.loads((folder / MANIFEST).read_text(encoding="utf-8")) for parent, folder in zip(parents, folders, strict=True)}
    if len(bases := {history["base_model"] for history in trained.values()}) > 1:
        raise UserError(
            f"{' and '.join(parents)} were trained from different models ({', '.join(sorted(bases))}): an average of their weights is meaningless"
        )
    history = {**trained[parents[0]], "fingerprint": " ".join(one["fingerprint"] for one in trained.values()), "averaged": trained}
    history["seconds"] = round(sum(one["seconds"] for one in trained.values()), 1)
    history[FAMILIES] = sorted({family for folder in folders for family in families(str(folder))})
    target, text = Path(f"outputs/{name}-merged"), json.dumps(history, indent=2) + "\n"
    with whole_folder(target) as partial:
        shutil.copytree(folders[0], partial, ignore=shutil.ignore_patterns("*.safetensors", MANIFEST, *BESIDE), dirs_exist_ok=True)
        for folder in filter(private_records, folders):
            shutil.copy(folder / PRIVATE, partial / PRIVATE)
        _write_mean(folders, partial)
        write_atomically(partial / MANIFEST, text)
    write_report(name, text)
    return target


def _write_mean(folders: Sequence[Path], target: Path) -> None:
    """Write the mean of all tensors, taken in float32, in the files and the types of the first folder."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    for path in sorted(folders[0].glob("*.safetensors")):
        try:
            tensors = [load_file(folder / path.name) for folder in folders]
            mean = {key: torch.stack([one[key].float() for one in tensors]).mean(0).to(first.dtype) for key, first in tensors[0].items()}
        except (OSError, KeyError, RuntimeError, SafetensorError) as error:
            raise UserError(
                f"{path.name} does not hold the same tensors in {' and '.join(map(str, folders))} ({error}): average models of one shape"
            ) from None
        save_file(mean, target / path.name, metadata={"format": "pt"})
