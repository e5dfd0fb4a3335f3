"""Which GPU, which cores and how much memory each of several engines gets."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

from crm_dedup_plugin.benchmark.plan import Workload

MEMORY = 0.9  # of a GPU, for all engines on it together, where the settings name no other share
UNCOUNTED = 0.03  # of a GPU, taken by each further engine beyond its share: CUDA itself, graphs, logits of a full batch


def visible_gpus() -> list[str]:
    """Return the names that CUDA_VISIBLE_DEVICES has, or may have, for the GPUs of this process; none without a GPU."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return (named or [str(at) for at in range(count)])[:count]


def used_gpus(work: Workload) -> list[str]:
    """Return the GPUs that the offline engines of a workload use."""
    return visible_gpus()[: work.engines * work.gpus_each()]


def replicas(work: Workload) -> int:
    """Return how many engines the server has: one a GPU at most, because vLLM's data parallelism knows no more."""
    return max(min(work.engines, len(visible_gpus())), 1)


def variables(at: int, engines: int, gpus: Sequence[str], cores: int) -> dict[str, str]:
    """Return the environment of one engine: one of the GPUs in turn, and its share of the cores."""
    threads = str(max(cores // engines, 1))
    chosen = {"CUDA_VISIBLE_DEVICES": gpus[at % len(gpus)]} if gpus else {}
    return {**chosen, "RAYON_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}


def memory(work: Workload, gpus: Sequence[str]) -> dict[str, Any]:
    """Return the settings that give each engine its share of a GPU's memory; nothing without a GPU."""
    if not gpus:
        return {}
    together = math.ceil(work.engines / len(gpus))
    whole = work.settings().get("gpu_memory_utilization", max(MEMORY - UNCOUNTED * (together - 1), MEMORY / 2))
    return {"gpu_memory_utilization": whole / together, "worker_extension_cls": f"{__name__}.Room"}


class Room:
    """What vLLM's worker is asked in addition; vLLM makes it a base of its own class."""

    def kv_cache_room(self) -> int | None:
        """Return the bytes of cache for another engine in the same share of the memory; None where the settings name them."""
        found, before = getattr(self, "available_kv_cache_memory_bytes", None), self.init_snapshot
        # What was taken before vLLM began to count is CUDA's own memory, which every process has.
        return found and max(int(found) - (before.total_memory - before.free_memory), 1)
