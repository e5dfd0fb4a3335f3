"""The Axolotl plugin: ``plugins: [crm_dedup_plugin.training.plugin.CrmDedupPlugin]``.

It makes training on a CPU correct, computes logits for the answers only, never reuses tokens or checkpoints that belong to other data,
and marks a run as complete once it has reached its last step.
"""

import gc
import hashlib
import json
import logging
import os
import shutil
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from axolotl.integrations.base import BasePlugin
from axolotl.loaders import load_tokenizer
from axolotl.utils.collators import DataCollatorForSeq2Seq
from transformers import TrainerCallback
from transformers.trainer_pt_utils import AcceleratorConfig

from crm_dedup_plugin import process
from crm_dedup_plugin.pair import probe, prompt, tokens
from crm_dedup_plugin.storage import write_atomically
from crm_dedup_plugin.training import formatter, shared_prefix

LOG = logging.getLogger(__name__)
DONE = "crm_dedup_done.json"
PROGRESS = "training: "  # begins a line for people in the log
PATIENCE = 300  # seconds between two such lines at the most
STARTED = "crm_dedup_started.json"
LORA_KERNELS = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel")
GPU_ONLY = ("bf16", "tf32", *LORA_KERNELS)
ADAPTER_ONLY = ("load_in_4bit", *LORA_KERNELS)


class CrmDedupPlugin(BasePlugin):
    """Connects Axolotl's trainer with this task."""

    def get_input_args(self) -> str:
        """Return the path of the class with the configuration keys that this plugin adds."""
        return "crm_dedup_plugin.training.args.CrmDedupArgs"

    def register(self, cfg: dict) -> None:
        """Choose precision and kernels, and key the tokenised data by their content: Axolotl's own key is only the path of the file.

        An empty `adapter` trains all weights.
        """
        gc.freeze()  # Axolotl collects garbage dozens of times, half a second each among all that was imported
        if cfg.get("crm_dedup_cpu") and not torch.cuda.is_available():
            cfg.update(dict.fromkeys(GPU_ONLY, False))
        if not cfg.get("adapter"):
            cfg.update(dict.fromkeys(ADAPTER_ONLY, False), adapter=None)
        prepared = Path(cfg.get("dataset_prepared_path") or "outputs/prepared")
        cfg["dataset_prepared_path"] = str(prepared / fingerprint(cfg))

    def pre_model_load(self, cfg) -> None:
        """Start the clock, and remove what an earlier run with other data or settings left in the output folder."""
        self.began = time.monotonic()
        process.end_with_starter()  # or it would outlive a killed launcher and write checkpoints into the next run
        if not torch.cuda.is_available() and os.environ.get("OMP_NUM_THREADS", "1") == "1":
            torch.set_num_threads(cores())  # `accelerate launch` gives each process a single thread unless told otherwise
        if is_first() and not cfg.merge_lora:
            claim(Path(cfg.output_dir), Path(cfg.dataset_prepared_path).name)

    def get_training_args(self, cfg) -> dict:
        """Return training arguments that never wait for the GPU within a step, start no more data loaders than cores, and work on a CPU.

        Transformers' filter for NaN and infinite losses is off: it waits for the GPU at every step, and it would hide that a training diverges.
        """
        chosen = {"logging_nan_inf_filter": False}
        if cfg.dataloader_num_workers:
            chosen["dataloader_num_workers"] = min(cfg.dataloader_num_workers, cores())
        if torch.cuda.is_available():
            return chosen | {"accelerator_config": AcceleratorConfig(**{**(cfg.accelerator_config or {}), "non_blocking": True})}
        amx = cfg.crm_dedup_amx and torch.cpu.get_capabilities().get("amx_tile")
        return chosen | {"use_cpu": True, "dataloader_pin_memory": False, "bf16": bool(amx)}

    def get_collator_cls_and_kwargs(self, cfg, is_eval: bool = False) -> tuple[type, dict] | None:
        """Choose the collator that locates the shared rubric before a batch goes to the GPU."""
        if not cfg.crm_dedup_shared_prefix:
            return None
        return LocatingCollator, {"flexible": bool(cfg.crm_dedup_flex and torch.cuda.is_available())}

    def post_model_load(self, cfg, model) -> None:
        """Repair 4-bit layers on a CPU, keep fully trained weights in fp32, and install the cheaper forward pass."""
        if not cfg.adapter:
            model.float()  # the last, small steps of a full fine-tuning vanish in bf16
        if not torch.cuda.is_available():
            keep_gradients(model)
        weight = cfg.crm_dedup_decision_weight
        emphasis = shared_prefix.Emphasis(len(tokens.decision_ids(load_tokenizer(cfg))[0]), weight) if weight != 1.0 else None
        shared_prefix.install(model, bool(cfg.crm_dedup_shared_prefix), emphasis)

    def add_callbacks_pre_trainer(self, cfg, model) -> list[TrainerCallback]:
        """Return the callback that reports progress in a few lines."""
        return [Progress()]

    def post_train(self, cfg, model) -> None:
        """Mark the run as complete: a run that was interrupted leaves an adapter too, but never comes here."""
        if not is_first():
            return
        seconds = round(time.monotonic() - self.began, 1)
        mark = {"fingerprint": Path(cfg.dataset_prepared_path).name, "seconds": seconds, "machine": machine()}
        write_atomically(Path(cfg.output_dir) / DONE, json.dumps(mark) + "\n")


@dataclass
class LocatingCollator(DataCollatorForSeq2Seq):
    """Axolotl's collator; it also locates rubric and answers, in the data loader's processes, so that no forward pass waits for the GPU."""

    flexible: bool = False  # prepare the attention in one kernel, which needs a GPU

    def __call__(self, features: list[dict], return_tensors: str | None = None) -> dict[str, Any]:
        """Return a padded batch (rows, tokens), and `shared_prefix.locate` of it."""
        batch = dict(super().__call__(features, return_tensors))
        return batch | {"located": shared_prefix.locate(batch["input_ids"], batch["attention_mask"], batch["labels"], True, self.flexible)}


class Progress(TrainerCallback):
    """Prints a line at every tenth of a training, and at least every `PATIENCE` seconds; `crm-dedup train` shows these lines."""

    def on_train_begin(self, args, state, control, **_) -> None:
        """Start the clock, and say where an interrupted training continues."""
        self.began = self.told = time.monotonic()
        self.first = self.tenth = state.global_step
        if state.global_step and state.is_world_process_zero:
            print(f"\n{PROGRESS}continuing after step {state.global_step} of {state.max_steps}", flush=True)

    def on_log(self, args, state, control, logs=None, **_) -> None:
        """Print step, loss and the time left, if it is time to."""
        now, step, steps = time.monotonic(), state.global_step, state.max_steps
        if not state.is_world_process_zero or "loss" not in (logs or {}) or (step - self.tenth < steps / 10 and now - self.told < PATIENCE):
            return
        self.told, self.tenth = now, step
        left = timedelta(seconds=round((now - self.began) / max(step - self.first, 1) * (steps - step)))
        print(f"\n{PROGRESS}step {step} of {steps}, loss {float(logs['loss']):.4f}, {left} left", flush=True)


def is_first() -> bool:
    """Tell whether this is the process that writes files on behalf of all."""
    return os.environ.get("RANK", "0") == "0"


def machine() -> str:
    """Return a description of the hardware, such as "2 x NVIDIA H100" or "8 cores without a GPU"."""
    if torch.cuda.is_available():
        count = int(os.environ.get("WORLD_SIZE", "1"))
        return f"{f'{count} x ' if count > 1 else ''}{torch.cuda.get_device_name()}"
    return f"{len(os.sched_getaffinity(0))} cores without a GPU"


def cores() -> int:
    """Return how many cores each training process of this machine has."""
    return max(len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")), 1)


def keep_gradients(model: torch.nn.Module) -> None:
    """Stop bitsandbytes from repacking 4-bit weights for AVX512-BF16 in evaluation mode.

    The repacked layout has no backward pass: after the first evaluation, training would go on with wrong gradients.
    """
    import bitsandbytes

    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False


def fingerprint(cfg: dict) -> str:
    """Return a hash of everything that determines what is learned: settings, data files, and how the formatter tokenises the probe pairs."""
    digest = hashlib.sha256()
    settings = {key: value for key, value in dict(cfg).items() if key not in ("axolotl_config_path", "dataset_prepared_path")}
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    for source in [*(cfg.get("datasets") or []), *(cfg.get("test_datasets") or [])]:
        path = Path(source["path"])
        if path.is_file():
            digest.update(path.read_bytes())
    strategy = formatter.CrmDedupStrategy(None, probe.Characters(), False, None)
    pairs = [(prompt.ask(*row["input"].values())[1:], row["output"]) for row in probe.rows()[:4]]
    lines = [{"input": {"record_a": a, "record_b": b}, "output": output} for (a, b), output in pairs]
    made = strategy.tokenize_prompt({"text": [json.dumps(line) for line in lines]})
    tokenised = [dict(zip(made, row, strict=True)) for row in zip(*made.values(), strict=True)]
    digest.update(probe.fingerprint().encode() + probe.sha256(tokenised).encode())
    return digest.hexdigest()[:16]


def claim(output_dir: Path, key: str) -> None:
    """Reserve `output_dir` for the run `key`: keep its complete checkpoints, remove incomplete ones and those of any other run."""
    started = output_dir / STARTED
    for checkpoint in output_dir.glob("checkpoint-*"):
        if not (checkpoint / "trainer_state.json").is_file():  # it is written last
            shutil.rmtree(checkpoint)
    if started.is_file() and json.loads(started.read_text()).get("fingerprint") == key:
        return
    for name in ("checkpoint-*", "adapter_*", "merged", DONE):
        for path in output_dir.glob(name):
            LOG.warning("removing %s: it belongs to a run with other data or settings", path)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_atomically(started, json.dumps({"fingerprint": key}) + "\n")
