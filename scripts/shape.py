"""Write the shape of a model, for ``crm-dedup bench NAME --random-weights --model FOLDER`` on a machine that cannot reach the Hub.

``.venv/bin/python scripts/shape.py qwen3-4b outputs/shapes/qwen3-4b``: a configuration with the sizes that the model's own
publishes, and the tokenizer of SmolLM2 in place of its own. Speed depends on the sizes; the tokens of a pair differ a little.
"""

from __future__ import annotations

import sys
from pathlib import Path

from crm_dedup_plugin.base_model import TARGET, fetch

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


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in SIZES:
        sys.exit(f"usage: scripts/shape.py {{{','.join(SIZES)}}} FOLDER")
    write(sys.argv[1], Path(sys.argv[2]))
    print(f"written: {sys.argv[2]}")
