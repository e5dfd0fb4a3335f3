"""The physical limit: how many pairs a second a machine could answer if nothing but arithmetic and memory took time.

For a pair with p prompt tokens, c of them from the prefix cache, and o output tokens, a model with w weights in its
layers, h in its head, L layers, a = heads x head size, k = key-value heads x head size, and b pairs in flight:

    FLOPs = 2 w (p - c + o - 1) + 2 h o + 4 L a (sum of the contexts of the p - c + o - 1 tokens computed)
    bytes = (o - 1) (weights in bytes) / b + 2 L k (2 bytes) (sum of the contexts of the o - 1 decoded tokens)
    seconds = the larger of FLOPs / (FLOP/s) and bytes / (bytes/s)

The first output token comes from the prompt's own pass. Prompts are long enough to be limited by arithmetic, so their reads of
weights are left out. Reading and computing overlap perfectly, which no engine achieves; published systems reach 40-50%.
"""

from __future__ import annotations

from typing import NamedTuple

from crm_dedup_plugin.benchmark.hardware import Hardware


class Shape(NamedTuple):
    """The sizes of a decoder that its costs depend on; `weight_bytes` a weight, 2 in bf16."""

    body: int
    head: int
    layers: int
    attention: int
    key_value: int
    weight_bytes: float

    @classmethod
    def of(cls, config, weight_bytes: float) -> Shape:
        """Return the shape of a Transformers configuration with gated MLPs (Llama, Qwen3, Mistral, Phi-3)."""
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        attention, key_value = config.num_attention_heads * size, config.num_key_value_heads * size
        layer = config.hidden_size * (2 * attention + 2 * key_value) + 3 * config.hidden_size * config.intermediate_size
        return cls(
            config.num_hidden_layers * layer, config.hidden_size * config.vocab_size, config.num_hidden_layers, attention, key_value, weight_bytes
        )


def pairs_per_second(shape: Shape, machine: Hardware, prompt: float, cached: float, output: float, in_flight: float) -> float:
    """Return the limit for mean token counts of a pair, with `in_flight` pairs answered at once."""
    flops, moved = costs(shape, prompt, cached, output, in_flight)
    return 1 / max(flops / machine.flops, moved / machine.bandwidth)


def costs(shape: Shape, prompt: float, cached: float, output: float, in_flight: float) -> tuple[float, float]:
    """Return the FLOPs and the bytes of one pair."""
    decoded = output - 1
    computed = prompt - cached + decoded
    contexts, decoded_contexts = _contexts(cached, prompt + decoded), _contexts(prompt, prompt + decoded)
    flops = 2 * shape.body * computed + 2 * shape.head * output + 4 * shape.layers * shape.attention * contexts
    weights = (shape.body + shape.head) * shape.weight_bytes
    moved = decoded * weights / in_flight + 4 * shape.layers * shape.key_value * decoded_contexts
    return flops, moved


def _contexts(first: float, last: float) -> float:
    """Return the sum of the numbers of tokens that each of the tokens after `first`, up to `last`, attends to."""
    return (last * (last + 1) - first * (first + 1)) / 2
