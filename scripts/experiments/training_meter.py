"""The Axolotl plugin that `training_speed.py` measures with: ``plugins: [training_meter.Meter]``, with this folder on PYTHONPATH.

It reads the GPU's own clock at the end of every step and waits for it only once, after the last: the steps run as they would without it.
"""

import itertools
import json
import time
from pathlib import Path

import torch
from axolotl.integrations.base import BasePlugin
from transformers import TrainerCallback

from crm_dedup_plugin.benchmark.roofline import detect
from crm_dedup_plugin.storage import write_atomically
from crm_dedup_plugin.training.formatter import IGNORE

FILE = "training_meter_{}.json"
SETTINGS = ("sequence_len", "micro_batch_size", "gradient_accumulation_steps", "sample_packing", "gradient_checkpointing", "adapter", "bf16", "seed")


class Meter(BasePlugin):
    """Writes what each process measured to ``OUTPUT_DIR/training_meter_RANK.json``."""

    def add_callbacks_post_trainer(self, cfg, trainer) -> list:
        """Count what goes into every step of `trainer`, and time it."""
        return [Stopwatch(cfg, trainer)]


class Stopwatch(TrainerCallback):
    """Counts and times the steps of one process."""

    def __init__(self, cfg, trainer):
        self.cfg, self.marks, self.steps, self.batches, self.peaks = cfg, [], [], [], []
        plain = trainer.training_step

        def training_step(model, inputs, *args, **kwargs):
            self.batches.append(count(inputs))
            return plain(model, inputs, *args, **kwargs)

        trainer.training_step = training_step

    def on_train_begin(self, args, state, control, **kwargs):
        """Keep what loading took at the most, and start the clock."""
        self.loading = _peak()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self.marks.append(_mark())

    def on_step_end(self, args, state, control, **kwargs):
        """Note the time, and what the batches of this step held."""
        self.marks.append(_mark())
        self.steps.append(torch.stack(self.batches).sum(dim=0))
        self.batches = []
        self.peaks.append(_peak())  # now: the trainer forgets its peak each time it logs

    def on_train_end(self, args, state, control, **kwargs):
        """Write everything to a file of this process."""
        tokens, examples, positions = torch.stack(self.steps).T.tolist()
        found = {
            "processes": args.world_size,
            "seconds": _seconds(self.marks),
            "tokens": tokens,
            "examples": examples,
            "positions": positions,
            "peak": {key: max(peak[key] for peak in self.peaks) for key in self.peaks[0]} if self.peaks[0] else None,
            "loading_peak": self.loading,
            "losses": [entry["loss"] for entry in state.log_history if "loss" in entry],
            "settings": {key: self.cfg.get(key) for key in SETTINGS},
            "hardware": detect("bfloat16" if self.cfg.bf16 else "float32")._asdict() if args.process_index == 0 else None,
        }
        write_atomically(Path(self.cfg.output_dir) / FILE.format(args.process_index), json.dumps(found) + "\n")


def count(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return how many tokens, examples and positions with padding a batch (rows, positions) holds, without waiting for the GPU.

    Every example ends with a run of labelled tokens, its answer. So runs are examples, packed or not, and in a row without an
    attention mask the padding begins after the last label: a pad token alone tells nothing, because some models end their turns with it.
    """
    labelled = batch["labels"] != IGNORE
    begins = labelled.clone()
    begins[:, 1:] &= ~labelled[:, :-1]
    mask = batch.get("attention_mask")
    if mask is None:
        position = torch.arange(1, labelled.shape[1] + 1, device=labelled.device)
        tokens = (labelled * position).amax(dim=1).sum()
    else:
        tokens = (mask != 0).sum()  # in packed rows it may number the examples
    return torch.stack([tokens, begins.sum(), torch.ones_like(labelled).sum()])


def _mark() -> float | torch.cuda.Event:
    if not torch.cuda.is_available():
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _seconds(marks: list) -> list[float]:
    if not torch.cuda.is_available():
        return [after - before for before, after in itertools.pairwise(marks)]
    torch.cuda.synchronize()
    return [before.elapsed_time(after) / 1000 for before, after in itertools.pairwise(marks)]


def _peak() -> dict[str, int] | None:
    """Return the most bytes that this process has reserved and allocated on its GPU, or None without one."""
    if not torch.cuda.is_available():
        return None
    return {"reserved_bytes": torch.cuda.max_memory_reserved(), "allocated_bytes": torch.cuda.max_memory_allocated()}
