"""How vLLM is started on this machine, for lm-eval, for the probabilities and for the benchmark alike."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

CONTEXT = 8192
SEED = 7


def settings() -> dict:
    """Return the arguments of the engine; every prompt fits its context."""
    import torch

    # Without a GPU, compiling takes longer than the whole evaluation, and bfloat16 is slow on most processors.
    machine = {} if torch.cuda.is_available() else {"enforce_eager": True, "dtype": "float32"}
    return {"max_model_len": CONTEXT, "seed": SEED, **machine}


def environment(model: str) -> dict[str, str]:
    """Return the variables that vLLM wants on this machine for `model`."""
    import torch

    variables = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if Path(model).is_dir():
        variables["HF_HUB_OFFLINE"] = "1"
    if torch.cuda.is_available():  # asking has touched CUDA, which a forked engine could not use any more
        return variables | {"VLLM_WORKER_MULTIPROC_METHOD": "spawn", "TOKENIZERS_PARALLELISM": "true"}
    return variables | {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": str(os.cpu_count())}


def normalised(logprobs: Sequence[float]) -> list[float]:
    """Return probabilities that sum to 1, of the log-probabilities of all choices there are."""
    highest = max(logprobs)
    weights = [math.exp(value - highest) for value in logprobs]
    return [weight / sum(weights) for weight in weights]
