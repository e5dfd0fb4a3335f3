"""Merge a trained adapter into its base model with Axolotl and restore what training never changed; or adopt a fully fine-tuned model.

`axolotl merge-lora` rounds every matrix to 4 bits on the way, even the embeddings and the language-model head, which were in full
precision during training. So each tensor that no adapter changed is copied from the base model.
"""

import contextlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from safetensors import safe_open
from safetensors.torch import save_file

from crm_dedup_plugin import process
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.storage import replace_folder

ADAPTER = "adapter_model.safetensors"
TEMPLATE = "chat_template.jinja"
WEIGHTS = ["*.safetensors", "*.json"]  # what is fetched of a model on the Hub


def merge(config: Path, base_model: str, output_dir: Path, target: Path, overrides: Sequence[str] = ()) -> None:
    """Write the merged model of `output_dir` to `target` (safetensors, tokenizer, chat template), whole or not at all."""
    merged, log = output_dir / "merged", output_dir / "merge.log"
    shutil.rmtree(merged, ignore_errors=True)
    trained = f"--lora_model_dir={output_dir}"  # by default Axolotl would merge the adapter that the training began with, if there was one
    if code := process.run([sys.executable, "-m", "axolotl.cli.merge_lora", str(config), *overrides, trained], log):
        raise UserError(
            f"the merge {process.how_it_ended(code)}; the adapter is safe in {output_dir}: run the same command again to merge it. "
            f"The last lines of {log}:\n{process.tail(log)}"
        )
    complete(merged, base_model, output_dir, target)


def complete(merged: Path, base_model: str, output_dir: Path, target: Path) -> None:
    """Restore what training never changed in `merged`, Axolotl's merge of `output_dir`, and move it to `target`."""
    base = base_model if Path(base_model).is_dir() else snapshot_download(base_model, allow_patterns=WEIGHTS, local_files_only=True)
    restore(merged, Path(base), output_dir / ADAPTER)
    # Axolotl copies the base model's template; the configuration may have trained with another (`chat_template`).
    template = output_dir / TEMPLATE
    if template.is_file():
        shutil.copy(template, merged / TEMPLATE)
    replace_folder(target, merged)


def adopt(output_dir: Path, target: Path) -> None:
    """Write the fully fine-tuned model in `output_dir` to `target` in bf16, whole or not at all."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    merged = output_dir / "merged"
    shutil.rmtree(merged, ignore_errors=True)
    AutoModelForCausalLM.from_pretrained(output_dir, dtype=torch.bfloat16).save_pretrained(merged)
    AutoTokenizer.from_pretrained(output_dir).save_pretrained(merged)
    replace_folder(target, merged)


def restore(merged: Path, base: Path, adapter: Path) -> list[str]:
    """Copy from `base` every tensor of `merged` that `adapter` did not change; return the names of those that differed."""
    with safe_open(adapter, "pt") as file:
        changed = {key.removeprefix("base_model.model.").rpartition(".lora_")[0] + ".weight" for key in file.keys()}
    restored = []
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(safe_open(path, "pt")) for path in base.glob("*.safetensors")]
        where = {key: file for file in files for key in file.keys()}
        for path in sorted(merged.glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                tensors, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()
            for key in sorted(set(tensors) - changed):
                original = where[key].get_tensor(key).to(tensors[key].dtype)
                if not torch.equal(tensors[key], original):
                    tensors[key] = original
                    restored.append(key)
            partial = path.with_suffix(".part")
            save_file(tensors, partial, metadata={"format": "pt", **(metadata or {})})
            partial.replace(path)
    return restored
