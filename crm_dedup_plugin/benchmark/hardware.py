"""What the machine could do at best: its arithmetic and its memory, from the data sheet or, where none is known, measured."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from typing import NamedTuple

SHEETS = {  # dense bf16 FLOP/s without sparsity, bytes/s; NVIDIA's data sheets
    "H200": (989e12, 4.8e12),
    "H100 PCIe": (756e12, 2.0e12),
    "H100 NVL": (835e12, 3.9e12),
    "H100": (989e12, 3.35e12),
    "A100-SXM4-80GB": (312e12, 2.039e12),
    "A100": (312e12, 1.555e12),
    "L40S": (362e12, 0.864e12),
    "L4": (121e12, 0.3e12),
    "A10G": (70e12, 0.6e12),
    "RTX 4090": (165e12, 1.008e12),
}
FP8 = 2.0  # times the arithmetic of bf16, where the GPU has it at all


class Hardware(NamedTuple):
    """A machine: FLOP/s in the type that the model computes in, bytes/s of its memory, and where both are from."""

    name: str
    kind: str
    flops: float
    bandwidth: float
    source: str


@functools.cache  # a processor is measured for six seconds, and every part of a benchmark asks
def detect(dtype: str = "bfloat16", quantization: str | None = None) -> Hardware:
    """Return what is known of this machine's GPU, or what its processor is measured to do in `dtype`."""
    import torch

    if not torch.cuda.is_available():
        return Hardware(_processor(), "cpu", *_measured(dtype), "measured")
    name = torch.cuda.get_device_name()
    sheet = next((numbers for part, numbers in SHEETS.items() if part in name), None)
    if sheet is None:
        return Hardware(name, "cuda", *_measured(dtype), "measured")
    return Hardware(name, "cuda", sheet[0] * (FP8 if quantization == "fp8" else 1), sheet[1], "data sheet")


def mps() -> bool:
    """Tell whether NVIDIA's Multi-Process Service runs: under it, several engines use the GPU at the same time, not in turns."""
    return (Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")) / "control").exists()


def _measured(dtype: str, seconds: float = 2.0) -> tuple[float, float]:
    """Return FLOP/s of the best square matrix product and bytes/s of the best copy (read and written), `seconds` each."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    source = torch.ones(2**26, device=device)
    target = torch.empty_like(source)
    flops = []
    for side in (4096, 8192) if device == "cuda" else (512, 1024):  # which is faster depends on the caches
        matrix = torch.randn(side, side, device=device).to(getattr(torch, dtype))
        flops.append(2 * side**3 / _best(functools.partial(torch.matmul, matrix, matrix), seconds))
    return max(flops), 2 * source.nbytes / _best(lambda: target.copy_(source), seconds)


def _best(work, seconds: float) -> float:
    import torch

    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    times, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 3:
        wait()
        began = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - began)
    return min(times)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = "processor"
    return f"{name} ({os.cpu_count()} cores)"
