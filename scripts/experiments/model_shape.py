"""Write the shape of a model, for ``crm-dedup bench NAME --random-weights --model FOLDER`` on a machine that cannot reach the Hub.

``.venv/bin/python scripts/experiments/model_shape.py qwen3-4b outputs/shapes/qwen3-4b``: a configuration with the sizes that the model's own
publishes, and the tokenizer of SmolLM2 in place of its own. Speed depends on the sizes; the tokens of a pair differ a little.
With ``--weights`` random ones too, which training wants: 6 to 15 GB.
"""

import argparse
import tempfile
from pathlib import Path

from crm_dedup_plugin.training.base_model import TARGET, fetch

COMMON = {"num_key_value_heads": 8, "max_position_embeddings": 8192}
SIZES = {
    "qwen3-4b": ("Qwen3Config", {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32}, 151936, True),
    "llama32-3b": ("LlamaConfig", {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 24}, 128256, True),
    "phi4mini": ("Phi3Config", {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32, "num_attention_heads": 24}, 200064, True),
    # Its own vocabulary of 32,768 is smaller than that of the tokenizer that stands in.
    "mistral7b": (
        "MistralConfig",
        {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32},
        49152,
        False,
    ),
}


def write(name: str, folder: Path) -> None:
    """Write the configuration of `name` and the stand-in tokenizer to `folder`."""
    import transformers

    if not (TARGET / "tokenizer.json").is_file():
        fetch()
    tokenizer = transformers.AutoTokenizer.from_pretrained(TARGET)
    kind, sizes, vocabulary, tied = SIZES[name]
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    rest = {"vocab_size": vocabulary, "tie_word_embeddings": tied, "dtype": "bfloat16"}
    heads = {} if name == "phi4mini" else {"head_dim": 128}
    config = getattr(transformers, kind)(**COMMON, **sizes, **heads, **ids, **rest)
    config.architectures = [kind.replace("Config", "ForCausalLM")]
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def fill(folder: Path, seed: int = 7) -> None:
    """Write random weights in bf16 for the configuration in `folder`, made on the GPU where there is one; does nothing where weights are."""
    import torch
    import transformers
    from huggingface_hub import save_torch_state_dict

    if (folder / "model.safetensors").is_file() or (folder / "model.safetensors.index.json").is_file():
        return
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(folder), dtype=torch.bfloat16)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator(device).manual_seed(seed)
    weights = {}
    for name, parameter in model.named_parameters():  # names a tied head once
        tensor = torch.ones(parameter.shape, dtype=torch.bfloat16, device=device)
        weights[name] = tensor.normal_(std=0.02, generator=generator) if tensor.dim() > 1 else tensor
    with tempfile.TemporaryDirectory(dir=folder, prefix=".weights-") as partial:
        save_torch_state_dict(weights, partial, max_shard_size="2GB")
        for path in sorted(Path(partial).iterdir()):  # the index comes last: weights are there when it is
            path.rename(folder / path.name)


def main() -> None:
    """Read the options, and write what is asked for and not there."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", choices=SIZES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", action="store_true", help="random weights too")
    options = parser.parse_args()
    if not (options.folder / "config.json").is_file() or not options.weights:
        write(options.name, options.folder)
    if options.weights:
        fill(options.folder)
    print(f"written: {options.folder}")


if __name__ == "__main__":
    main()
