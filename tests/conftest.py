"""Fixtures that several test files share: a quiet environment and real weights."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
QUIET = {
    "AXOLOTL_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "WANDB_MODE": "disabled",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",  # on a busy machine, threads that wait actively make a step ten times slower
}
os.environ.update(QUIET)  # before the first import of torch, Axolotl or the Hub's client: they read it only then


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """No telemetry and no network from a test, or from a process that it starts."""
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def base_model() -> Path:
    """The folder of SmolLM2-135M-Instruct, fetched once if it is not there."""
    from huggingface_hub import constants

    from crm_dedup_plugin.training.base_model import fetch

    target = ROOT / "outputs" / "smollm2-135m-base"
    with pytest.MonkeyPatch.context() as online:
        online.setattr(constants, "HF_HUB_OFFLINE", False)
        fetch(target)
    return target


@pytest.fixture(scope="session")
def tokenizer(base_model):
    """The real tokenizer of SmolLM2."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base_model)


@pytest.fixture(scope="session")
def generated() -> Callable[[str, int], list[dict]]:
    """Return the first rows of the generated set of a kind ("full", "compact", "unseen"), seed 7; each row is made once. Do not change them."""
    from crm_dedup_plugin.dataset.synth.generate import Settings, generate

    most = 100_000
    kinds = {"full": Settings(), "compact": Settings(compact=True), "unseen": Settings(unseen=True)}
    more = {kind: generate(most, 7, settings) for kind, settings in kinds.items()}
    made = {kind: [] for kind in kinds}

    def first(kind: str, count: int) -> list[dict]:
        made[kind] += itertools.islice(more[kind], max(count - len(made[kind]), 0))
        return made[kind][:count]

    return first
