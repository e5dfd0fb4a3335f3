"""Which GPU, how many cores and how much memory each of several engines gets; `options` are arguments of vLLM's engine."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crm_dedup_plugin.errors import UserError

MEMORY = 0.9  # share of a GPU for all engines on it together, unless the options name another
UNCOUNTED = 0.03  # share of a GPU that each further engine takes beyond its own: CUDA itself, graphs, logits of a full batch

PRECISIONS = ("bfloat16", "float32")
BFLOAT16 = ("amx_tile", "avx512_bf16")  # what a processor has that multiplies bfloat16, by PyTorch's names


def visible_gpus() -> list[str]:
    """Return the GPUs of this process, as CUDA_VISIBLE_DEVICES names them; none without a GPU."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return (named or [str(at) for at in range(count)])[:count]


def several_gpus() -> bool:
    """Tell whether this process has more than one GPU; PyTorch, which takes seconds to load, is asked only where the system has some."""
    return len(list(Path("/dev").glob("nvidia[0-9]*"))) > 1 and len(visible_gpus()) > 1


def precision() -> str:
    """Return the type of numbers to compute in: bfloat16 where a GPU or the processor multiplies it, which is faster; otherwise float32.

    CRM_DEDUP_PRECISION names another; raises UserError if it is neither.
    """
    import torch

    fast = torch.cuda.is_available() or any(torch.cpu.get_capabilities().get(name) for name in BFLOAT16)
    chosen = os.environ.get("CRM_DEDUP_PRECISION") or ("bfloat16" if fast else "float32")
    if chosen not in PRECISIONS:
        raise UserError(f"CRM_DEDUP_PRECISION={chosen}: set it to {' or '.join(PRECISIONS)}, or unset it")
    return chosen


def gpus_per_engine(options: Mapping[str, Any]) -> int:
    """Return how many GPUs one engine is spread over."""
    return math.prod(int(options.get(f"{kind}_parallel_size", 1)) for kind in ("tensor", "pipeline"))


def used_gpus(engines: int, options: Mapping[str, Any]) -> list[str]:
    """Return the GPUs that so many engines use."""
    return visible_gpus()[: engines * gpus_per_engine(options)]


def replicas(engines: int) -> int:
    """Return how many engines a server has: at most one per GPU, the limit of vLLM's data parallelism."""
    return max(min(engines, len(visible_gpus())), 1)


def variables(at: int, engines: int, gpus: Sequence[str], cores: int) -> dict[str, str]:
    """Return the environment of engine number `at`: one of the GPUs in turn, and its share of the cores."""
    threads = str(max(cores // engines, 1))
    chosen = {"CUDA_VISIBLE_DEVICES": gpus[at % len(gpus)]} if gpus else {}
    return {**chosen, "RAYON_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}


def memory(engines: int, options: Mapping[str, Any], gpus: Sequence[str]) -> dict[str, Any]:
    """Return the options that give each engine its share of a GPU's memory, of what this process left free; nothing without a GPU."""
    if not gpus:
        return {}
    together = math.ceil(engines / len(gpus))
    whole = options.get("gpu_memory_utilization", min(max(MEMORY - UNCOUNTED * (together - 1), MEMORY / 2), _free() - UNCOUNTED))
    return {"gpu_memory_utilization": whole / together, "worker_extension_cls": f"{__name__}.Room"}


def _free() -> float:
    """Return the share of the first GPU's memory that is free, if this process uses it: a model in it may be loaded there."""
    import torch

    if not torch.cuda.is_initialized():
        return 1.0
    free, total = torch.cuda.mem_get_info()
    return free / total


class Room:
    """A method that vLLM adds to its worker: vLLM makes this class a base of its own."""

    def kv_cache_room(self) -> int | None:
        """Return the bytes of cache that fit another engine's equal share of the memory; None where the options name the size."""
        found, before = getattr(self, "available_kv_cache_memory_bytes", None), self.init_snapshot
        # What was in use before vLLM began to count is CUDA's own memory, which every process needs.
        return found and max(int(found) - (before.total_memory - before.free_memory), 1)
