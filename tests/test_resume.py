"""A training run that is killed: nothing half-made stays behind, and the next run goes on from the last checkpoint."""

import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import psutil
import pytest
import tiny_models
import yaml

from crm_dedup_plugin.cli import main

COMMAND = ["train", "tiny"]
STEPS = 60


@pytest.fixture
def workplace(tmp_path, tokenizer) -> Path:
    """A folder with a two-layer model and its configuration: SmolLM2's own, but for size and length."""
    tiny_models.write_splits(tmp_path)
    tiny_models.build("llama32-3b", tmp_path / "base" / "tiny", tokenizer)
    settings = yaml.safe_load((tiny_models.CONFIGS / "smollm2-135m.yml").read_text())
    settings |= {"base_model": "base/tiny", "output_dir": "outputs/tiny", "max_steps": STEPS, "save_steps": 10, "micro_batch_size": 2}
    settings |= {"num_epochs": 50, "lr_scheduler_kwargs": {"num_decay_steps": 20}}
    (tmp_path / "axolotl_configs").mkdir()
    (tmp_path / "axolotl_configs" / "tiny.yml").write_text(yaml.safe_dump(settings))
    return tmp_path


def test_a_killed_run_goes_on_and_ends_whole(workplace, capsys):
    """The command is killed in a process of its own, then runs in this one; Axolotl always has its own."""
    outputs = workplace / "outputs"
    command, streams = [sys.executable, "-m", "crm_dedup_plugin", *COMMAND], {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    first = subprocess.Popen(command, cwd=workplace, start_new_session=True, **streams)
    deadline = time.monotonic() + 240
    while not (outputs / "tiny" / "checkpoint-20" / "trainer_state.json").is_file():
        assert first.poll() is None and time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.05)
    started = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    first.wait()
    assert len(started) >= 2 and not psutil.wait_procs(started, timeout=30)[1], "the training went on without its command"
    assert not (outputs / "tiny-merged").exists()

    with contextlib.chdir(workplace), mock.patch.dict(os.environ):
        second = main(COMMAND), *capsys.readouterr()
        third = main(COMMAND), *capsys.readouterr()
    code, out, err = second
    assert code == 0, err[-3000:]
    told = re.search(rf"^training: continuing after step (\d+) of {STEPS}$", out, re.MULTILINE)
    assert told and int(told[1]) > 10, "the second run began anew"
    assert re.search(rf"^training: step {STEPS} of {STEPS}, loss \d+\.\d+, 0:00:00 left$", out, re.MULTILINE)
    assert len(out.splitlines() + err.splitlines()) < 30, "people see a few lines"
    assert (outputs / "tiny" / "train.log").stat().st_size > len(out) and (outputs / "tiny" / "merge.log").is_file()
    assert {path.name for path in (outputs / "tiny-merged").iterdir()} >= {"model.safetensors", "tokenizer.json", "chat_template.jinja"}
    assert third[0] == 0 and "up to date" in third[1]
