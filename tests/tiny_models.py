"""Two-layer twins of the supported models, and a process that trains and merges them: ``python tests/tiny_models.py MODEL...``."""

import gc
import importlib
import json
import sys
from pathlib import Path

WHOLE = "+whole"  # after a name: all weights are trained, without an adapter
CONFIGS = Path(__file__).resolve().parents[1] / "axolotl_configs"
# model: configuration class, is the head tied to the embeddings (as in the real one), tokens of its own
TWINS = {
    "phi4mini": ("Phi3Config", True, []),
    "qwen3-4b": ("Qwen3Config", True, []),
    "llama32-3b": ("LlamaConfig", True, ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]),
    "mistral7b": ("MistralConfig", False, []),
}
OVERRIDES = {
    "bf16": "false",
    "tf32": "false",
    "micro_batch_size": "1",
    "gradient_accumulation_steps": "1",
    "max_steps": "3",
    "num_epochs": "1",
    "learning_rate": "0.02",
    "logging_steps": "1",
    "dataset_num_proc": "0",
    "dataloader_num_workers": "0",
}


def build(name: str, folder: Path, tokenizer, head_dim: int = 16, kind: str = "", **saving) -> Path:
    """Write the twin of `name` with random weights and `tokenizer` to `folder`; `kind` names another configuration class.

    vLLM without a GPU wants heads of 32 or more.
    """
    import torch
    import transformers

    own, tied, tokens = TWINS[name]
    torch.manual_seed(7)
    tokenizer.save_pretrained(folder)
    if tokens:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        tokenizer.add_special_tokens({"additional_special_tokens": tokens})
        tokenizer.bos_token, tokenizer.eos_token = tokens[0], tokens[-1]
        tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": head_dim}
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    rest = {"vocab_size": len(tokenizer), "tie_word_embeddings": tied, "max_position_embeddings": 4096}
    config = getattr(transformers, kind or own)(**sizes, **heads, **ids, **rest)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder, **saving)
    return folder


def write_splits(folder: Path, train: int = 24, val: int = 12) -> None:
    """Write a train and a val split of generated pairs to ``folder/data/splits``."""
    from compact_pairs import generate

    from crm_dedup_plugin.dataset.prepare import in_prompt_order

    rows = [json.dumps(in_prompt_order(row)) for row in generate(train + val)]
    splits = folder / "data" / "splits"
    splits.mkdir(parents=True)
    (splits / "train.jsonl").write_text("\n".join(rows[:train]) + "\n")
    (splits / "val.jsonl").write_text("\n".join(rows[train:]) + "\n")


def arguments(name: str) -> list[str]:
    """Return what turns the real configuration of `name` into three steps of its twin on a CPU."""
    base = name.removesuffix(WHOLE)
    whole = {"adapter": "", "load_in_4bit": "false", "learning_rate": "0.001", "output_dir": f"outputs/{name}"} if base != name else {}
    return [f"--{key}={value}" for key, value in {**OVERRIDES, "base_model": f"base/{base}", **whole}.items()]


def train(names: list[str]) -> None:
    """Train and merge each of `names` through Axolotl's command lines, in this process: starting one takes longer than the training."""
    import datasets
    import fire
    from axolotl.cli import merge_lora
    from axolotl.cli.train import do_cli

    for module in ("axolotl.core.builders", "axolotl.train"):
        importlib.import_module(module)
    save = datasets.Dataset.save_to_disk
    datasets.Dataset.save_to_disk = lambda rows, path, num_proc, **options: save(rows, path, **options)  # not in two processes of their own
    for name in names:
        gc.freeze()  # Axolotl collects garbage at every turn, a third of a second each among all these modules
        sys.argv = ["axolotl", str(CONFIGS / f"{name.removesuffix(WHOLE)}.yml"), *arguments(name)]
        fire.Fire(do_cli)
        if not name.endswith(WHOLE):
            fire.Fire(merge_lora.do_cli)


if __name__ == "__main__":
    train(sys.argv[1:])
