"""The roofline: how many pairs a second a machine could answer if only arithmetic and memory took time.

For a pair with p prompt tokens, c of them from the prefix cache, and o output tokens, a model with w weights in its
layers, h in its head, L layers, a = heads x head size, k = key-value heads x head size, and b pairs in flight:

    FLOPs = 2 w (p - c + o - 1) + 2 h o + 4 L a (sum of the contexts of the p - c + o - 1 tokens computed)
    bytes = (o - 1) (weights in bytes) / b + 2 L k (2 bytes) (sum of the contexts of the o - 1 decoded tokens)
    seconds = the larger of FLOPs / (FLOP/s) and bytes / (bytes/s)

The first output token comes from the prompt's own pass. Prompts are long enough to be limited by arithmetic, so reading the
weights for them is left out. Reading and computing overlap perfectly, which no engine achieves; published systems reach 40-50%.
The arithmetic and memory of the machine come from its data sheet or, where none is known, are measured.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

# By a part of the GPU's name: dense bf16 FLOP/s without sparsity and bytes/s, of NVIDIA's data sheets. The first that fits counts.
SHEETS = yaml.safe_load(Path(__file__).with_name("gpus.yml").read_text(encoding="utf-8"))
FP8 = 2.0  # times the arithmetic of bf16, where the GPU has it at all


class Hardware(NamedTuple):
    """A machine: FLOP/s in the type that the model computes in, bytes/s of its memory, and the source of both."""

    name: str
    kind: str
    flops: float
    bandwidth: float
    source: str


@functools.cache  # measuring a processor takes six seconds, and every part of a benchmark asks
def detect(dtype: str = "bfloat16", quantization: str | None = None) -> Hardware:
    """Return the data sheet of this machine's GPU, or what the GPU or the processor is measured to do in `dtype`."""
    import torch

    if not torch.cuda.is_available():
        alone = [sys.executable, "-m", __name__, dtype]  # in a process where vLLM has been, there is one thread for ever
        flops, bandwidth = map(float, subprocess.run(alone, stdout=subprocess.PIPE, text=True, check=True).stdout.split())
        return Hardware(processor(), "cpu", flops, bandwidth, "measured")
    name = torch.cuda.get_device_name()
    sheet = next((numbers for part, numbers in SHEETS.items() if part in name), None)
    if sheet is None:
        return Hardware(name, "cuda", *_measured(dtype), "measured")
    return Hardware(name, "cuda", sheet[0] * (FP8 if quantization == "fp8" else 1), sheet[1], "data sheet")


def mps() -> bool:
    """Tell whether NVIDIA's Multi-Process Service runs: with it, several engines use the GPU at the same time instead of in turn."""
    return (Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")) / "control").exists()


def _measured(dtype: str, seconds: float = 2.0) -> tuple[float, float]:
    """Return FLOP/s of the best square matrix product and bytes/s of the best copy (read and written), `seconds` each, on all cores."""
    import torch
    from torch.utils.benchmark import Timer

    cores = len(os.sched_getaffinity(0))

    def best(statement: str, **names) -> float:
        return min(Timer(statement, globals=names, num_threads=cores).blocked_autorange(min_run_time=seconds).times)

    device = "cuda" if torch.cuda.is_available() else "cpu"
    source = torch.ones(2**26, device=device)
    target = torch.empty_like(source)
    flops = []
    for side in (4096, 8192) if device == "cuda" else (512, 1024):  # which is faster depends on the caches
        matrix = torch.randn(side, side, device=device).to(getattr(torch, dtype))
        flops.append(2 * side**3 / best("matrix @ matrix", matrix=matrix))
    return max(flops), 2 * source.nbytes / best("target.copy_(source)", target=target, source=source)


def processor() -> str:
    """Return the name of the processor and the number of its cores."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = "processor"
    return f"{name} ({os.cpu_count()} cores)"


class Shape(NamedTuple):
    """The sizes of a decoder that determine its costs; `weight_bytes` per weight, 2 in bf16."""

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
    """Return how many tokens those from `first` + 1 to `last` attend to, added up."""
    return (last * (last + 1) - first * (first + 1)) / 2


if __name__ == "__main__":
    print(*_measured(sys.argv[1]))
